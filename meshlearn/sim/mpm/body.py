"""A body: particles of one material."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh import checks
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.motion.arguments import check_constants, floats, need_mesh, positive
from meshlearn.sim.mpm.material import Material

MOST_PARTICLES = 2**26


class Body:
    """Particles of one material.

    points    (n, dim) float32 or float64, or a Mesh, whose points they are
    material  `NeoHookean`, `Corotated`, `Water`, `VonMises`, `Sand`, or one of your own
    volume    of each particle at rest, (n,) or a number: the volume of the body over n when they fill it evenly
    density   mass per volume at rest
    velocity  at the start: a number (0), (dim,) or (n, dim); gradients flow to it, as to the points

    `Body.fill` makes the particles from a mesh. Raises ParameterError for values that do not fit.
    """

    def __init__(self, points: Any, material: Any, volume: Any, density: Any = 1000.0, velocity: Any = 0.0) -> None:
        points = points.points if isinstance(points, Mesh) else checks.tensor(points, "points")
        if points.dim() != 2 or points.shape[1] not in (2, 3) or not len(points) or not points.is_floating_point():
            raise ParameterError(
                f"points of a body are (n, 2) or (n, 3) floats, not {points.dtype} {tuple(points.shape)}."
            )
        if not isinstance(material, Material):
            raise ParameterError(f"a material is needed, such as NeoHookean(1e5, 0.3), not {material!r:.60}.")
        check_constants(material, len(points), "particles")
        self.points: Tensor = points
        self.material = material
        self.density = positive("density", density)
        self.volume = _fitted("volume", volume, points, (len(points),))
        if not bool((self.volume > 0).all()):
            raise ParameterError(f"volumes must be positive; the smallest is {float(self.volume.min()):g}.")
        self.velocity = _fitted("velocity", velocity, points, tuple(points.shape))

    @staticmethod
    def fill(
        mesh: Any,
        material: Any,
        spacing: Any,
        density: Any = 1000.0,
        velocity: Any = 0.0,
        shift: Any = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> Body:
        """Fill a mesh of triangles, quads (planar) or solid cells with particles on a lattice.

        spacing   distance of the particles; half a cell of the grid is usual
        shift     (dim,): moves the mesh first
        jitter    moves each by up to this share of the distance along every axis, at most 0.5
        velocity  a number (0), (dim,), or a function of the places (n, dim) of the particles that returns theirs

        All particles have the same volume, that of the mesh over their number.

        >>> from meshlearn.sim import mpm
        >>> disc = mpm.Body.fill(ml.shapes.disc(1.0, n=16), mpm.NeoHookean(), spacing=0.1)
        >>> len(disc.points), round(disc.volume.sum().item(), 2)
        (316, 3.14)
        """
        need_mesh("mesh", mesh)
        spacing = positive("spacing", spacing)
        if mesh.cell_dim != mesh.dim or mesh.dim not in (2, 3):
            raise ParameterError(
                f"a body fills a planar mesh of triangles and quads or a solid one; this has cells {mesh.cell_counts} "
                f"in {mesh.dim}-D."
            )
        if not 0 <= jitter <= 0.5:
            raise ParameterError(f"jitter is a share of the spacing from 0 to 0.5, not {jitter}.")
        points = _lattice(mesh, spacing, float(jitter), seed)
        points = points + _fitted("shift", shift, points, (mesh.dim,))
        velocity = velocity(points) if callable(velocity) else velocity
        return Body(points, material, float(mesh.measure().detach()) / len(points), density, velocity)

    @property
    def n(self) -> int:
        """Number of particles."""
        return len(self.points)

    def __repr__(self) -> str:
        return f"Body({self.n} particles in {self.points.shape[1]}-D, {self.material!r}, density={self.density:g})"


def _lattice(mesh: Mesh, spacing: float, jitter: float, seed: int) -> Tensor:
    """Centres of lattice cells that lie in the mesh, in its dtype and on its device."""
    from meshlearn.mesh.location import PointLocator

    low, high = mesh.bounding_box().detach().double().cpu()
    counts = ((high - low) / spacing - 1e-4).ceil().long().clamp(min=1)
    if int(counts.prod()) > MOST_PARTICLES:
        raise ParameterError(
            f"spacing={spacing:g} puts {int(counts.prod())} particles into the box around the mesh, more than "
            f"{MOST_PARTICLES}: take a larger distance."
        )
    margin = (high - low - spacing * counts) / 2
    axes = [
        low[i] + margin[i] + spacing * (torch.arange(int(counts[i]), dtype=torch.float64) + 0.5)
        for i in range(mesh.dim)
    ]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, mesh.dim)
    if jitter:
        random = torch.rand(points.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        points = points + 2 * jitter * spacing * (random - 0.5)
    inside = PointLocator(mesh.cpu().double()).locate(points).status == 0
    if not bool(inside.any()):
        raise ParameterError(f"no particle lies in the mesh: spacing={spacing:g} is too large for it.")
    return points[inside].to(mesh.points.detach())


def _fitted(name: str, value: Any, points: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A value as a tensor of a shape, in the dtype and on the device of the points; finite."""
    values = floats(name, value, points)
    try:
        values = values.expand(shape)
    except RuntimeError:
        raise ParameterError(f"{name} has shape {tuple(values.shape)}, which does not fit {shape}.") from None
    if not bool(torch.isfinite(values.detach()).all()):
        raise ParameterError(f"{name} holds values that are not finite.")
    return values
