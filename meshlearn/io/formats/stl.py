"""STL, ASCII and binary. Corners with exactly equal coordinates become one point; solids become cell sets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.errors import MeshWriteError
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.counts import counted
from meshlearn.io.losses import rounding, three_columns, unheld
from meshlearn.io.tensors import to_numpy
from meshlearn.io.texts import text_of
from meshlearn.mesh.mesh import Mesh

_VERTEX = re.compile(rb"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)", re.I)
_RECORD = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read(path: Path) -> MeshBuilder:
    """Read an STL file; many binary files start with `solid` too, so the size decides."""
    builder = MeshBuilder(path, "STL")
    data = path.read_bytes()
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if len(data) >= 84 and len(data) == 84 + 50 * count:
        _binary(data, count, builder)
    elif re.match(rb"\s*solid", data, re.I) and (b"facet" in data or b"FACET" in data or len(data) < 84):
        _text(data, builder)
    elif count >= 0:
        raise builder.fail(
            f"{count} facets are announced, which takes {84 + 50 * count} bytes; the file has {len(data)}: cut off?"
        )
    else:
        raise builder.fail("the file is neither ASCII nor binary STL")
    return builder


def _binary(data: bytes, count: int, builder: MeshBuilder) -> None:
    if count == 0:
        raise builder.fail("the file holds no facet")
    records = np.frombuffer(data, _RECORD, count, 84)
    _add(records["corners"].reshape(-1, 3), builder)
    if records["attribute"].any():
        from meshlearn.io.builder import Block

        builder.add_cell_data("attribute", Block("triangle", 0, count), records["attribute"].astype(np.int32))


def _text(data: bytes, builder: MeshBuilder) -> None:
    corners = _VERTEX.findall(data)
    ends = len(re.findall(rb"\bendfacet\b", data, re.I))
    if not corners:
        raise builder.fail("the file holds no facet")
    if len(corners) != 3 * ends:
        raise builder.fail(f"{len(corners)} corners for {ends} complete facets; every facet has 3: cut off?")
    if not re.search(rb"\bendsolid\b", data, re.I):
        raise builder.fail("the last solid is not closed: the file is cut off")
    try:
        _add(np.array(corners).astype(np.float64), builder)
    except ValueError as error:
        raise builder.fail(f"a coordinate is not a number ({error})") from None
    _solids(data, builder)


def _solids(data: bytes, builder: MeshBuilder) -> None:
    """Named solids, or several of them, become cell sets."""
    heads = list(re.finditer(rb"^[ \t]*solid\b[ \t]*([^\r\n]*)", data, re.I | re.M))
    starts = [len(re.findall(rb"\bendfacet\b", data[: head.start()], re.I)) for head in heads]
    total = builder.count("triangle")
    for index, (head, start) in enumerate(zip(heads, starts, strict=True)):
        end = starts[index + 1] if index + 1 < len(starts) else total
        name = text_of(head.group(1), builder).strip()
        if name or len(heads) > 1:
            builder.set_cell_set(name or f"solid_{index}", "triangle", np.arange(start, end))


def _add(corners: np.ndarray, builder: MeshBuilder) -> None:
    builder.points, numbers = unique_rows(corners)
    builder.add_cells("triangle", numbers.reshape(-1, 3))


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct rows in order of appearance, number of each row); compared exactly, 0 equals -0."""
    keys = np.ascontiguousarray(rows + 0.0).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(rows[first[order]]), rank[inverse.ravel()]


def write(mesh: Mesh, path: Path, binary: bool = True) -> list[str]:
    """Write the triangles (quads are split); points that belong to no triangle are not held."""
    losses = unheld(mesh, "STL", ("triangle", "quad"), ("cell_sets",) if not binary else ())
    tables = [to_numpy(mesh.cells["triangle"])] if "triangle" in mesh.cells else []
    if "quad" in mesh.cells and len(mesh.cells["quad"]):
        quads = to_numpy(mesh.cells["quad"])
        tables.append(quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3))
        losses.append(f"{counted(len(quads), 'quad')} as such (each became two triangles)")
    triangles = np.concatenate(tables) if tables else np.zeros((0, 3), np.int64)
    if not len(triangles):
        raise MeshWriteError(f"STL holds triangles and nothing else; this mesh has none (cells: {mesh.cell_counts}).")
    points = three_columns(to_numpy(mesh.points))
    unused = mesh.n_points - len(np.unique(triangles))
    losses += [f"{counted(unused, 'point')} without a triangle"] if unused else []
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    if binary:
        records = np.zeros(len(triangles), _RECORD)
        records["normal"], records["corners"] = normals, corners
        path.write_bytes(b"meshlearn".ljust(80) + np.uint32(len(triangles)).tobytes() + records.tobytes())
        return losses + rounding(points)
    losses += _write_text(mesh, path, corners, normals)
    return losses


def _write_text(mesh: Mesh, path: Path, corners: np.ndarray, normals: np.ndarray) -> list[str]:
    """One solid per cell set if the sets divide the triangles, else one solid."""
    rows = {name: to_numpy(by_kind["triangle"]) for name, by_kind in mesh.cell_sets.items() if "triangle" in by_kind}
    joined = np.concatenate(list(rows.values())) if rows else np.zeros(0, np.int64)
    divided = len(joined) == len(corners) == len(np.unique(joined)) and bool((joined == np.arange(len(joined))).all())
    solids = rows if divided else {"": np.arange(len(corners))}
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for name, members in solids.items():
            file.write(f"solid {name}\n")
            for row in members.tolist():
                file.write("facet normal {} {} {}\nouter loop\n".format(*map(repr, normals[row].tolist())))
                for corner in corners[row].tolist():
                    file.write("vertex {} {} {}\n".format(*map(repr, corner)))
                file.write("endloop\nendfacet\n")
            file.write(f"endsolid {name}\n")
    return [] if divided or not mesh.cell_sets else [f"cell sets {', '.join(map(repr, mesh.cell_sets))}"]
