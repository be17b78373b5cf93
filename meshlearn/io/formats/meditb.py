"""Binary Medit, .meshb (the Gamma Mesh Format), versions 1 to 4."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.medit import CELLS, place

# keyword number -> name in the ASCII format
_KEYS = {4: "vertices", 5: "edges", 6: "triangles", 7: "quadrilaterals", 8: "tetrahedra", 9: "prisms", 10: "hexahedra",
         13: "corners", 14: "ridges", 15: "requiredvertices", 16: "requirededges", 17: "requiredtriangles",
         18: "requiredquadrilaterals", 24: "trianglesp2", 25: "edgesp2", 30: "tetrahedrap2",
         49: "pyramids"}  # fmt: skip


def read(path: Path) -> MeshBuilder:
    """Read a binary Medit file."""
    builder = MeshBuilder(path, "binary Medit")
    data = path.read_bytes()
    order = "<" if int.from_bytes(data[:4], "little") == 1 else ">"
    version = int(np.frombuffer(data[4:8], order + "i4")[0]) if len(data) >= 8 else 0
    if not 1 <= version <= 4:
        raise builder.fail(f"version {version} of the binary format is not supported; 1 to 4 are")
    real = order + ("f4" if version == 1 else "f8")
    whole = order + ("i8" if version == 4 else "i4")
    step = np.dtype(order + ("i8" if version >= 3 else "i4"))
    position, dim = 8, 0
    while True:
        if position + 4 > len(data):
            raise builder.fail("the file ends before its End mark: it is cut off")
        key = int(np.frombuffer(data, order + "i4", 1, position)[0])
        if key == 54:
            break
        following = int(np.frombuffer(data, step, 1, position + 4)[0])
        start = position + 4 + step.itemsize
        if key == 3:
            dim = int(np.frombuffer(data, order + "i4", 1, start)[0])
        elif key in _KEYS:
            count = int(np.frombuffer(data, whole, 1, start)[0])
            _entries(data, start + np.dtype(whole).itemsize, count, _KEYS[key], dim, (real, whole), builder)
        else:
            builder.lost(f"the section with keyword number {key}")
        if following <= position:
            raise builder.fail("the sections do not follow each other: the file is damaged")
        position = following
    if builder.points is None:
        raise builder.fail("there is no section of vertices")
    builder.dim = dim
    return builder


def _entries(data: bytes, start: int, count: int, key: str, dim: int, types: tuple, builder: MeshBuilder) -> None:
    real, whole = types
    if dim not in (1, 2, 3):
        raise builder.fail(f"the dimension is {dim}, expected 1, 2 or 3")
    if key == "vertices":
        record = np.dtype([("x", real, (dim,)), ("ref", whole)])
    else:
        record = np.dtype([("n", whole, ((CELLS[key][1] + 1) if key in CELLS else 1,))])
    if start + record.itemsize * count > len(data):
        raise builder.fail(f"{key} announces {count} entries beyond the end of the file: it is cut off")
    rows = np.frombuffer(data, record, count, start)
    table = np.column_stack([rows["x"], rows["ref"]]) if key == "vertices" else rows["n"]
    place(key, table.astype(np.float64), dim, builder)
