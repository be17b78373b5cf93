"""Shallow water on any planar mesh, over any ground: waves, dam breaks, lakes.

h_t + div(h u) = 0, (h u)_t + div(h u (x) u + g h^2 / 2) = -g h grad b: water of depth h over a ground of height b.

Finite volumes on the cells of the mesh: the fluxes of A. Harten, P. Lax, B. van Leer 1983 (with the wave speeds of B.
Einfeldt 1988, that are right for a dry bed, too), the depths at a side by hydrostatic reconstruction, so that a lake at
rest stays at rest exactly: E. Audusse, F. Bouchut, M.-O. Bristeau, R. Klein, B. Perthame 2004, SIAM J. Sci. Comput. 25,
section 2. Of first order in space and time: fronts are as wide as some cells, depths never become negative, and mass is
kept to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, SimulationError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.ops import Adjacency, neighbor_sum
from meshlearn.sim.marching import check_march, refuse_gradients
from meshlearn.sim.values import evaluate
from meshlearn.train.option_checks import number

_POSITIVE = number("a positive number", lambda value: value > 0)
DRY = 1e-10  # of the greatest depth: below, water does not move
COURANT = 0.45
MOST_STEPS = 1_000_000


def shallow_water(
    mesh: Mesh,
    height: Any,
    velocity: Any = None,
    ground: Any = None,
    gravity: Any = 9.81,
    time_step: float = 0.05,
    frames: int = 20,
) -> Trajectory:
    """Solve the shallow water equations from given values on, between walls.

    mesh        planar, of triangles, quads or both; its whole boundary is a wall
    height      depth h of the water at time 0, at least 0: a number, a function of the place x (2, n), or a cell field,
                (n_cells,) or by its name
    velocity    at time 0: (u_x, u_y), a function of the place that returns such, or a cell field (n_cells, 2); rest
                unless given
    ground      height b of the ground, as `height`; 0 unless given
    gravity     g, in length / time^2
    time_step, frames
                time from frame to frame, and their number after the first; the solver takes as many steps in between as
                stability needs (waves pass through less than half of a cell)

    Returns a Trajectory with the cell fields height (), velocity (2,) (0 where it is dry) in time and ground () of the
    mesh, in the dtype of the points. Computed in float64, without gradients: arguments that require one are refused.
    Raises MeshError for a mesh that is not planar, FieldError and ParameterError for values that do not fit, and
    SimulationError where a frame would need more than a million steps.

    >>> box = ml.shapes.rectangle(2.0, 1.0, n=(20, 10), cells="quad")
    >>> wave = ml.sim.shallow_water(box, lambda x: torch.where(x[0] < 1.0, 2.0, 1.0), frames=4)
    >>> wave.cell_data["velocity"]["quad"].shape
    torch.Size([5, 200, 2])
    """
    check_march(time_step, frames, 1)
    g = float(_POSITIVE("gravity", gravity))
    given = {"height": height, "velocity": velocity, "ground": ground, "mesh.points": mesh.points}
    refuse_gradients("shallow_water", **given)
    cells = _Cells(mesh)
    depth, bed = _scalar(cells, "height", height), _scalar(cells, "ground", 0.0 if ground is None else ground)
    if bool((depth < 0).any()):
        raise FieldError(f"height is below 0 in {int((depth < 0).sum())} cells: the least is {float(depth.min()):.3g}.")
    moving = _vector(cells, velocity)
    state = torch.cat([depth[:, None], depth[:, None] * moving], dim=1)
    flow = _Flow(cells, bed, g, DRY * max(float(depth.max()), 1e-300))
    kept = [state]
    for _ in range(frames):
        state = flow.advance(state, time_step)
        kept.append(state)
    states = torch.stack(kept)
    times = time_step * torch.arange(frames + 1, dtype=torch.float64)
    u = torch.stack([flow.velocity(state) for state in kept])
    base = mesh.with_cell_data(ground=_split(mesh, bed.to(mesh.points), 0))
    fields = {"height": _split(mesh, states[..., 0].to(mesh.points), 1), "velocity": _split(mesh, u.to(mesh.points), 1)}
    return Trajectory(base, times, cell_data=fields)


class _Cells:
    """Areas, and sides with their normals and the cells left and right of them."""

    def __init__(self, mesh: Mesh) -> None:
        if mesh.dim != 2 or mesh.cell_dim != 2 or set(mesh.domain_types) - {"triangle", "quad"}:
            raise MeshError(
                f"shallow water needs a planar mesh of triangles and quads; this one has {mesh.domain_types} in "
                f"{mesh.dim}-D.\n  Drop a constant coordinate, or make cells of first order."
            )
        self.mesh = mesh = mesh.double()
        self.area = torch.cat([mesh.cell_measures()[kind] for kind in mesh.domain_types])
        self.centres = torch.cat([mesh.cell_centroids()[kind] for kind in mesh.domain_types])
        self.n = len(self.area)
        sides = mesh.topology.facets["line"]
        if bool((sides.count > 2).any()):
            raise MeshError("a side of the mesh belongs to more than two cells: ml.check_mesh(mesh) says where.")
        first, second = sides.cells.unbind(1)
        ends = mesh.points.index_select(0, sides.nodes.reshape(-1)).reshape(-1, 2, 2)
        along = ends[:, 1] - ends[:, 0]
        self.length = along.norm(dim=1)
        normal = torch.stack([along[:, 1], -along[:, 0]], dim=1) / self.length[:, None]
        outward = ((ends.mean(1) - self.centres.index_select(0, first)) * normal).sum(1, keepdim=True)
        self.normal = torch.where(outward < 0, -normal, normal)
        self.wall = second < 0
        self.first, self.second = first, torch.where(self.wall, first, second)
        numbers = torch.arange(len(first))
        inside = ~self.wall
        self.around = Adjacency.from_edges(
            torch.cat([numbers, len(first) + numbers[inside]]),
            torch.cat([first, second[inside]]),
            self.n,
            2 * len(first),
        )
        self.perimeter = neighbor_sum(torch.cat([self.length, self.length]), self.around)

    def total(self, to_first: Tensor, to_second: Tensor) -> Tensor:
        """(n_cells, 3): what comes through the sides of every cell."""
        return neighbor_sum(torch.cat([to_first, to_second]), self.around)


class _Flow:
    """The states (n_cells, 3) of the water, depth and momentum, one step after another."""

    def __init__(self, cells: _Cells, ground: Tensor, gravity: float, dry: float) -> None:
        self.cells, self.ground, self.gravity, self.dry = cells, ground, gravity, dry

    def velocity(self, state: Tensor) -> Float[Tensor, "n 2"]:
        """Momentum over depth; 0 where it is dry."""
        depth = state[:, :1]
        return torch.where(depth > self.dry, state[:, 1:] / depth.clamp_min(self.dry), 0.0)

    def advance(self, state: Tensor, time: float) -> Tensor:
        """The state after some time."""
        left = time
        for _ in range(MOST_STEPS):
            u = self.velocity(state)
            fastest = u.norm(dim=1) + (self.gravity * state[:, 0]).sqrt()
            step = COURANT * float((2 * self.cells.area / (self.cells.perimeter * fastest.clamp_min(1e-300))).min())
            if not step > 0:  # nor a number
                break
            step = left if step >= left else left / math.ceil(left / step)
            state = state + step * self._rate(state, u)
            left -= step
            if left <= 1e-12 * time:
                return state
        raise SimulationError(
            f"a frame of {time:g} needs more than {MOST_STEPS} steps: water too fast for cells as small as these."
        )

    def _rate(self, state: Tensor, u: Tensor) -> Tensor:
        """d(state)/dt by the fluxes through all sides."""
        cells, g = self.cells, self.gravity
        depth = [state[:, 0].index_select(0, side) for side in (cells.first, cells.second)]
        bed = [self.ground.index_select(0, side) for side in (cells.first, cells.second)]
        step = torch.maximum(*bed)
        h = [(d + b - step).clamp_min(0.0) for d, b in zip(depth, bed, strict=True)]
        speeds = [u.index_select(0, side) for side in (cells.first, cells.second)]
        across = [(speed * cells.normal).sum(1) for speed in speeds]
        mirrored = speeds[0] - 2 * across[0][:, None] * cells.normal
        speeds[1] = torch.where(cells.wall[:, None], mirrored, speeds[1])
        across[1] = torch.where(cells.wall, -across[0], across[1])
        flux = self._flux(h, speeds, across)
        push = [0.5 * g * (d.square() - r.square()) for d, r in zip(depth, h, strict=True)]
        zero = torch.zeros_like(flux[:, :1])
        parts = [
            torch.cat([zero, pressure[:, None] * cells.normal], dim=1) * cells.length[:, None] for pressure in push
        ]
        flux = flux * cells.length[:, None]
        return cells.total(-(flux + parts[0]), flux + parts[1]) / cells.area[:, None]

    def _flux(self, h: list[Tensor], u: list[Tensor], across: list[Tensor]) -> Tensor:
        """(n_sides, 3) along the normal, by the speeds of the slowest and the fastest wave."""
        g, normal = self.gravity, self.cells.normal
        wave = [(g * depth).sqrt() for depth in h]
        middle_speed = 0.5 * (across[0] + across[1]) + wave[0] - wave[1]
        middle_wave = (0.5 * (wave[0] + wave[1]) + 0.25 * (across[0] - across[1])).clamp_min(0.0)
        low = torch.minimum(across[0] - wave[0], middle_speed - middle_wave)
        high = torch.maximum(across[1] + wave[1], middle_speed + middle_wave)
        low = torch.where(h[0] <= self.dry, across[1] - 2 * wave[1], low).clamp_max(0.0)
        high = torch.where(h[1] <= self.dry, across[0] + 2 * wave[0], high).clamp_min(0.0)
        states, fluxes = [], []
        for depth, speed, through in zip(h, u, across, strict=True):
            momentum = depth[:, None] * speed
            states.append(torch.cat([depth[:, None], momentum], dim=1))
            pressure = 0.5 * g * depth.square()
            carried = momentum * through[:, None] + pressure[:, None] * normal
            fluxes.append(torch.cat([(depth * through)[:, None], carried], dim=1))
        low, high = low[:, None], high[:, None]
        spread = (high - low).clamp_min(1e-300)
        return (high * fluxes[0] - low * fluxes[1] + low * high * (states[1] - states[0])) / spread


def _scalar(cells: _Cells, name: str, given: Any) -> Tensor:
    """(n_cells,) values of an argument."""
    if isinstance(given, str):
        data = cells.mesh.cell_data
        if given not in data:
            raise FieldError(f"the mesh has no cell field {given!r}; it has {', '.join(data) or 'none'}.")
        given = torch.cat([data[given][kind] for kind in cells.mesh.domain_types])
    if isinstance(given, Tensor) and given.dim() > 0:
        return _finite(name, given, (cells.n,))
    return _finite(name, evaluate(given, cells.centres, 0), (cells.n,))


def _vector(cells: _Cells, given: Any) -> Tensor:
    """(n_cells, 2) velocity."""
    if given is None:
        return cells.centres.new_zeros(cells.n, 2)
    if isinstance(given, Tensor) and given.dim() == 2:
        return _finite("velocity", given, (cells.n, 2))
    return _finite("velocity", evaluate(given, cells.centres, 2), (cells.n, 2))


def _finite(name: str, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    values = values.detach().double()
    if tuple(values.shape) != shape:
        raise FieldError(f"{name} has shape {tuple(values.shape)}; {shape} is expected, a value per cell.")
    if not bool(torch.isfinite(values).all()):
        raise FieldError(f"{int((~torch.isfinite(values)).sum())} values of {name} are not finite.")
    return values


def _split(mesh: Mesh, values: Tensor, axis: int) -> dict[str, Tensor]:
    """{cell type: values of its cells} from values of all cells along an axis."""
    counts = [len(mesh.cells[kind]) for kind in mesh.domain_types]
    return dict(zip(mesh.domain_types, values.split(counts, dim=axis), strict=True))
