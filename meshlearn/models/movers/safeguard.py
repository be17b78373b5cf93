"""How far simplices may move along straight paths before one of them gets too small: the exact first crossing.

With edge matrices E and their changes D, the measure of a cell along the path is the polynomial det(E + s D) in s, of
the degree of the dimension. Its critical points in [0, 1] bound intervals on which it is monotone; in the first of them
where it falls below the floor, the crossing is bisected to rounding and the safe end is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.batch import MeshBatch
from meshlearn.mesh.mesh import Mesh

SIMPLICES = {1: "line", 2: "triangle", 3: "tetra"}
_BISECTIONS = 60
_HOLD = 0.75
_HOLDS = 12  # rounds after which a point stays
_GENTLE = 200  # rounds after which whole surroundings stay, wider ones in every round
_LEAST = 0.05


def safe_cell_steps(
    points: Float[Tensor, "n dim"],
    moves: Float[Tensor, "n dim"],
    cells: Int64[Tensor, "n_cells k"],
    floor: float | Float[Tensor, " n_cells"] = 0.0,
) -> Float[Tensor, " n_cells"]:
    """(n_cells,): for each simplex the largest s in [0, 1] such that it stays above its floor on all of [0, s].

    points, moves  the points go from `points` to `points + s * moves`
    cells          simplices: k = dim + 1
    floor          smallest ratio of a cell's measure to its measure at s = 0; one for all, or one for each

    The cells' orientation at s = 0 counts as the right one. A cell that is below its floor at once gets 0, and so does
    one with a point or a move that is not finite. Computed in float64; returned in the dtype of the points.
    """
    edges = _edges(points.detach().double(), cells)
    changes = _edges(moves.detach().double(), cells)
    start = torch.linalg.det(edges)
    flat = start.abs() <= torch.finfo(torch.float64).tiny
    coefficients = _determinant(edges, changes) / torch.where(flat, 1.0, start)
    floors = torch.as_tensor(floor, dtype=torch.float64, device=points.device)
    coefficients = torch.cat([coefficients[:1] - floors.expand(1, len(cells)), coefficients[1:]])
    known = torch.isfinite(coefficients).all(0)
    return torch.where(flat | ~known, 0.0, _first_crossing(coefficients)).to(points.dtype)


def safe_step(
    mesh: Mesh | MeshBatch, target: Float[Tensor, "n dim"], floor: float = 1e-3
) -> Float[Tensor, ""] | Float[Tensor, " n_meshes"]:
    """The largest s with which all cells of `points + s (target - points)` stay above the floor: one for each mesh.

    mesh    lines, triangles or tetrahedra, or a `MeshBatch` of such meshes
    target  (n, dim) where the points would like to be
    floor   in [0, 1): smallest ratio of a cell's measure to its measure in `mesh`

    Returns () for a mesh, (n_meshes,) for a batch: 1 where nothing is in the way. Raises MeshError for other cells and
    for meshes that are tangled already, ParameterError for a target of another shape or that is not finite.

    >>> mesh = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 1, 2]]})
    >>> from meshlearn.models.movers import safe_step
    >>> safe_step(mesh, torch.tensor([[0.0, 0.0], [-3.0, 0.0], [0.0, 1.0]]), floor=0.0)
    tensor(0.2500)
    """
    if not 0 <= floor < 1:
        raise ParameterError(f"floor={floor!r}: expected a ratio of measures in [0, 1).")
    whole: Any = mesh.mesh if isinstance(mesh, MeshBatch) else mesh
    kind = SIMPLICES[whole.dim]
    if whole.domain_types != [kind]:
        raise MeshError(f"safe steps are for {kind} cells in {whole.dim}-D, the mesh has {whole.cell_counts}.")
    _check_target(whole, target)
    cells = whole.cells[kind]
    owner = torch.repeat_interleave(mesh.cell_ptr[kind].diff()) if isinstance(mesh, MeshBatch) else None
    _check_untangled(measures(whole.points.detach().double(), cells), owner)
    steps = safe_cell_steps(whole.points, target - whole.points, cells, floor)
    if owner is None or not isinstance(mesh, MeshBatch):
        return steps.min()
    return steps.new_ones(mesh.n_meshes).scatter_reduce(0, owner, steps, "amin")


def _check_target(mesh: Any, target: Tensor) -> None:
    if target.shape != mesh.points.shape:
        raise ParameterError(
            f"target has shape {tuple(target.shape)}, expected {tuple(mesh.points.shape)}: where each point would go."
        )
    bad = int((~torch.isfinite(target.detach())).any(1).sum())
    if bad:
        raise ParameterError(f"{bad} of {len(target)} points of the target are not finite: no step is safe.")


def _check_untangled(signed: Tensor, owner: Tensor | None) -> None:
    """Raises MeshError where cells of one mesh are oriented in both ways: which of them are right is not known."""
    owner = torch.zeros(len(signed), dtype=torch.int64, device=signed.device) if owner is None else owner
    counts = signed.new_zeros(int(owner[-1]) + 1 if len(owner) else 0, 2)
    counts = counts.index_add(0, owner, torch.stack([signed > 0, signed < 0], 1).to(signed))
    tangled = (counts > 0).all(1).nonzero().squeeze(1)
    if len(tangled):
        few, all_ = int(counts[tangled[0]].min()), int(counts[tangled[0]].sum())
        which = f"mesh {int(tangled[0])} of the batch" if len(counts) > 1 else "the mesh"
        raise MeshError(
            f"{which} is tangled before it is moved: {few} of {all_} cells are oriented against the others.\n  Wrongly "
            "numbered cells are turned by mesh.oriented(); a mesh that folds over itself has to be untangled or made "
            "anew."
        )


def safeguarded(mesh: Mesh, target: Float[Tensor, "n dim"], floor: float = 1e-3) -> tuple[Tensor, float]:
    """(points, s): as far towards the target as all cells stay valid, and how far that is.

    The points are differentiable in `target`; s counts as a number.
    """
    step = float(safe_step(mesh, target, floor))
    return (target if step == 1.0 else mesh.points + step * (target - mesh.points)), step


def held_back(
    points: Float[Tensor, "n dim"],
    moves: Float[Tensor, "n dim"],
    cells: Int64[Tensor, "n_cells k"],
    floor: float,
    place: Callable[[Tensor], Tensor] | None = None,
    start: Float[Tensor, " n_cells"] | None = None,
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"], Bool[Tensor, " n_cells"]]:
    """(moved points, share of its move that each point makes, which cells the whole moves would invert).

    points, moves  of one mesh, or of several side by side
    floor          in [0, 1): smallest ratio of a cell's measure to its measure before
    place          puts moved points (n, dim), each for itself, where they may be (on curved walls)
    start          `measures(points, cells)`, where they are known

    Only the points of cells that get too small, and if needed their neighbours', are held back, a quarter of their move
    at a time; the last ones stay. Where nothing is too small all shares are 1. After some hundred rounds, whatever the
    number of points, what is still too small stays, with surroundings that double from round to round.
    """
    start = measures(points, cells) if start is None else start
    share, loose = torch.ones_like(points[:, 0]), points + moves
    moved = loose if place is None else place(loose)
    ratio = measures(moved, cells) / start
    inverted, small = ratio <= 0, ~(ratio > floor)
    for round_ in range(_GENTLE + len(points).bit_length() + 1):
        if not bool(small.any()):
            return moved, share, inverted
        nodes = cells[small].reshape(-1)
        if round_ >= _GENTLE:
            nodes = _around(nodes, cells, len(points), min(2 ** (round_ - _GENTLE), len(points)))
            share = share.index_fill(0, nodes, 0.0)
        else:
            if round_ >= 2 * _HOLDS:  # a patch that does not come free: let go of its surroundings, too
                nodes = _around(nodes, cells, len(points), 1)
            lower = share.index_select(0, nodes) * _HOLD
            share = share.index_copy(0, nodes, torch.where(lower < _LEAST, 0.0, lower))
        held = share.index_select(0, nodes)[:, None] * moves.index_select(0, nodes)
        loose = loose.index_copy(0, nodes, points.index_select(0, nodes) + held)
        moved = loose if place is None else place(loose)
        near = _near(nodes, cells, len(points))  # no other cell has changed
        again = measures(moved, cells.index_select(0, near)) / start.index_select(0, near)
        small = small.index_copy(0, near, ~(again > floor))
    if not bool(small.any()):
        return moved, share, inverted
    return points, torch.zeros_like(share), inverted  # `place` makes cells too small even where nothing moves


def _near(nodes: Tensor, cells: Tensor, n_points: int) -> Tensor:
    """Numbers of the cells that have one of these nodes."""
    touched = torch.zeros(n_points, dtype=torch.bool, device=cells.device).index_fill(0, nodes, True)
    return touched.index_select(0, cells.reshape(-1)).reshape(cells.shape).any(1).nonzero().squeeze(1)


def _around(nodes: Tensor, cells: Tensor, n_points: int, rings: int) -> Tensor:
    """Points of these and of so many rings of cells around them; fewer where the mesh ends."""
    touched = torch.zeros(n_points, dtype=torch.bool, device=cells.device).index_fill(0, nodes, True)
    for _ in range(rings):
        wider = cells[touched.index_select(0, cells.reshape(-1)).reshape(cells.shape).any(1)].reshape(-1)
        if bool(touched.index_select(0, wider).all()):
            break
        touched = touched.index_fill(0, wider, True)
    return touched.nonzero().squeeze(1)


def measures(points: Float[Tensor, "n dim"], cells: Int64[Tensor, "n_cells k"]) -> Float[Tensor, " n_cells"]:
    """Determinants of the edges of simplices: signed measures times the factorial of the dimension."""
    return of_columns([x.contiguous() for x in points.unbind(1)], cells.t().reshape(-1))


def of_columns(coordinates: list[Tensor], nodes: Tensor) -> Tensor:
    """The same from coordinates dim x (n,) and the first nodes of all cells, the second ones, ...

    Gathers and sums by columns: several times faster than over rows of two or three numbers.
    """
    dim = len(coordinates)
    corners = [x.index_select(0, nodes).reshape(dim + 1, -1) for x in coordinates]
    E = [[x[k] - x[0] for x in corners] for k in range(1, dim + 1)]  # E[k][i]: edge k, component i
    if dim == 1:
        return E[0][0]
    if dim == 2:
        return E[0][0] * E[1][1] - E[0][1] * E[1][0]
    a, b, c = E
    cross = [b[i] * c[j] - b[j] * c[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return a[0] * cross[0] + a[1] * cross[1] + a[2] * cross[2]


def _edges(points: Tensor, cells: Tensor) -> Tensor:
    corners = points.index_select(0, cells.reshape(-1)).reshape(*cells.shape, -1)
    return corners[:, 1:] - corners[:, :1]


def _determinant(E: Tensor, D: Tensor) -> Tensor:
    """(dim + 1, n): coefficients of det(E + s D), the constant first."""
    dim = E.shape[-1]
    if dim == 1:
        return torch.stack([E[:, 0, 0], D[:, 0, 0]])
    if dim == 2:
        mixed = _det2(E[:, 0], D[:, 1]) + _det2(D[:, 0], E[:, 1])
        return torch.stack([_det2(E[:, 0], E[:, 1]), mixed, _det2(D[:, 0], D[:, 1])])
    pairs = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    linear = sum(_det3(D[:, i], E[:, j], E[:, k]) for i, j, k in pairs)
    quadratic = sum(_det3(E[:, i], D[:, j], D[:, k]) for i, j, k in pairs)
    rows = [_det3(*E.unbind(1)), linear, quadratic, _det3(*D.unbind(1))]
    return torch.stack(rows)  # type: ignore[arg-type]


def _det2(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _det3(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (a * torch.linalg.cross(b, c)).sum(-1)


def _first_crossing(c: Tensor) -> Tensor:
    """Largest s in [0, 1] with a positive polynomial on [0, s); coefficients (degree + 1, n)."""
    stops = [torch.zeros_like(c[0]), *_critical(c), torch.ones_like(c[0])]
    ends = torch.stack(stops).nan_to_num(1.0).clamp(0, 1).sort(0).values
    safe, done = torch.ones_like(c[0]), torch.zeros_like(c[0], dtype=torch.bool)
    for low, high in pairwise(ends.unbind(0)):
        crosses = ~done & (_value(c, high) <= 0)
        if not bool(crosses.any()):
            continue
        left, right = low.clone(), high.clone()
        for _ in range(_BISECTIONS):
            middle = (left + right) / 2
            positive = _value(c, middle) > 0
            left, right = torch.where(positive, middle, left), torch.where(positive, right, middle)
        safe = torch.where(crosses, left, safe)
        done |= crosses
    return torch.where(c[0] <= 0, 0.0, safe)


def _value(c: Tensor, s: Tensor) -> Tensor:
    total = c[-1]
    for row in reversed(c[:-1].unbind(0)):
        total = total * s + row
    return total


def _critical(c: Tensor) -> list[Tensor]:
    """Where the derivative vanishes; NaN where it does not."""
    if len(c) == 2:
        return []
    if len(c) == 3:
        return [-c[1] / (2 * c[2])]
    a, b, d = 3 * c[3], 2 * c[2], c[1]
    root = (b * b - 4 * a * d).sqrt()
    q = -(b + torch.where(b < 0, -root, root)) / 2
    return [q / a, d / q]
