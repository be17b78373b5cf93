"""MFEM meshes, `MFEM mesh v1.0` to `v1.3`, with straight cells. Attributes become cell sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.refs import add_refs
from meshlearn.io.texts import lines_of

_GEOMETRIES = {0: ("vertex", 1), 1: ("line", 2), 2: ("triangle", 3), 3: ("quad", 4), 4: ("tetra", 4),
               5: ("hexahedron", 8), 6: ("wedge", 6), 7: ("pyramid", 5)}  # fmt: skip
_SECTIONS = ("dimension", "elements", "boundary", "vertices", "nodes", "attribute_sets", "bdr_attribute_sets")


def read(path: Path) -> MeshBuilder:
    """Read an MFEM mesh; curved, non-conforming and NURBS meshes are refused by name."""
    builder = MeshBuilder(path, "MFEM mesh")
    lines = [line.split("#")[0].strip() for line in lines_of(path, builder)]
    lines = [line for line in lines if line]
    if not lines or not lines[0].startswith("MFEM mesh v1."):
        raise builder.fail(f"{lines[0][:40] if lines else 'nothing'!r} is not supported; 'MFEM mesh v1.0' to v1.3 are")
    sections: dict[str, list[str]] = {}
    current = ""
    for line in lines[1:]:
        if line in _SECTIONS:
            current = line
            sections[current] = []
        elif line == "mfem_mesh_end":
            break
        else:
            sections.setdefault(current, []).append(line)
    if "nodes" in sections:
        raise builder.fail("the mesh is curved (it has a section 'nodes'); save it with straight cells")
    missing = [name for name in ("dimension", "elements", "vertices") if not sections.get(name)]
    if missing:
        raise builder.fail(f"the section {missing[0]!r} is missing: the file is cut off")
    _vertices(sections["vertices"], builder)
    for name, prefix in (("elements", "domain_"), ("boundary", "boundary_")):
        if sections.get(name):
            _elements(sections[name], name, prefix, builder)
    for name in ("attribute_sets", "bdr_attribute_sets"):
        if name in sections:
            builder.lost(f"section {name}")
    return builder


def _vertices(lines: list[str], builder: MeshBuilder) -> None:
    count = int(lines[0])
    values = np.array(" ".join(lines[1:]).split()).astype(np.float64)
    dim = int(values[0]) if len(values) else 0
    if count == 0 or dim not in (1, 2, 3) or len(values) != 1 + count * dim:
        raise builder.fail(
            f"{count} vertices of {dim} coordinates are announced, {max(len(values) - 1, 0)} numbers are present"
        )
    builder.points = values[1:].reshape(count, dim)
    builder.dim = dim


def _elements(lines: list[str], name: str, prefix: str, builder: MeshBuilder) -> None:
    count = int(lines[0])
    rows = [[int(word) for word in line.split()] for line in lines[1:]]
    if len(rows) != count:
        raise builder.fail(f"{count} {name} are announced, {len(rows)} are present: the file is cut off")
    by_kind: dict[str, list[list[int]]] = {}
    for row in rows:
        kind, size = _GEOMETRIES.get(row[1], ("", 0)) if len(row) > 1 else ("", 0)
        if not kind or len(row) != 2 + size:
            raise builder.fail(f"the line {' '.join(map(str, row))!r} of {name} is not understood")
        by_kind.setdefault(kind, []).append([row[0], *row[2:]])
    for kind, found in by_kind.items():
        table = np.array(found, np.int64)
        add_refs(builder, builder.add_cells(kind, table[:, 1:]), table[:, 0], "mfem:attribute", prefix)
