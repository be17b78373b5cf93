"""Data sets of the flow around airfoils of very different shape, each with a flap."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.sim.airfoil import CLUSTER, karman_trefftz, naca, placed
from meshlearn.sim.airfoil_files import check_coordinates, read_airfoil
from meshlearn.sim.collection import bounds, collect, design, mesher_seed
from meshlearn.sim.plate import Range
from meshlearn.sim.potential_flow import potential_flow

BOX = ((-1.0, -1.2), (2.4, 1.2))
"""Lower left and upper right corner of the channel, in chords of the main section."""
FLAP_CHORD, GAP = 0.3, (0.02, -0.05)
FINER = 0.35  # edges on the bodies, over those far away
BEHIND = 0.0025  # of a chord: distance of the point where Kutta's condition is asked for from the trailing edge


def make_airfoils(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    size: Range = 0.12,
    angle: Range = (-2.0, 8.0),
    flap: Range = (0.0, 30.0),
    progress: bool = False,
    coordinates: Any = None,
) -> list[Mesh]:
    """Draw, mesh and solve `n` airfoils with a flap in a channel; written as `airfoil_0000.vtu` … to a folder.

    The main section has chord 1 and its leading edge at the origin. Half of them are NACA four-digit sections (camber 0
    to 6 %, thickness 8 to 20 %), half are Karman and Trefftz's (camber 0 to 7 %, thickness 10 to 25 %); the flap is a
    symmetric section of chord 0.3 behind and below. The flow is the potential flow of speed 1 with Kutta's conditions,
    `potential_flow`.

    n, seed      airfoil i depends on the seed and on i only, whatever the size: the same shapes come in any fineness
    size         edge length far from the bodies, in chords; a third of it on them. 0.12 gives about 900 points, half
                 of it three and a half times as many
    angle, flap  angle of attack and of the flap in degrees, numbers or ranges; the flap turns down, 0 to 45
    progress     show a progress bar (on a terminal)
    coordinates  paths of files with the coordinates of real sections, which are drawn from with equal chances in the
                 place of the two families; see `read_airfoil`

    Every mesh is planar, float32, of triangles, with the boundaries "outline", "airfoil" and "flap" as cell sets, and
      point_data   stream (), velocity (2,), over the speed far away; pressure (): its coefficient
      global_data  angle, flap: degrees; circulation (2,) of the airfoil and the flap; lift: its coefficient
    Raises ParameterError for impossible requests, and for a folder that holds other airfoils; MeshReadError for files
    that hold no section.

    >>> airfoil, = ml.sim.make_airfoils(1, size=0.3)
    >>> sorted(airfoil.cell_sets), list(airfoil.global_data)
    (['airfoil', 'flap', 'outline'], ['angle', 'flap', 'circulation', 'lift'])
    """
    ranges = {
        "size": bounds("size", size, 0.01, 0.4),
        "angle": bounds("angle", angle, -10.0, 15.0),
        "flap": bounds("flap", flap, 0.0, 45.0),
        **dict.fromkeys(("kind", "camber", "position", "thickness", "flap_thickness"), (0.0, 1.0)),
    }
    files = [] if coordinates is None else check_coordinates(coordinates)
    for path in files:
        read_airfoil(path)  # before hours are spent
    drawn = design(n, seed, ranges)

    def make(i: int) -> Mesh:
        return solve_airfoil(**_sections(drawn[i], files), seed=mesher_seed(seed, i))

    return collect(make, n, folder, "airfoil", progress)


def solve_airfoil(
    main: Float[np.ndarray, "n 2"],
    tail: Float[np.ndarray, "m 2"],
    angle: float,
    flap: float,
    size: float,
    seed: int = 0,
) -> Mesh:
    """The fields and values of `make_airfoils` for two closed sections, whose first corners are the trailing edges."""
    (left, bottom), (right, top) = BOX
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    mesh = planar(
        corners, [main, tail], size, seed=seed, dtype=torch.float64, side_names=["outline"] * 4 + ["airfoil", "flap"]
    )
    flow = potential_flow(
        mesh, {"airfoil": trailing_edge(main), "flap": trailing_edge(tail)}, math.radians(angle), order=2
    )
    circulation = flow.global_data["circulation"]
    values = {"angle": mesh.points.new_tensor(angle), "flap": mesh.points.new_tensor(flap)}
    return flow.replace(global_data={**values, "circulation": circulation, "lift": 2 * circulation.sum()})


def trailing_edge(section: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2 2"]:
    """The first corner of a section, and a point close behind it on the bisector."""
    edge = section[0]
    sides = np.stack([section[1] - edge, section[-1] - edge])
    inward = (sides / np.linalg.norm(sides, axis=1, keepdims=True)).sum(0)
    chord = np.linalg.norm(section - edge, axis=1).max()
    return np.stack([edge, edge - BEHIND * chord * inward / np.linalg.norm(inward)])


def _sections(drawn: dict[str, float], files: list[Path]) -> dict[str, Any]:
    """Arguments of `solve_airfoil` from what was drawn; a third of the size between the last corners of a section."""
    step = FINER * drawn["size"]
    count = 2 * max(math.ceil(CLUSTER / step), 12)
    if files:
        main = read_airfoil(files[min(int(drawn["kind"] * len(files)), len(files) - 1)], count)
    elif drawn["kind"] < 0.5:
        main = naca(0.06 * drawn["camber"], 0.3 + 0.3 * drawn["position"], 0.08 + 0.12 * drawn["thickness"], count)
    else:
        main = karman_trefftz(0.04 + 0.1 * drawn["thickness"], 0.14 * drawn["camber"], n=count)
    section = naca(0.0, 0.4, 0.1 + 0.06 * drawn["flap_thickness"], 2 * max(math.ceil(CLUSTER * FLAP_CHORD / step), 8))
    tail = placed(section, FLAP_CHORD, math.radians(drawn["flap"]), (1.0 + GAP[0], GAP[1]))
    return {"main": main, "tail": tail, "angle": drawn["angle"], "flap": drawn["flap"], "size": drawn["size"]}
