"""Medit .mesh (ASCII), as INRIA's tools, MMG and FreeFem write it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.losses import unheld
from meshlearn.io.refs import add_refs, cell_refs, renamed
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh

CELLS = {
    "edges": ("line", 2), "edgesp2": ("line3", 3), "triangles": ("triangle", 3), "trianglesp2": ("triangle6", 6),
    "quadrilaterals": ("quad", 4), "quadrilateralsq2": ("quad9", 9), "tetrahedra": ("tetra", 4),
    "tetrahedrap2": ("tetra10", 10), "hexahedra": ("hexahedron", 8), "hexaedra": ("hexahedron", 8),
    "prisms": ("wedge", 6), "pentahedra": ("wedge", 6), "pyramids": ("pyramid", 5),
}  # fmt: skip
NAMES = {
    "line": "Edges", "triangle": "Triangles", "quad": "Quadrilaterals", "tetra": "Tetrahedra",
    "hexahedron": "Hexahedra", "wedge": "Prisms", "pyramid": "Pyramids", "line3": "EdgesP2",
    "triangle6": "TrianglesP2", "quad9": "QuadrilateralsQ2", "tetra10": "TetrahedraP2",
}  # fmt: skip
# keyword -> numbers per entry; "d" stands for the space dimension
_LISTS = {"corners": 1, "requiredvertices": 1, "ridges": 1, "requirededges": 1, "requiredtriangles": 1,
          "requiredquadrilaterals": 1}  # fmt: skip
_LOST = {"normals": "d", "tangents": "d", "normalatvertices": 2, "normalattrianglevertices": 3,
         "normalatquadrilateralvertices": 3, "tangentatvertices": 2, "tangentatedges": 3, "subdomainfrommesh": 4,
         "subdomainfromgeom": 3, "vertexongeometricvertex": 2, "vertexongeometricedge": 3, "edgeongeometricedge": 2,
         "equivalentedges": 2, "physicsreference": 1, "identifier": 0, "geometry": 0}  # fmt: skip


def read(path: Path) -> MeshBuilder:
    """Read an ASCII Medit file."""
    builder = MeshBuilder(path, "Medit")
    data = re.sub(rb"#[^\n]*", b"", path.read_bytes())
    parts = re.split(rb"(?<![\w.\"])([A-Za-z][A-Za-z0-9]*)(?![\w.])", data)
    dim, closed = 0, False
    sections: list[tuple[str, np.ndarray]] = []
    for word, body in zip(parts[1::2], parts[2::2], strict=True):
        key = word.decode().lower()
        if key == "end":
            closed = True
            break
        if key in ("nan", "inf") and sections:
            raise builder.fail(f"{word.decode()} stands among the numbers of {sections[-1][0]}")
        try:
            sections.append((key, np.array(body.split()).astype(np.float64)))
        except ValueError:
            raise builder.fail(f"section {word.decode()} holds something that is not a number") from None
    for key, values in sections:
        if key == "meshversionformatted":
            continue
        if key == "dimension":
            dim = int(values[0]) if len(values) else 0
        else:
            _section(key, values, dim, builder)
    if builder.points is None:
        raise builder.fail("there is no section Vertices: the file is cut off or holds no mesh")
    if not closed:
        builder.lost("what may follow the last section: there is no End, the file may be cut off")
    builder.dim = dim
    return builder


def _section(key: str, values: np.ndarray, dim: int, builder: MeshBuilder) -> None:
    width = {"vertices": dim + 1, **{name: size + 1 for name, (_, size) in CELLS.items()}, **_LISTS}.get(key)
    if width is None:
        builder.lost(f"section {key}" if key in _LOST else f"section {key} (not known)")
        return
    if dim not in (1, 2, 3):
        raise builder.fail(f"the dimension is {dim or 'not given'}, expected 1, 2 or 3")
    count = int(values[0]) if len(values) else 0
    if len(values) - 1 != count * width:
        raise builder.fail(f"{key} announces {count} entries of {width} numbers, {len(values) - 1} numbers are present")
    place(key, values[1:].reshape(count, width), dim, builder)


def place(key: str, rows: np.ndarray, dim: int, builder: MeshBuilder) -> None:
    """Hand one section to the builder; shared with the binary format."""
    if key == "vertices":
        builder.points = np.ascontiguousarray(rows[:, :dim])
        if rows[:, dim].any():
            builder.point_data["medit:ref"] = rows[:, dim].astype(np.int64)
    elif key in CELLS:
        kind, size = CELLS[key]
        table = rows[:, :size].astype(np.int64) - 1
        if len(table) and int(table.min()) < 0:
            raise builder.fail(f"{key} name point {int(table.min()) + 1}; points are numbered from 1")
        add_refs(builder, builder.add_cells(kind, table), rows[:, size], "medit:ref")
    elif key in ("corners", "requiredvertices"):
        name = {"corners": "corners", "requiredvertices": "required"}[key]
        builder.point_sets[name] = rows[:, 0].astype(np.int64) - 1
    else:
        kind = {"requiredtriangles": "triangle", "requiredquadrilaterals": "quad"}.get(key, "line")
        name = "ridges" if key == "ridges" else "required"
        if builder.count(kind) <= (int(rows.max()) - 1 if len(rows) else -1):
            raise builder.fail(f"{key} name entry {int(rows.max())}, there are {builder.count(kind)}")
        builder.set_cell_set(name, kind, rows[:, 0].astype(np.int64) - 1)


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write points and cells with one reference each (from cell data `medit:ref`, else from the cell sets)."""
    losses = unheld(mesh, "Medit", NAMES, ("point_data", "cell_data", "point_sets", "cell_sets"))
    losses += [f"point data {name!r}" for name in mesh.point_data if name != "medit:ref"]
    losses += [f"cell data {name!r}" for name in mesh.cell_data if name != "medit:ref"]
    point_sets = {"corners": "Corners", "required": "RequiredVertices"}
    losses += [f"point set {name!r}" for name in mesh.point_sets if name not in point_sets]
    if "medit:ref" not in mesh.cell_data:
        losses += renamed(mesh)
    special = {("ridges", "line"): "Ridges", ("required", "line"): "RequiredEdges",
               ("required", "triangle"): "RequiredTriangles"}  # fmt: skip
    points = to_numpy(mesh.points)
    refs = mesh.point_data.get("medit:ref")
    marks = np.zeros(len(points), np.int64) if refs is None else to_numpy(refs).astype(np.int64)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"MeshVersionFormatted 2\nDimension {mesh.dim}\n\nVertices\n{len(points)}\n")
        file.writelines(f"{' '.join(map(repr, p))} {r}\n" for p, r in zip(points.tolist(), marks.tolist(), strict=True))
        for kind, table in mesh.cells.items():
            if kind not in NAMES:
                continue
            rows = np.column_stack([to_numpy(table) + 1, cell_refs(mesh, kind, "medit:ref", losses)])
            file.write(f"\n{NAMES[kind]}\n{len(rows)}\n")
            file.writelines(" ".join(map(str, row)) + "\n" for row in rows.tolist())
        lists = [(point_sets[n], rows) for n, rows in mesh.point_sets.items() if n in point_sets]
        lists += [
            (special[n, k], rows) for n, by in mesh.cell_sets.items() for k, rows in by.items() if (n, k) in special
        ]
        for title, members in lists:
            file.write(f"\n{title}\n{len(members)}\n" + "".join(f"{row + 1}\n" for row in members.tolist()))
        file.write("\nEnd\n")
    return losses
