"""FreeFem's own two-dimensional .msh: counts, then points, triangles and boundary edges with a label each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.refs import add_refs


def read(path: Path) -> MeshBuilder:
    """Read a FreeFem mesh; labels become cell data and cell sets."""
    builder = MeshBuilder(path, "FreeFem mesh")
    rows = [line.split() for line in path.read_bytes().splitlines() if line.strip()]
    if not rows or len(rows[0]) != 3:
        raise builder.fail("the first line holds no three counts (points, triangles, edges)")
    n_points, n_triangles, n_edges = (int(word) for word in rows[0])
    if len(rows) - 1 < n_points + n_triangles + n_edges:
        raise builder.fail(
            f"{n_points} points, {n_triangles} triangles and {n_edges} edges are announced, "
            f"{len(rows) - 1} lines are present: cut off?"
        )
    width = len(rows[1])
    if width not in (3, 4):
        raise builder.fail(f"a point line holds {width} numbers, expected x y label")
    points = np.array(rows[1 : 1 + n_points]).astype(np.float64)
    builder.points, builder.dim = np.ascontiguousarray(points[:, :-1]), width - 1
    if points[:, -1].any():
        builder.point_data["freefem:label"] = points[:, -1].astype(np.int64)
    start = 1 + n_points
    sizes = {len(row) for row in rows[start : start + n_triangles]}
    kinds = [("triangle", 3, n_triangles), ("line", 2, n_edges)]
    if width == 4 and sizes == {5}:
        kinds = [("tetra", 4, n_triangles), ("triangle", 3, n_edges)]
    for kind, size, count in kinds:
        if count:
            table = np.array(rows[start : start + count]).astype(np.int64)
            if table.shape[1] != size + 1:
                raise builder.fail(f"a {kind} line holds {table.shape[1]} numbers, expected {size + 1}")
            if int(table[:, :size].min()) < 1 or int(table[:, :size].max()) > n_points:
                raise builder.fail(f"a {kind} names a point outside 1 to {n_points}")
            add_refs(builder, builder.add_cells(kind, table[:, :size] - 1), table[:, size], "freefem:label", "label_")
        start += count
    return builder
