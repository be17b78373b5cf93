"""Data sets of a rectangular plate with one round hole that moves: a domain with a hole, and its topology in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.collection import bounds, collect, design, mesher_seed
from meshlearn.sim.distance import distance_to_holes
from meshlearn.sim.elasticity import elasticity
from meshlearn.sim.plate import Range
from meshlearn.sim.poisson import poisson
from meshlearn.sim.triangulation import independent_mesh

LENGTH, HEIGHT, GAP = 100.0, 60.0, 6.0
CORNERS = np.array([(0.0, 0.0), (LENGTH, 0.0), (LENGTH, HEIGHT), (0.0, HEIGHT)])
SIDES = ("bottom", "right", "top", "left")
DRAWN: dict[str, dict[str, Range]] = {
    "elasticity": {"pull": (50.0, 150.0), "side": (-50.0, 50.0), "young": (70e3, 210e3), "poisson": (0.2, 0.4)},
    "poisson": {"source": (0.001, 0.01), "inflow": (0.0, 0.2), "conductivity": (0.02, 0.2)},
}
"""What is drawn unless given: MPa; W/mm^3, W/mm^2, W/(mm K)."""
LOWEST = {"young": 1e-9, "poisson": -0.99, "conductivity": 1e-9}
HIGHEST = {"poisson": 0.499}


def make_moving_holes(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    radius: Range = (6.0, 14.0),
    size: Range = (2.0, 3.0),
    physics: str = "elasticity",
    order: int = 2,
    progress: bool = False,
    **loads: Range,
) -> list[Mesh]:
    """Draw, mesh and solve `n` plates of 100 x 60 mm with one hole; write them as `moving_hole_0000.vtu` … to a folder.

    n, seed   plate i depends on the seed and on i only (a Sobol sequence in all that is drawn)
    radius    of the hole in mm, or (smallest, largest), up to 23; its centre is anywhere, 6 mm or more from the sides
    size      edge length of the meshes in mm, or (smallest, largest)
    physics   "elasticity": plane stress between rollers on the left and at the bottom, pulled on the right and top
              side; "poisson": heat from a source everywhere and an inflow on the right, conducted to the left side and
              the hole, both at 0 degrees
    order     polynomial order of the finite elements, 1 or 2
    progress  show a progress bar (on a terminal)
    loads     pull, side, young, poisson; for "poisson" source, inflow, conductivity: numbers or ranges (`DRAWN` unless
              given)

    Every mesh is planar, float32, of triangles, with the boundaries "left", "right", "top", "bottom" and "hole_0" as
    cell sets, and the global value hole (3,): x, y and radius in mm.
      both          point_data hole_distance (): mm
      "elasticity"  point_data displacement (2,): mm; stress (3,): xx, yy, xy, MPa; von_mises (): MPa
                    global_data load (2,): tension on the right and top side, MPa; young: MPa; poisson; max_stress: MPa
      "poisson"     point_data temperature (): K; temperature_flux (2,): W/mm^2
                    global_data source: W/mm^3; inflow: W/mm^2; conductivity: W/(mm K); max_temperature: K
    Raises ParameterError for impossible requests, and for a folder that holds other plates of this name.

    >>> plate, = ml.sim.make_moving_holes(1, size=6.0, physics="poisson")
    >>> list(plate.global_data)
    ['hole', 'source', 'inflow', 'conductivity', 'max_temperature']
    """
    if physics not in DRAWN:
        raise ParameterError(f"physics is one of {tuple(DRAWN)}, not {physics!r}.")
    unknown = sorted(set(loads) - set(DRAWN[physics]))
    if unknown:
        raise ParameterError(f"with {physics}, the loads are {', '.join(DRAWN[physics])}; {unknown[0]!r} is none.")
    ranges = {
        "x": (0.0, 1.0),
        "y": (0.0, 1.0),
        "radius": bounds("radius", radius, 1.0, HEIGHT / 2 - GAP - 1),
        "size": bounds("size", size, 0.2, 20.0),
    }
    for name, value in (DRAWN[physics] | loads).items():
        ranges[name] = bounds(name, value, LOWEST.get(name, -1e12), HIGHEST.get(name, 1e12))
    drawn = design(n, seed, ranges)

    def make(i: int) -> Mesh:
        values = drawn[i]
        r = values["radius"]
        room = r + GAP
        hole = room + values["x"] * (LENGTH - 2 * room), room + values["y"] * (HEIGHT - 2 * room), r
        mesh = independent_mesh(CORNERS, [hole], values["size"], mesher_seed(seed, i), SIDES)
        mesh = (_heat if physics == "poisson" else _elasticity)(mesh, values, order)
        distance = distance_to_holes(mesh.points, [hole], far=LENGTH)
        return mesh.replace(
            point_data={"hole_distance": distance, **mesh.point_data},
            global_data={"hole": mesh.points.new_tensor(hole), **mesh.global_data},
        )

    return collect(make, n, folder, "moving_hole", progress)


def _elasticity(mesh: Mesh, values: Mapping[str, float], order: int) -> Mesh:
    load = values["pull"], values["side"]
    mesh = elasticity(
        mesh,
        values["young"],
        values["poisson"],
        fixed={"left": (0.0, None), "bottom": (None, 0.0)},
        pressure={"right": -load[0], "top": -load[1]},
        order=order,
    )
    known = {"load": load, "young": values["young"], "poisson": values["poisson"]}
    return mesh.replace(
        global_data={name: mesh.points.new_tensor(value) for name, value in known.items()} | dict(mesh.global_data)
    )


def _heat(mesh: Mesh, values: Mapping[str, float], order: int) -> Mesh:
    mesh = poisson(
        mesh,
        values["source"],
        values["conductivity"],
        dirichlet={"left": 0.0, "hole_0": 0.0},
        neumann={"right": values["inflow"]},
        order=order,
        name="temperature",
    )
    known = {name: mesh.points.new_tensor(values[name]) for name in DRAWN["poisson"]}
    return mesh.replace(global_data={**known, "max_temperature": mesh.point_data["temperature"].max()})
