"""Polygons of unlike size as blocks of triangles, quads and polygons."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.vtk_model import ragged_table


def add_faces(builder: MeshBuilder, sizes: np.ndarray, members: np.ndarray) -> list[tuple[Block, np.ndarray]]:
    """Add faces given by their sizes and their concatenated corners; returns each block with its faces' positions."""
    if len(sizes) and int(sizes.min()) < 3:
        bad = int(np.argmin(sizes))
        raise builder.fail(f"face {bad} has {int(sizes[bad])} corners; a face needs at least 3")
    starts = np.cumsum(sizes) - sizes
    blocks = []
    for kind, inside in (("triangle", sizes == 3), ("quad", sizes == 4), ("polygon", sizes > 4)):
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        if kind == "polygon":
            table = ragged_table(members, starts[rows], sizes[rows])
        else:
            table = members[starts[rows][:, None] + np.arange(int(sizes[rows[0]]))]
        blocks.append((builder.add_cells(kind, table), rows))
    return blocks


def check_indices(builder: MeshBuilder, members: np.ndarray, n_points: int, base: int = 0) -> None:
    """Raise if a number (counted from `base`) names no point."""
    if len(members) and (int(members.min()) < base or int(members.max()) >= n_points + base):
        wrong = int(members.min()) if int(members.min()) < base else int(members.max())
        raise builder.fail(f"a cell names point {wrong}, the file holds points {base} to {n_points - 1 + base}")
