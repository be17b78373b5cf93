"""Data sets of tensile tests on notched specimens, in the manner of Tensile2d.

Geometry, supports, ranges and outputs follow the description of that data set in Casenave, Staber and Roynard, Mesh
Morphing Gaussian Process (NeurIPS 2023), as far as it is published; material law, its constants, notch radii and
Poisson's ratio are our own, so numbers may not be set beside those of the published data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.collection import bounds, collect, design, mesher_seed
from meshlearn.sim.elasticity import elasticity
from meshlearn.sim.notch import NOTCHES, specimen
from meshlearn.sim.plasticity import plasticity
from meshlearn.sim.plate import Range
from meshlearn.sim.solid import von_mises

PHYSICS = ("plasticity", "elasticity")
POISSON = 0.3
STEPS = 3  # of the load after it yields first; with 20, displacements and stresses differ by 0.5 % at most
METAL: dict[str, Range] = {
    "yield_stress": (70.0, 170.0),
    "hardening": (1e3, 5e3),
    "saturation": (20.0, 60.0),
    "rate": (200.0, 1000.0),
}
"""What is drawn for plasticity unless given: MPa, MPa, MPa, and a number."""
SUPPORTS = {"bottom": (None, 0.0), "bottom_left": (0.0, None)}


def make_tensile(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    radius: Range = (0.2, 0.5),
    size: float = 0.0215,
    notch: str = "circle",
    physics: str = "plasticity",
    load: Range = (-50.0, -40.0),
    young: Range = (5e4, 1e5),
    progress: bool = False,
    **metal: Range,
) -> list[Mesh]:
    """Draw, mesh and pull `n` squares of 2 x 2 mm with two notches; write them as `tensile_0000.vtu` … to a folder.

    The bottom is held in y and its left end in x; the top is loaded by a pressure. Plane strain, Poisson's ratio 0.3,
    elements of order 2; with order 1, two triangulations of one specimen differ by 2 % in their stresses,
    which no model can learn.

    n, seed   sample i depends on the seed and on i only (a Sobol sequence in all that is drawn, the same for both
              physics); every sample has a triangulation of its own
    radius    of the notches in mm, or (smallest, largest)
    size      edge length in mm; 0.0215 gives about 9,000 points
    notch     "circle", or, to test models on shapes that they were not trained on, "ellipse" or "wedge" of the same
              depth; see `meshlearn.sim.notch`
    physics   "plasticity", see `plasticity`; or "elasticity", the same without a yield stress
    load      pressure on the top in MPa; negative values pull
    young     Young's modulus in MPa
    metal     for plasticity yield_stress, hardening, saturation, rate: numbers or ranges (`METAL` unless given)
    progress  show a progress bar (on a terminal)

    Every mesh is planar, float32, of triangles, with the cell sets "bottom", "right", "notch_right", "top", "left" and
    "notch_left", the point set "bottom_left", and
      point_data   U1, U2 (): displacement in mm; plastic_strain (): cumulated, for plasticity; sigma11, sigma22,
                   sigma12 (): stress in MPa
      global_data  inputs radius: mm; load, young: MPa; those of the metal; outputs max_von_mises: MPa, of all
                   components of the stress; max_plastic_strain; max_U2: mm, max_sigma22: MPa, both over the top
    Raises ParameterError for impossible requests, and for a folder that holds other samples.

    >>> sample, = ml.sim.make_tensile(1, size=0.1)
    >>> list(sample.point_data)
    ['U1', 'U2', 'plastic_strain', 'sigma11', 'sigma22', 'sigma12']
    """
    if physics not in PHYSICS:
        raise ParameterError(f"physics is one of {PHYSICS}, not {physics!r}.")
    if notch not in NOTCHES:
        raise ParameterError(f"notch is one of {NOTCHES}, not {notch!r}.")
    low, high = bounds("radius", radius, 0.05, 0.75)
    bounds("size", size, 0.002, low / 2)
    unknown = sorted(set(metal) - set(METAL if physics == "plasticity" else ()))
    if unknown:
        raise ParameterError(f"{unknown[0]!r} has no meaning for {physics}; constants of the metal are {list(METAL)}.")
    ranges = {"radius": (low, high), "load": bounds("load", load), "young": bounds("young", young, 1e-9)}
    for name, value in (METAL | metal).items():
        ranges[name] = bounds(name, value, 1e-9 if name == "yield_stress" else 0.0)
    drawn = design(n, seed, ranges)
    solve = {"plasticity": _plastic, "elasticity": _elastic}[physics]

    def make(i: int) -> Mesh:
        return solve(specimen(drawn[i]["radius"], float(size), notch, mesher_seed(seed, i)), drawn[i])

    return collect(make, n, folder, "tensile", progress)


def _elastic(mesh: Mesh, values: Mapping[str, float]) -> Mesh:
    """Plane strain is plane stress with other constants."""
    found = elasticity(
        mesh,
        values["young"] / (1 - POISSON**2),
        POISSON / (1 - POISSON),
        fixed=SUPPORTS,
        pressure={"top": values["load"]},
        order=2,
    ).point_data
    xx, yy, xy = found["stress"].unbind(1)
    known = {name: value for name, value in values.items() if name not in METAL}
    return _describe(mesh, known, found["displacement"], torch.stack([xx, yy, POISSON * (xx + yy), xy], 1))


def _plastic(mesh: Mesh, values: Mapping[str, float]) -> Mesh:
    found = plasticity(
        mesh,
        values["young"],
        POISSON,
        values["yield_stress"],
        values["hardening"],
        values["saturation"],
        values["rate"],
        fixed=SUPPORTS,
        pressure={"top": values["load"]},
        order=2,
        steps=STEPS,
        tolerance=1e-7,
    ).point_data
    return _describe(mesh, values, found["displacement"], found["stress"], found["plastic_strain"])


def _describe(
    mesh: Mesh, values: Mapping[str, float], displacement: Tensor, stress: Tensor, plastic: Tensor | None = None
) -> Mesh:
    top = tagged_points(mesh, "top")
    xx, yy, _, xy = stress.unbind(1)
    yielded = {} if plastic is None else {"plastic_strain": plastic}
    most = {} if plastic is None else {"max_plastic_strain": plastic.max()}
    return mesh.replace(
        point_data={
            "U1": displacement[:, 0],
            "U2": displacement[:, 1],
            **yielded,
            "sigma11": xx,
            "sigma22": yy,
            "sigma12": xy,
        },
        global_data={
            **{name: mesh.points.new_tensor(value) for name, value in values.items()},
            "max_von_mises": von_mises(stress).max(),
            **most,
            "max_U2": displacement[top, 1].max(),
            "max_sigma22": yy[top].max(),
        },
    )
