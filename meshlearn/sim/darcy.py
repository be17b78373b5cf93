"""Data sets of Darcy flow through random media, on squares and on plates with holes.

-div(k grad u) = f with u = 0 on the whole boundary, k a random permeability: the standard test of operator networks
(Z. Li et al. 2021, "Fourier neural operator for parametric partial differential equations", arXiv:2010.08895, section
5.2: k = 12 where a Gaussian field of covariance (-Laplace + 9)^-2 with zero Neumann conditions is positive and 3 where
it is not, f = 1), here on unstructured meshes, with holes, and with finite elements for the reference.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.refinement import refine
from meshlearn.mesh.shapes.plate import plate_with_holes
from meshlearn.sim.collection import bounds, collect, design, mesher_seed
from meshlearn.sim.holes import circles, hole_numbers, hole_ranges
from meshlearn.sim.plate import Range
from meshlearn.sim.poisson import poisson

MEDIA = ("binary", "lognormal")
LOW, HIGH = 3.0, 12.0


class GaussianField:
    """A random function on the unit square, a sum of cosines: a function of the place, not of any mesh.

    Its covariance is (-Laplace + tau^2)^-alpha with zero Neumann conditions, without the constant, scaled so that its
    variance, averaged over the square, is 1: coefficients z_kl (pi^2 (k^2 + l^2) + tau^2)^(-alpha / 2), z_kl normal.

    >>> from meshlearn.sim.darcy import GaussianField
    >>> field = GaussianField(seed=0)
    >>> bool(field(torch.tensor([[0.2, 0.7]])) == field(torch.tensor([[0.2, 0.7]])))
    True
    """

    def __init__(self, seed: int, tau: float = 3.0, alpha: float = 2.0, modes: int = 24) -> None:
        k = np.arange(modes)
        wave = math.pi**2 * (k[:, None] ** 2 + k[None, :] ** 2) + tau**2
        size = wave ** (-alpha / 2) * np.where(k[:, None] > 0, math.sqrt(2), 1.0) * np.where(k > 0, math.sqrt(2), 1.0)
        size[0, 0] = 0.0
        draw = np.random.default_rng(seed).standard_normal((modes, modes))
        # a cosine has the mean square 1 / 2, so the mean variance is the sum of the squares of `wave`'s powers
        spread = math.sqrt(float((wave**-alpha).sum() - wave[0, 0] ** -alpha))
        self.amplitudes = torch.from_numpy(size * draw / spread)

    def __call__(self, points: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """(n,) values at points (n, 2), in their dtype."""
        k = math.pi * torch.arange(len(self.amplitudes), dtype=torch.float64, device=points.device)
        along, up = (torch.cos(points[:, axis : axis + 1].double() * k) for axis in (0, 1))
        return ((along @ self.amplitudes.to(points.device)) * up).sum(1).to(points.dtype)


def make_darcy(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    holes: Any = (0, 2),
    size: Range = (0.03, 0.05),
    medium: Any = "lognormal",
    source: Range = (0.5, 2.0),
    contrast: float = 1.0,
    finer: int = 1,
    progress: bool = False,
) -> list[Mesh]:
    """Draw, mesh and solve `n` cases of Darcy flow on the unit square; write them as `darcy_0000.vtu` … if asked to.

    n, seed   case i depends on the seed and on i only
    holes     number of round holes, 0 to 4, or (fewest, most); u = 0 on their walls as well
    size      edge length, or (smallest, largest), drawn evenly in its logarithm
    medium    "lognormal": k = exp(contrast g), or "binary": 12 where g > 0 and 3 elsewhere, g a `GaussianField`
    source    f, constant over the domain, or a range to draw from
    contrast  standard deviation of log k of the first medium
    finer     the reference is solved on the mesh refined so many times, and taken at its points
    progress  show a progress bar (on a terminal)

    Every mesh is planar, float32, of triangles, with the boundaries of `ml.shapes.plate_with_holes`, and has
      point_data   permeability (), u ()
      cell_data    permeability_at_centre ()
      global_data  source ()
    Raises ParameterError for impossible requests, and for a folder that holds other cases.

    >>> case, = ml.sim.make_darcy(1, holes=1, size=0.1)
    >>> list(case.point_data), list(case.global_data), "hole_0" in case.cell_sets
    (['permeability', 'u'], ['source'], True)
    """
    fewest, most = hole_numbers(holes)
    if medium not in MEDIA:
        raise ParameterError(f"medium={medium!r}: expected one of {', '.join(map(repr, MEDIA))}.")
    if not 0 <= contrast <= 3:
        raise ParameterError(f"contrast={contrast}: the standard deviation of log k, from 0 to 3, is expected.")
    if not 0 <= finer <= 3:
        raise ParameterError(f"finer={finer}: the reference is refined 0 to 3 times.")
    low, high = bounds("size", size, 0.01, 0.2)
    ranges = {"size": (math.log(low), math.log(high)), "source": bounds("source", source, 1e-6)}
    ranges |= hole_ranges(fewest, most)
    cases = design(n, seed, ranges)

    def make(i: int) -> Mesh:
        case, field = cases[i], GaussianField(mesher_seed(seed + 1, i))
        mesh = plate_with_holes(circles(case), math.exp(case["size"]), seed=mesher_seed(seed, i), dtype=torch.float64)
        return solve_darcy(mesh, lambda x: _permeability(field(x), medium, contrast), case["source"], finer)

    return collect(make, n, folder, "darcy", progress)


def solve_darcy(mesh: Mesh, permeability: Any, source: float = 1.0, finer: int = 1) -> Mesh:
    """-div(k grad u) = f on a planar mesh, u = 0 on its boundary; the fields of `make_darcy`.

    permeability  function of points (n, dim) -> (n,), positive
    finer         solved on the mesh refined so many times (the first points of which are those of the mesh)
    """
    fine = refine(mesh.without_data(), finer)
    at_cells = permeability(fine.join_cells(fine.cell_centroids()))
    solved = poisson(fine, source, at_cells, dirichlet={"boundary": 0.0})
    return (
        mesh.with_point_data(
            permeability=permeability(mesh.points), u=solved.point_data["u"][: mesh.n_points].to(mesh.points)
        )
        .with_cell_data(permeability_at_centre=permeability(mesh.join_cells(mesh.cell_centroids())))
        .with_global_data(source=mesh.points.new_tensor(source))
    )


def _permeability(values: Tensor, medium: str, contrast: float) -> Tensor:
    if medium == "lognormal":
        return torch.exp(contrast * values)
    return torch.where(values > 0, HIGH, LOW).to(values.dtype)
