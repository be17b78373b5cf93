"""Which names of cell types a mesh takes, and what is meant by the other spellings in use."""

from __future__ import annotations

import re

from meshlearn.hints import near_names
from meshlearn.mesh.cells import CELL_TYPES, NAMED_KINDS, cell_dim

_NAME = re.compile(r"((?:lagrange_|bezier_)?)([a-z_]+?)_?(\d*)")
# other spellings of the stems; "edge" is here so that it is not taken for "wedge"
_STEMS = {
    "vertex": "vertices point points node nodes pt",
    "line": "edge segment seg bar beam rod curve truss",
    "triangle": "tri tria trias tris",
    "quad": "quadrilateral quadrangle rectangle q",
    "tetra": "tet tets tetrahedron tetrahedral tetrahedra",
    "pyramid": "pyr pyra",
    "wedge": "prism penta pentahedron triangular_prism",
    "hexahedron": "hex hexa hexes hexahedral hexahedra brick",
}
_MEANT = {other: stem for stem, others in _STEMS.items() for other in others.split()}


def width(kind: str) -> int | None:
    """Number of nodes of one cell where the name tells it; None for ragged kinds and for those without a row.

    >>> [width(kind) for kind in ("quad", "triangle10", "lagrange_tetra20", "polygon")]
    [4, 10, 20, None]
    """
    if kind in CELL_TYPES:
        return CELL_TYPES[kind].n_nodes
    digits = _parts(kind)[2]
    return int(digits) if digits else None


def is_known(kind: str) -> bool:
    """True for the types of the table, for kinds kept for the round trip, and for types of higher order.

    >>> [is_known(kind) for kind in ("quad9", "polyhedron", "tetra20", "lagrange_quad", "quad4", "tri", "blob")]
    [True, True, True, True, False, False, False]
    """
    if kind in CELL_TYPES or kind in NAMED_KINDS:
        return True
    prefix, stem, digits = _parts(kind)
    if stem not in CELL_TYPES or kind != prefix + stem + digits:
        return False
    return bool(prefix) or (bool(digits) and cell_dim(stem) > 0 and int(digits) > CELL_TYPES[stem].corners)


def meant(kind: str) -> str | None:
    """The type that another spelling stands for, or one a slip away; None if nothing is near.

    >>> [meant(kind) for kind in ("tri", "hex20", "edge", "Quad4", "trangle", "foo")]
    ['triangle', 'hexahedron20', 'line', 'quad', 'triangle', None]
    """
    _, stem, digits = _parts(kind.lower())
    for name in (stem, stem.removesuffix("s")):
        name = _MEANT.get(name, name)
        if name in CELL_TYPES:
            whole = name + digits
            return whole if whole in CELL_TYPES else name
    near = near_names(kind.lower(), [*CELL_TYPES, *NAMED_KINDS], cutoff=0.8)
    return near[0] if near else None


def _parts(kind: str) -> tuple[str, str, str]:
    """(prefix of a family of any order, stem, digits)."""
    found = _NAME.fullmatch(kind)
    return (found[1], found[2], found[3]) if found else ("", kind, "")
