"""Data sets of Poisson's equation on star-shaped domains: many shape dimensions, meshes of unlike fineness."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.collection import bounds, collect, design, mesher_seed
from meshlearn.sim.plate import Range
from meshlearn.sim.poisson import poisson
from meshlearn.sim.triangulation import independent_mesh

FIRST = 2  # wave number of the first mode: 1 would be a shift of the domain, nearly
ROUGHEST = 0.4


def make_stars(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    size: Range = (0.03, 0.12),
    modes: int = 5,
    roughness: float = 0.3,
    source: Range = (0.5, 2.0),
    conductivity: Range = (0.5, 2.0),
    contrast: Range = (0.0, 3.0),
    order: int = 1,
    progress: bool = False,
) -> list[Mesh]:
    """Draw, mesh and solve `n` star-shaped domains; write them as `star_0000.vtu` … when a folder is given.

    The boundary is r(t) = 1 + sum_k a_k cos k t + b_k sin k t, k = 2 … modes + 1, with a_k, b_k between -roughness / k
    and roughness / k. On it u = 0, inside -div(k grad u) = f with k = conductivity * (1 + contrast * r^2) and a
    constant source f; the length unit is the mean radius.

    n, seed       star i depends on the seed and on i only (a Sobol sequence in all that is drawn)
    size          edge length, or (smallest, largest), drawn evenly in its logarithm: half to twice 0.06, 350 to 5500
                  points
    modes         number of wave numbers: 2 * modes shape dimensions
    roughness     at most 0.4; 0 gives discs
    source, conductivity, contrast
                  numbers, or ranges to draw from
    order         polynomial order of the finite elements, 1 or 2; the boundary is a polygon, so u is as good with 1
    progress      show a progress bar (on a terminal)

    Every mesh is planar, float32, of triangles, with its boundary as the cell set "outline", and has
      point_data   u (), u_flux (2,) = -k grad u
      global_data  source, conductivity, contrast (); fourier (2 * modes,): a_2, b_2, a_3, …; max_u (), mean_u ()
    Raises ParameterError for impossible requests, and for a folder that holds other stars.

    >>> star, = ml.sim.make_stars(1, size=0.2)
    >>> list(star.global_data)
    ['source', 'conductivity', 'contrast', 'fourier', 'max_u', 'mean_u']
    """
    if modes < 1:
        raise ParameterError(f"modes is the number of wave numbers of the boundary, at least 1, not {modes}.")
    if not 0 <= roughness <= ROUGHEST:
        raise ParameterError(f"roughness is between 0 and {ROUGHEST}, not {roughness}.")
    finest, coarsest = bounds("size", size, 0.005, 0.5)
    ranges = {
        "source": bounds("source", source),
        "conductivity": bounds("conductivity", conductivity, 1e-9),
        "contrast": bounds("contrast", contrast, 0.0),
        "log_size": (math.log(finest), math.log(coarsest)),
    }
    names = [f"{part}{k}" for k in range(FIRST, FIRST + modes) for part in "ab"]
    amplitude = {name: roughness / int(name[1:]) for name in names}
    drawn = design(n, seed, ranges | {name: (-high, high) for name, high in amplitude.items()})

    def make(i: int) -> Mesh:
        values = drawn[i]
        fourier = torch.tensor([values[name] for name in names], dtype=torch.float64)
        mesh = star_mesh(fourier, math.exp(values["log_size"]), mesher_seed(seed, i))
        return solve_star(mesh, fourier, values["source"], values["conductivity"], values["contrast"], order)

    return collect(make, n, folder, "star", progress)


def radius(fourier: Float[Tensor, " k"], angle: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """r(t) of a star from its coefficients (a_2, b_2, a_3, b_3, …) at angles t in radians."""
    k = torch.arange(FIRST, FIRST + len(fourier) // 2, dtype=angle.dtype, device=angle.device)
    turned = angle[:, None] * k
    return 1 + turned.cos() @ fourier[0::2].to(angle) + turned.sin() @ fourier[1::2].to(angle)


def star_mesh(fourier: Float[Tensor, " k"], size: float, seed: int = 0) -> Mesh:
    """Triangles in float64 with edges of about `size`; all nodes of the boundary, "outline", lie on the curve.

    seed  of the interior points, and of where on the boundary the nodes begin
    """
    angle = torch.linspace(0, 2 * math.pi, 4097, dtype=torch.float64)
    curve = radius(fourier, angle)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    length = torch.cat([angle.new_zeros(1), curve.diff(dim=0).norm(dim=1).cumsum(0)]).numpy()
    count = max(math.ceil(length[-1] / size), 16)
    start = np.random.default_rng(seed).uniform()
    nodes = torch.from_numpy(np.interp((np.arange(count) + start) * length[-1] / count, length, angle.numpy()))
    corners = radius(fourier, nodes)[:, None] * torch.stack([nodes.cos(), nodes.sin()], 1)
    return independent_mesh(corners.numpy(), size=size, seed=seed, side_names=["outline"] * count)


def solve_star(
    mesh: Mesh,
    fourier: Float[Tensor, " k"],
    source: float = 1.0,
    conductivity: float = 1.0,
    contrast: float = 0.0,
    order: int = 1,
) -> Mesh:
    """The fields and values of `make_stars` on a mesh with the boundary "outline".

    On the disc of radius 1, u = f log((1 + c) / (1 + c r^2)) / (4 k c) for the conductivity k (1 + c r^2), and
    u = f (1 - r^2) / (4 k) without contrast c.
    """
    mesh = poisson(
        mesh,
        source,
        lambda x: conductivity * (1 + contrast * x.square().sum(0)),
        dirichlet={"outline": 0.0},
        order=order,
    )
    u, measure = mesh.point_data["u"], mesh.point_measures()
    return mesh.replace(
        global_data={
            "source": u.new_tensor(source),
            "conductivity": u.new_tensor(conductivity),
            "contrast": u.new_tensor(contrast),
            "fourier": fourier.to(u),
            "max_u": u.max(),
            "mean_u": (measure * u).sum() / measure.sum(),
        }
    )
