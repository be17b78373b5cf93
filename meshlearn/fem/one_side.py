"""The side from which facets are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.fem.parts import cells_of

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


@dataclass(frozen=True)
class OneSide:
    """Facets seen from one side, to integrate over: `assemble(form, on=OneSide("interface", "west"))`.

    on     name of facets, or several, as in `assemble`
    cells  the side: name of a subdomain, several, a mask (n_cells,) or cell numbers; the normal points out of it

    >>> mesh = ml.shapes.square(n=4)
    >>> west = {"west": {"triangle": torch.nonzero(mesh.cell_centroids()["triangle"][:, 0] < 0.5)[:, 0]}}
    >>> space = ml.fem.FESpace(mesh.replace(cell_sets={**mesh.cell_sets, **west}), "P1")
    >>> space.assemble(lambda x: x.normal[0], on=ml.fem.OneSide("left", "west")).item()
    -1.0
    """

    on: Any
    cells: Any


def facet_cells(space: FESpace, on: Any) -> tuple[np.ndarray, np.ndarray]:
    """For every facet of a boundary the cell (n,) it is integrated from, and its local number there (n,).

    Raises ParameterError for `OneSide` of facets that have none or both of their cells on that side.
    """
    skmesh = space.skmesh
    if not isinstance(on, OneSide):
        facets = space.facets(on)
        return _seen(space, facets, skmesh.f2t[0, facets])
    facets, mine = space.facets(on.on), np.zeros(len(space.element_dofs), bool)
    numbers = cells_of(space, on.cells)
    if numbers is None:
        raise ParameterError(f"the side {on.cells!r} of {on.on!r} is a boundary: it is given by cells, a subdomain.")
    mine[numbers.cpu().numpy()] = True
    one, two = skmesh.f2t[:, facets]
    first, second = mine[one], (two >= 0) & mine[two]
    wrong = first == second
    if wrong.any():
        raise ParameterError(
            f"{int(wrong.sum())} of the {len(facets)} facets of {on.on!r} have {int((wrong & first).sum())} times both "
            f"of their cells on the side {on.cells!r}, else none: one is needed."
        )
    return _seen(space, facets, np.where(first, one, two))


def _seen(space: FESpace, facets: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cells.astype(np.int64), (space.skmesh.t2f[:, cells] == facets).argmax(0)
