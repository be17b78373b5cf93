"""Which relations between dofs boundary values are, for elements with derivatives among their dofs.

On a straight side with tangent t and normal n the values of a function fix its derivatives along the side, and its
normal derivatives fix the mixed ones:

    "value"    u, t . grad u, t . H t          "normal"    n . grad u, t . H n          "clamped"    both

at the corners of the side as far as these are dofs, and what sits on the side itself. Where two sides meet in a corner
of the domain, those of both hold; pieces of one curved wall have one direction (with the directions of both all first
derivatives would vanish at every node, and the order with them). Along a wall c(s) with c'' = k the derivatives turn
with it: the second derivative of values is t . H t + k . grad u, that of the normal slope t . H n - (k . n) t . grad u.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.fem.entities import entities
from meshlearn.fem.functionals import Functionals
from meshlearn.fem.walls import outward_normals, walls

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_COLUMNS: dict[tuple[int, int], list[tuple[int, ...]]] = {
    (1, 1): [(0,)],
    (1, 2): [(0,), (1,)],
    (2, 2): [(0, 0), (0, 1), (1, 1)],
}  # (order, dimension) -> derivatives


class Relations(NamedTuple):
    """Rows sum_j entries[:, j] u[dofs[:, j]] (m, 5), entries 0 where there is nothing.

    owner  (m,) number of the corner, or -1 - dof for what sits on a side
    order  (m,) 0 for values, 1 for derivatives in one direction, 2 for those in two
    place, tangent, normal  (m, dim) of what a row is about; normals are 0 between two cells
    """

    dofs: np.ndarray
    entries: np.ndarray
    owner: np.ndarray
    order: np.ndarray
    place: np.ndarray
    tangent: np.ndarray
    normal: np.ndarray

    def pick(self, rows: np.ndarray) -> Relations:
        """Some of the rows."""
        return Relations(*(values[rows] for values in self))


def joined(parts: list[Relations]) -> Relations:
    """All rows of several."""
    return Relations(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def relations(
    space: FESpace, k: int, known: Functionals, where: Any, part: str, bend: float, turning: bool = True
) -> Relations:
    """The relations of a part of the mesh: sides, or points (with the sides of the boundary between them); of a
    subdomain all dofs. Raises ParameterError for sides in space.

    turning  whether values count along the wall, and normals turn with it; else derivatives count along the tangent
    """
    if space.dim > 2:
        raise ParameterError(
            f"boundary values of {type(space.blocks[k].element).__name__} are not taken apart in space: give the dofs, "
            "space.dirichlet(ml.fem.Dofs(numbers), values)."
        )
    found = entities(space, where)
    if len(found.cells):
        return _rows(space, np.unique(space.block_dofs(k)[:, found.cells].cpu().numpy()))
    at_corners = corner_dofs(space, k, known)
    made = [_rows(space, np.zeros(0, np.int64))]
    if part != "normal" and () in at_corners:
        made.append(_rows(space, at_corners[()][found.corners], found.corners))
    if space.dim == 1:
        if part != "value":
            outward = _ends(space, found.corners)
            made.append(_derived(space, at_corners, found.corners, [outward], 0 * outward, outward))
        return joined(made)
    corner, t, n, bent = walls(space, found.facets, bend)
    across = np.where(n.any(1, keepdims=True), n, np.stack([t[:, 1], -t[:, 0]], 1))
    bent = bent if turning else 0 * bent
    turn = -(bent * across).sum(1, keepdims=True) * t
    if part != "normal":
        made += [_derived(space, at_corners, corner, way, t, n, bent) for way in ([t], [t, t])]
    if part != "value":
        made += [_derived(space, at_corners, corner, way, t, n, turn) for way in ([across], [t, across])]
    return joined([*made, *_on_sides(space, k, known, found.facets, part)])


def corner_dofs(space: FESpace, k: int, known: Functionals) -> dict[tuple[int, ...], np.ndarray]:
    """{derivative: (n_corners,) dofs} at the corners of the cells."""
    corners = np.asarray(space.element.refdom.p, np.float64)
    table = space.block_dofs(k).cpu().numpy()
    made: dict[tuple[int, ...], np.ndarray] = {}
    for i, terms in enumerate(known.terms):
        at = np.flatnonzero(np.abs(corners - known.places[:, [terms[0].place]]).max(0) < 1e-9)
        if len(at) and len(terms) == 1:
            held = made.setdefault(terms[0].orders, np.zeros(space.skmesh.nvertices, np.int64))
            held[space.skmesh.t[at[0]]] = table[i]
    return made


def _rows(space: FESpace, dofs: np.ndarray, owner: np.ndarray | None = None) -> Relations:
    """One dof each."""
    m, nothing = len(dofs), np.zeros((len(dofs), space.dim))
    entries = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], (m, 1))
    place = nothing if owner is None else space.skmesh.p[:, owner].T
    owner = -1 - dofs if owner is None else owner
    return Relations(np.repeat(dofs[:, None], 5, 1), entries, owner, np.zeros(m, np.int64), place, nothing, nothing)


def _derived(
    space: FESpace,
    at_corners: dict[tuple[int, ...], np.ndarray],
    corner: np.ndarray,
    directions: list[np.ndarray],
    t: np.ndarray,
    n: np.ndarray,
    turn: np.ndarray | None = None,
) -> Relations:
    """The derivatives in some directions at corners, where all of those that they are made of are dofs.

    turn  (m, 2) first derivatives that second ones have beside them
    """
    m, order = len(corner), len(directions)
    dofs, entries = np.zeros((m, 5), np.int64), np.zeros((m, 5))
    usable = np.ones(m, bool)
    columns = [*_COLUMNS[order, space.dim], *(_COLUMNS[1, 2] if order == 2 and turn is not None else [])]
    for j, key in enumerate(columns):
        if len(key) == 1 and order == 2:
            assert turn is not None
            weight = turn[:, key[0]]
        elif order == 1:
            weight = directions[0][:, key[0]]
        else:
            a, b = directions
            weight = a[:, key[0]] * b[:, key[1]] + (a[:, key[1]] * b[:, key[0]] if key[0] != key[1] else 0.0)
        if key in at_corners:
            dofs[:, j], entries[:, j] = at_corners[key][corner], weight
        else:
            usable &= np.abs(weight) < 1e-12
    place = space.skmesh.p[:, corner].T
    made = Relations(dofs, entries, corner, np.full(m, order), place, t, n)
    return made.pick(usable & (entries != 0).any(1))


def _ends(space: FESpace, corners: np.ndarray) -> np.ndarray:
    """(k, 1) outward direction of the ends of a line, 1 inside."""
    skmesh = space.skmesh
    side = np.zeros(skmesh.nvertices)
    x = skmesh.p[0]
    np.add.at(side, skmesh.t, np.sign(x[skmesh.t] - x[skmesh.t].mean(0)))
    return np.where(side[corners] == 0, 1.0, np.sign(side[corners]))[:, None]


def _on_sides(space: FESpace, k: int, known: Functionals, facets: np.ndarray, part: str) -> list[Relations]:
    """Dofs on the sides themselves: values, and normal derivatives, which count along the outward normal here."""
    skmesh, corners = space.skmesh, np.asarray(space.element.refdom.p, np.float64)
    table, outward, made = space.block_dofs(k).cpu().numpy(), outward_normals(space, facets), []
    cells = skmesh.f2t[0, facets]
    local = (skmesh.t2f[:, cells] == facets).argmax(0)
    for j, ends in enumerate(space.element.refdom.facets):
        middle, mine = corners[:, list(ends)].mean(1), local == j
        for i, terms in enumerate(known.terms):
            if np.abs(known.places[:, terms[0].place] - middle).max() > 1e-9:
                continue
            rows = _rows(space, table[i, cells[mine]])
            if terms[0].orders == ():
                made += [rows] if part != "normal" else []
            elif part != "value":
                direction = np.zeros((len(rows.dofs), 2))
                for term in terms:
                    direction[:, term.orders[0]] += term.weights[cells[mine]]
                sign = np.where((direction * outward[mine]).sum(1) < 0, -1.0, 1.0)
                ends_there = skmesh.p[:, skmesh.facets[:, facets[mine]]].mean(1).T
                made.append(
                    rows._replace(
                        entries=rows.entries * sign[:, None],
                        order=np.ones(len(sign), np.int64),
                        place=ends_there,
                        normal=outward[mine],
                    )
                )
    return made
