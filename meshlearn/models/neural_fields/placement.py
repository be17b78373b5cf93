"""Where the latents of a mesh begin: spread evenly over it, with axes that turn with it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meshlearn import ops

STEPS = 8  # of Lloyd's iteration
SOFT = 0.1  # how widely places share points, against the squared distance to the nearest
UNEVEN = 0.1  # of the distance from the middle, beside that between places: regular meshes have many points as far
CHUNK = 2**16  # points at a time
EXACT = "donot_use_mm_for_euclid_dist"
FLAT = 1e-6
LATTICE = 2.0**-20  # of the extent
COARSER = 16  # steps of the lattice that places are rounded to where distances are compared
# The projection on this direction orders the points of a mesh: no lattice has two points with the same value.
DIRECTION = (1.0, 0.6180339887498949, 0.3247179572447460)


def spread(
    points: Float[Tensor, "n dim"], weights: Float[Tensor, " n"], n: int, steps: int = STEPS
) -> Float[Tensor, "m dim"]:
    """(n, dim) places spread over weighted points: farthest points, then centres of their cells (Lloyd 1982).

    Weights are shares of area or volume, so that the result depends little on how fine the mesh is, and where. The
    order of the points does not matter: they are sorted along a direction, and choices are made on a fine lattice,
    where what is equal but for rounding is equal. Points that lie as far from one place as from another go to either,
    and rotations may change that: for places that turn with a mesh there is `spread_over`.
    """
    x, w, lattice, unit = _on_lattice(points, weights)
    w = (w / w.max() / LATTICE).round()
    middle = ((w @ lattice) / w.sum()).round()
    start = int((lattice - middle).square().sum(1).argmin())
    places = ops.gather(lattice, ops.farthest_point_sampling(lattice, n, start=start))
    for _ in range(steps):
        nearest = ops.knn((places / COARSER).round() * COARSER, lattice, 1)[1][:, 0]
        mass = w.new_zeros(n).index_add_(0, nearest, w)
        sums = torch.zeros_like(places).index_add_(0, nearest, w[:, None] * x)
        places = torch.where(mass[:, None] > 0, sums / mass[:, None].clamp(min=1e-300), places)
    return (places * unit).to(points)


def spread_over(
    points: Float[Tensor, "n dim"], weights: Float[Tensor, " n"], n: int, steps: int = STEPS
) -> Float[Tensor, "m dim"]:
    """(n, dim) places spread over the points of one mesh, that move and turn with it.

    The point nearest the middle and those farthest from each other, then means of all points with the shares
    softmax_j(-|x - p_j|^2 / q), where q is a tenth of the mean squared distance to the nearest place (steps of
    expectation maximisation for a mixture of Gaussians; K. Rose 1998, "Deterministic annealing", Proc. IEEE 86).
    Nothing jumps where a point lies as far from one place as from another, which on regular meshes many do: rotated
    points give rotated places, but for rounding. Shapes with symmetries still have several equally good choices.
    """
    x, w, lattice, unit = _on_lattice(points, weights)
    far = (lattice - (w @ x) / w.sum()).norm(dim=1, keepdim=True)
    seen = torch.cat([lattice, (UNEVEN * far * far / far.max().clamp(min=1e-300)).round()], 1)
    places = ops.gather(x, ops.farthest_point_sampling(seen, n, start=int(far.argmin())))
    spacing = _shares(x, w, places, torch.inf)[2]
    for _ in range(steps):
        sums, mass, spacing = _shares(x, w, places, spacing)
        places = torch.where(mass[:, None] > 0, sums / mass[:, None].clamp(min=1e-300), places)
    return (places * unit).to(points)


def _on_lattice(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    """Points, their weights, the points rounded to a lattice, in an order that does not depend on how they are
    numbered, all in units of the lattice; and this unit."""
    x, w = points.detach().double(), weights.detach().double()
    unit = 2.0 ** torch.ceil(torch.log2(x.abs().max().clamp(min=1e-300))) * LATTICE
    lattice = (x / unit).round()
    order = in_order(lattice)
    return ops.gather(x, order) / unit, ops.gather(w, order), ops.gather(lattice, order), float(unit)


def _shares(x: Tensor, w: Tensor, places: Tensor, spacing: float) -> tuple[Tensor, Tensor, float]:
    """Weighted sums of the points that places share, their masses, and the mean squared distance to the nearest."""
    sums, mass, near = torch.zeros_like(places), x.new_zeros(len(places)), 0.0
    for part in range(0, len(x), CHUNK):
        some, weight = x[part : part + CHUNK], w[part : part + CHUNK]
        squared = torch.cdist(some, places, compute_mode=EXACT).square()
        near += float(weight @ squared.min(1).values)
        share = torch.softmax(-squared / max(SOFT * spacing, 1e-300), 1) * weight[:, None]
        sums, mass = sums + share.mT @ some, mass + share.sum(0)
    return sums, mass, near / float(w.sum())


def in_order(points: Float[Tensor, "n dim"]) -> Int[Tensor, " n"]:
    """The numbers of the points, along a direction: an order that does not depend on how they are numbered."""
    return torch.argsort(points @ points.new_tensor(DIRECTION[: points.shape[1]]), stable=True)


def frames(positions: Float[Tensor, "m dim"], center: Float[Tensor, " dim"]) -> Float[Tensor, "m dim dim"]:
    """A rotation for every position that turns when all positions and the centre do.

    The first axis points away from the centre. In space the second is the part perpendicular to it of the direction to
    the nearest other position that is not in line; a position at the centre, or in line with all others, keeps the axes
    of the coordinates, so that there rotations change the outcome.
    """
    m, dim = positions.shape
    x = positions.double() - center.double()
    eye = torch.eye(dim, dtype=torch.float64, device=x.device)
    size = float(x.norm(dim=1).max()) or 1.0
    away = x / size
    first = _unit(away, eye[0])
    if dim == 2:
        return torch.stack([first, torch.stack([-first[:, 1], first[:, 0]], 1)], 2).to(positions)
    others = (away[None] - away[:, None]) if m > 1 else away.new_zeros(m, 1, 3)
    across = others - (others * first[:, None]).sum(-1, keepdim=True) * first[:, None]
    usable = across.norm(dim=-1) > 1e-3
    choice = torch.where(usable, others.norm(dim=-1), torch.inf).argmin(1)
    second = across[torch.arange(m, device=x.device), choice]
    least = eye[first.abs().argmin(1)]
    fallback = torch.linalg.cross(first, least)
    second = torch.where(usable.any(1)[:, None], second, fallback)
    second = second / second.norm(dim=1, keepdim=True)
    return torch.stack([first, second, torch.linalg.cross(first, second)], 2).to(positions)


def _unit(x: Tensor, default: Tensor) -> Tensor:
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length > FLAT, x / length.clamp(min=FLAT), default.expand_as(x))
