"""Names of finite elements, and the scikit-fem elements behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import skfem

from meshlearn.errors import ParameterError
from meshlearn.hints import near_names

# name -> cell type -> scikit-fem's class. "P" names mean full polynomials on simplices, tensor products elsewhere.
ELEMENTS: dict[str, dict[str, str]] = {
    "P0": {"line": "LineP0", "triangle": "TriP0", "quad": "Quad0", "tetra": "TetP0", "hexahedron": "Hex0"},
    "P1": {"line": "LineP1", "triangle": "TriP1", "quad": "Quad1", "tetra": "TetP1", "hexahedron": "Hex1",
           "wedge": "Wedge1"},
    "P2": {"line": "LineP2", "triangle": "TriP2", "quad": "Quad2", "tetra": "TetP2", "hexahedron": "Hex2"},
    "P3": {"triangle": "TriP3"},
    "P4": {"triangle": "TriP4"},
    "S2": {"quad": "QuadS2", "hexahedron": "HexS2"},
    "MINI": {"line": "LineMini", "triangle": "TriMini", "tetra": "TetMini"},
    "CR": {"triangle": "TriCR", "tetra": "TetCR"},
    "CCR": {"triangle": "TriCCR", "tetra": "TetCCR"},
    "RT0": {"triangle": "TriRT1", "quad": "QuadRT1", "tetra": "TetRT1", "hexahedron": "HexRT1"},
    "RT1": {"triangle": "TriRT2"},
    "BDM1": {"triangle": "TriBDM1"},
    "N1": {"triangle": "TriN1", "quad": "QuadN1", "tetra": "TetN1"},
    "N2": {"triangle": "TriN2"},
    "N3": {"triangle": "TriN3"},
    "Morley": {"triangle": "TriMorley"},
    "Argyris": {"triangle": "TriArgyris"},
    "Hermite": {"line": "LineHermite", "triangle": "TriHermite"},
    "BFS": {"quad": "QuadBFS"},
}  # fmt: skip
DISCONTINUOUS = {f"{name}DG": name for name in ("P1", "P2", "P3", "P4")}
_FIRST_ORDER = {"triangle6": "triangle", "quad9": "quad", "tetra10": "tetra", "hexahedron27": "hexahedron"}


def make_element(element: Any, cell_type: str, components: int | None = None) -> skfem.Element:
    """The scikit-fem element of a name, a sequence of names (composite), or the element itself.

    element     "P0", "P1", "P2", "P3", "P4", "S2", "MINI", "CR", "CCR", "RT0" (lowest Raviart-Thomas), "RT1" (the next
                one), "BDM1", "N1" (lowest Nédélec, first kind), "N2", "N3", "Morley", "Argyris", "Hermite", "BFS";
                "P1DG" … "P4DG" without continuity; "P2^d" for one component per direction, "P2^3" for three
    components  makes the element vector-valued, like "^"

    Raises ParameterError for an unknown name, or an element that does not exist on this cell type.
    """
    if isinstance(element, skfem.Element):
        made = element
        cell = getattr(skfem, f"Element{ELEMENTS['P1'][_FIRST_ORDER.get(cell_type, cell_type)]}").refdom
        if element.refdom is not cell:
            raise ParameterError(
                f"{type(element).__name__} is an element for cells of the kind {element.refdom.name}, the mesh has "
                f"{cell_type} cells."
            )
    elif isinstance(element, str):
        made = _named(element, _FIRST_ORDER.get(cell_type, cell_type))
    elif isinstance(element, Sequence) and len(element):
        made = skfem.ElementComposite(*[make_element(part, cell_type) for part in element])
    else:
        raise ParameterError(
            f"element={element!r} is no finite element; give a name such as 'P1', a tuple of names, or an element of "
            "scikit-fem."
        )
    if components is None:
        return made
    if components < 1 or isinstance(made, (skfem.ElementComposite, skfem.ElementVector)):
        raise ParameterError(
            f"components={components} with element={element!r}: a number of components of at least 1 goes with a "
            "scalar element; write the parts of a composite element as 'P2^d'."
        )
    return skfem.ElementVector(made, components)


def _meant(name: str, rest: str) -> str:
    """The known name that was probably meant: another case, or the name of another library."""
    known = {one.upper(): one for one in [*ELEMENTS, *DISCONTINUOUS]}
    wanted = name.upper().replace("-", "").replace(" ", "").replace("_", "")
    if len(wanted) > 1 and wanted[-1].isdigit():
        family, degree = wanted.rstrip("0123456789"), wanted[-1]
        others = {"CG": "P", "LAGRANGE": "P", "Q": "P", "NED": "N", "NEDELEC": "N", "ND": "N"}
        if family in ("DG", "DP", "DQ"):
            wanted = "P0" if degree == "0" else f"P{degree}DG"
        else:
            wanted = others.get(family, family) + degree
    near = near_names(wanted, known, cutoff=0.7)
    return f": did you mean {known[near[0]] + rest!r}?" if near else "."


def _named(name: str, cell_type: str) -> skfem.Element:
    plain, hat, count = name.partition("^")
    base = DISCONTINUOUS.get(plain, plain)
    if base not in ELEMENTS:
        raise ParameterError(
            f"element={name!r} is not known{_meant(plain, hat + count)}\n  Choose one of "
            f"{', '.join([*ELEMENTS, *DISCONTINUOUS])}, with '^d' or '^2' behind it for vectors."
        )
    if cell_type not in ELEMENTS[base]:
        able = [known for known, kinds in ELEMENTS.items() if cell_type in kinds]
        raise ParameterError(
            f"element {name!r} does not exist on {cell_type} cells, only on {', '.join(ELEMENTS[base])}.\n"
            f"  on {cell_type} cells: {', '.join(able) or 'none: scikit-fem has no such cell'}"
        )
    made = getattr(skfem, f"Element{ELEMENTS[base][cell_type]}")()
    if plain in DISCONTINUOUS:
        made = skfem.ElementDG(made)
    if not hat:
        return made
    if count != "d" and not (count.isdigit() and int(count) > 0):
        raise ParameterError(f"element={name!r}: '^' is followed by 'd' or a number of components, not {count!r}.")
    return skfem.ElementVector(made, None if count == "d" else int(count))
