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

    The cells' orientation at s = 0 counts as the right one. A cell that is below its floor at once gets 0. Computed in
    float64; returned in the dtype of the points.
    """
    edges = _edges(points.detach().double(), cells)
    changes = _edges(moves.detach().double(), cells)
    start = torch.linalg.det(edges)
    flat = start.abs() <= torch.finfo(torch.float64).tiny
    coefficients = _determinant(edges, changes) / torch.where(flat, 1.0, start)
    floors = torch.as_tensor(floor, dtype=torch.float64, device=points.device)
    coefficients = torch.cat([coefficients[:1] - floors.expand(1, len(cells)), coefficients[1:]])
    return torch.where(flat, 0.0, _first_crossing(coefficients)).to(points.dtype)


def safe_step(
    mesh: Mesh | MeshBatch, target: Float[Tensor, "n dim"], floor: float = 1e-3
) -> Float[Tensor, ""] | Float[Tensor, " n_meshes"]:
    """The largest s with which all cells of `points + s (target - points)` stay above the floor: one for each mesh.

    mesh    lines, triangles or tetrahedra, or a `MeshBatch` of such meshes
    target  (n, dim) where the points would like to be
    floor   in [0, 1): smallest ratio of a cell's measure to its measure in `mesh`

    Returns () for a mesh, (n_meshes,) for a batch: 1 where nothing is in the way. Raises MeshError for other cells.

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
    steps = safe_cell_steps(whole.points, target - whole.points, whole.cells[kind], floor)
    if not isinstance(mesh, MeshBatch):
        return steps.min()
    owner = torch.repeat_interleave(mesh.cell_ptr[kind].diff())
    return steps.new_ones(mesh.n_meshes).scatter_reduce(0, owner, steps, "amin")


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
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"], Bool[Tensor, " n_cells"]]:
    """(moved points, share of its move that each point makes, which cells the whole moves would invert).

    points, moves  of one mesh, or of several side by side
    floor          in [0, 1): smallest ratio of a cell's measure to its measure before
    place          puts moved points (n, dim) where they may be (on curved walls)

    Only the points of cells that get too small, and if needed their neighbours', are held back, a quarter of their move
    at a time; the last ones stay. Where nothing is too small all shares are 1. After some hundred rounds, whatever the
    number of points, what is still too small stays, with surroundings that double from round to round.
    """
    start = measures(points, cells)
    share = points.new_ones(len(points))
    inverted: Tensor | None = None
    for round_ in range(_GENTLE + len(points).bit_length() + 2):
        moved = points + share[:, None] * moves
        moved = moved if place is None else place(moved)
        ratio = measures(moved, cells) / start
        if inverted is None:
            inverted = ratio <= 0
        small = ~(ratio > floor)
        if not bool(small.any()):
            return moved, share, inverted
        nodes = cells[small].reshape(-1)
        if round_ >= _GENTLE:
            nodes = _around(nodes, cells, len(points), min(2 ** (round_ - _GENTLE), len(points)))
            share = share.index_fill(0, nodes, 0.0)
            continue
        if round_ >= 2 * _HOLDS:  # a patch that does not come free: let go of its surroundings, too
            nodes = _around(nodes, cells, len(points), 1)
        lower = share.index_select(0, nodes) * _HOLD
        share = share.index_copy(0, nodes, torch.where(lower < _LEAST, 0.0, lower))
    assert inverted is not None
    return points, torch.zeros_like(share), inverted  # `place` makes cells too small even where nothing moves


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
    E = _edges(points, cells)
    if E.shape[1] == 1:
        return E[:, 0, 0]
    return _det2(E[:, 0], E[:, 1]) if E.shape[1] == 2 else _det3(*E.unbind(1))


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
