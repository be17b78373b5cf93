"""The parts of an element as blocks: functions on the reference cell, and how they are carried to a cell.

With J the Jacobian matrix of the cell's map, s the orientation sign of a basis function on the cell:

    h1     value = phi,                 grad = J^-T grad phi
    hdiv   value = s J phi / |det J|,   div  = s div phi / |det J|                       (contravariant Piola map)
    hcurl  value = s J^-T phi,          curl = s curl phi / det J  or  s J curl phi / det J   (covariant Piola map)
    table  functions that scikit-fem knows on the cells only (Argyris, Morley, Hermite …): values on every cell

A vector-valued element is the scalar one with `components` copies, function i, component c at place i n_c + c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
import torch
from skfem.element.element_h1 import ElementH1
from skfem.element.element_hcurl import ElementHcurl
from skfem.element.element_hdiv import ElementHdiv
from torch import Tensor

from meshlearn.errors import ParameterError

_FAMILIES = ((ElementH1, "h1"), (ElementHdiv, "hdiv"), (ElementHcurl, "hcurl"))
PARTS = ("value", "grad", "div", "curl", "hess")


@dataclass(frozen=True)
class Block:
    """One field of a space.

    element     scikit-fem element of one component
    family      "h1", "hdiv", "hcurl" or "table"
    components  number of components, None for a scalar (or naturally vector-valued) element
    rows        (n_local,) places of the block's functions among the local functions of the space
    """

    element: skfem.Element
    family: str
    components: int | None
    rows: np.ndarray

    @property
    def n_functions(self) -> int:
        """Functions of one component."""
        return len(self.rows) // (self.components or 1)

    def shapes(self, dim: int) -> dict[str, tuple[int, ...]]:
        """Shape of each part (value, grad, …) of the field at one place."""
        front = () if self.components is None else (self.components,)
        if self.family == "h1":
            return {"value": front, "grad": (*front, dim)}
        if self.family == "hdiv":
            return {"value": (*front, dim), "div": front}
        if self.family == "hcurl" or isinstance(self.element, ElementHcurl):
            return {"value": (*front, dim), "curl": (*front, 3) if dim == 3 else front}
        return {"value": front, "grad": (*front, dim), "hess": (*front, dim, dim)}

    def tables(self, places: np.ndarray, dtype: torch.dtype) -> dict[str, Tensor]:
        """{part: (n_functions, n_places, width)} on the reference cell at places (dim, n_places)."""
        names = {"h1": ("value", "grad"), "hdiv": ("value", "div"), "hcurl": ("value", "curl")}[self.family]
        dim, n = places.shape
        columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for i in range(self.n_functions):
            for name, table in zip(names, self.element.lbasis(places, i), strict=True):
                table = np.asarray(table, np.float64)
                width = 1 if name == "div" or (name == "value" and self.family == "h1") else dim
                width = 1 if name == "curl" and dim == 2 else width
                columns[name].append(np.broadcast_to(table.reshape(width, -1), (width, n)).T)
        return {name: torch.from_numpy(np.stack(made)).to(dtype) for name, made in columns.items()}


def blocks(element: skfem.Element) -> list[Block]:
    """The blocks of an element, in the order of a composite element's parts."""
    if not isinstance(element, skfem.ElementComposite):
        return [_block(element, np.arange(int(element._bfun_counts().sum())))]
    n_local = int(element._bfun_counts().sum())
    place = np.array([element._deduce_bfun(i) for i in range(n_local)]).reshape(-1, 2)
    made = []
    for k, part in enumerate(element.elems):
        mine = np.flatnonzero(place[:, 0] == k)
        made.append(_block(part, mine[np.argsort(place[mine, 1], kind="stable")]))
    return made


def _block(element: Any, rows: np.ndarray) -> Block:
    components = None
    if isinstance(element, skfem.ElementVector):
        element, components = element.elem, element.dim
    if isinstance(element, skfem.ElementDG):
        element = element.elem
    for base, family in _FAMILIES:
        if isinstance(element, base) and type(element).gbasis is base.gbasis:
            return Block(element, family, components, rows)
    if isinstance(element, (skfem.ElementGlobal, ElementHcurl)) and components is None:
        return Block(element, "table", None, rows)
    raise ParameterError(
        f"{type(element).__name__} is not supported: its functions are matrices, or vectors of global functions."
    )


def cell_tables(block: Block, mapping: Any, places: np.ndarray, dtype: torch.dtype) -> dict[str, Tensor]:
    """{part: (n_functions, n_cells, n_places, width)} of a "table" block, without gradients in the points."""
    found: dict[str, list[Tensor]] = {}
    for i in range(block.n_functions):
        field = block.element.gbasis(mapping, places, i)[0]
        for name, values in _present(field):
            made = torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
            found.setdefault(name, []).append(made.reshape(-1, *values.shape[-2:]).movedim(0, -1))
    return {name: torch.stack(values) for name, values in found.items()}


def _present(field: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name in PARTS:
        values = field if name == "value" else getattr(field, name, None)
        if values is not None:
            yield name, np.asarray(values, np.float64)
