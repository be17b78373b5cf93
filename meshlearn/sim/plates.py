"""Data sets of solved plates with holes: geometry, loads and finite-element truth, in memory and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.sim.distance import distance_to_holes, distance_to_polygon
from meshlearn.sim.elasticity import elasticity
from meshlearn.sim.hyperelasticity import hyperelasticity
from meshlearn.sim.plate import OUTLINES, Plate, Range, draw_plate
from meshlearn.sim.poisson import poisson
from meshlearn.train.named import UnknownArgumentError, unknown

PHYSICS = ("elasticity", "poisson", "hyperelasticity")
RUBBER: dict[str, Range] = {"young": (1.0, 5.0), "poisson": (0.3, 0.45), "stretch": (0.05, 0.15)}
"""What is drawn for large deformations unless given: MPa, and the elongation relative to the length."""


LOADS = ("pull", "side", "stretch", "young", "poisson")
_MAKE = ("n", "folder", "seed", "holes", "size", "physics", "outlines", "order", "progress")


def make_plates(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    holes: int | Sequence[int] = (1, 3),
    size: Range = (3.5, 5.0),
    physics: str = "elasticity",
    outlines: Sequence[str] = OUTLINES,
    order: int = 2,
    progress: bool = False,
    **loads: Range,
) -> list[Mesh]:
    """Draw, mesh and solve `n` plates with holes; write them as `plate_0000.vtu` … when a folder is given.

    n, seed   plate i depends on the seed and on i only, so a larger set begins with the smaller one
    holes     number of holes, or (smallest, largest)
    size      edge length of the meshes in mm, or (smallest, largest)
    physics   "elasticity", "poisson" or "hyperelasticity"; see `solve_elasticity`, `solve_heat` and
              `solve_hyperelasticity` for the fields
    outlines  "rectangle", "tapered" and "chamfered" are drawn with equal chances
    order     polynomial order of the finite elements, 1 or 2
    progress  show a progress bar (on a terminal)
    loads     pull, side, young, poisson; for "hyperelasticity" stretch, young, poisson (`RUBBER` unless given):
              numbers or ranges, see `draw_plate`

    Every mesh is planar, float32, with the boundaries "left", "right", "top", "bottom" ("chamfer"), "hole_0", … as
    cell sets. Raises ParameterError for impossible requests, and for a folder with plates that these would not
    overwrite (two data sets would be mixed); MeshWriteError for a folder that cannot be written.

    >>> plate, = ml.sim.make_plates(1, size=8.0)
    >>> list(plate.global_data)
    ['load', 'young', 'poisson', 'max_stress']
    """
    if physics not in PHYSICS:
        raise ParameterError(f"physics is one of {PHYSICS}, not {physics!r}.")
    if n < 1:
        raise ParameterError(f"n is the number of plates to make, at least 1, not {n}.")
    if seed < 0:
        raise ParameterError(f"seed is a whole number of at least 0, not {seed}.")
    for name in loads:
        if name not in LOADS:
            raise UnknownArgumentError(unknown("make_plates", name, [*_MAKE, *LOADS]))
    large = physics == "hyperelasticity"
    wrong = sorted(set(loads) & ({"pull", "side"} if large else {"stretch"}))
    if wrong:
        raise ParameterError(
            f"plates with physics={physics!r} are {'stretched, not loaded' if large else 'loaded, not stretched'}: "
            f"{wrong[0]} has no meaning; give {'stretch' if large else 'pull and side'}."
        )
    loads = {**RUBBER, **loads} if large else loads
    if folder is not None:
        _refuse_other_plates(Path(folder), n)
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    silent = not (progress and console.is_terminal)
    solver = {"elasticity": solve_elasticity, "poisson": solve_heat, "hyperelasticity": solve_hyperelasticity}[physics]
    meshes = []
    for i in track(range(n), "making plates", console=console, disable=silent, transient=True):
        rng = np.random.default_rng([seed, i])
        plate = draw_plate(rng, holes, size, outlines, **loads)
        mesh = solver(plate, rng, order).float()
        if folder is not None:
            mesh = _write(mesh, Path(folder) / _file_name(i))
        meshes.append(mesh)
    return meshes


def solve_elasticity(plate: Plate, rng: np.random.Generator | None = None, order: int = 2) -> Mesh:
    """The plate between two rollers (left: u_x = 0, bottom: u_y = 0), pulled or pushed on its right and top side.

    No corner is clamped, so the stress is finite and its maximum, at a hole, converges with the mesh.

    point_data   hole_distance, edge_distance (): mm, `distance_to_holes` (the plate's length without holes) and
                 to the outline; traction (2,): the load as applied at the points, MPa; fixed (2,): 1 where a
                 component of the displacement is held; displacement (2,): mm; stress (3,): xx, yy, xy, MPa;
                 von_mises (): MPa
    global_data  load (2,): tension on the right and top side, MPa; young: MPa; poisson; max_stress: MPa
    """
    mesh = plate_mesh(plate)
    right, top = plate.load
    mesh = elasticity(
        mesh,
        plate.young,
        plate.poisson,
        fixed={"left": (0.0, None), "bottom": (None, 0.0)},
        pressure={"right": -right, "top": -top},
        order=order,
    )
    traction = torch.zeros_like(mesh.points)
    for side, tension in (("right", right), ("top", top)):
        traction[tagged_points(mesh, side)] += tension * _outward(plate, side).to(mesh.points)
    held = _held(mesh, {"left": 0, "bottom": 1})
    constants = {"load": mesh.points.new_tensor(plate.load), "young": plate.young, "poisson": plate.poisson}
    return _describe(mesh, plate, {"traction": traction, "fixed": held}, constants)


def solve_heat(plate: Plate, rng: np.random.Generator | None = None, order: int = 2) -> Mesh:
    """Steady heat conduction: two hot spots, the left side and the holes (cooling channels) held at 0 degrees.

    point_data   hole_distance, edge_distance (): mm; source (): heat set free, W/mm^3; temperature (): K;
                 temperature_flux (2,): W/mm^2
    global_data  conductivity: W/(mm K); max_temperature: K
    """
    rng = rng or np.random.default_rng(0)
    mesh = plate_mesh(plate)
    conductivity = float(rng.uniform(0.02, 0.2))
    low, high = np.min(plate.corners, axis=0), np.max(plate.corners, axis=0)
    source = torch.zeros_like(mesh.points[:, 0])
    for _ in range(2):
        centre, width, heat = rng.uniform(low, high), rng.uniform(8.0, 20.0), rng.uniform(0.002, 0.01)
        square = (mesh.points - torch.from_numpy(centre)).square().sum(1)
        source = source + heat * torch.exp(-square / (2 * width**2))
    cold = {"left": 0.0} | {f"hole_{i}": 0.0 for i in range(len(plate.holes))}
    mesh = poisson(mesh, source, conductivity, dirichlet=cold, order=order, name="temperature")
    constants = {"conductivity": conductivity, "max_temperature": mesh.point_data["temperature"].max()}
    return _describe(mesh, plate, {"source": source}, constants)


def solve_hyperelasticity(plate: Plate, rng: np.random.Generator | None = None, order: int = 2) -> Mesh:
    """A rubber plate between two rollers (left: u_x = 0, bottom: u_y = 0), its right side drawn out by plate.stretch.

    Large deformations in plane strain; the right side stays straight and is free to slide.

    point_data   hole_distance, edge_distance (): mm; prescribed (2,): the displacement where it is held, mm;
                 fixed (2,): 1 where a component is held; displacement (2,): mm; stress (4,): true stress xx, yy, zz,
                 xy, MPa; von_mises (): MPa; energy (): mJ/mm^3 of the undeformed plate
    global_data  stretch; young: MPa; poisson; max_stress: MPa; stored_energy: mJ per mm of thickness
    """
    mesh = plate_mesh(plate)
    pulled = plate.stretch * max(x for x, _ in plate.corners)
    mesh = hyperelasticity(
        mesh,
        plate.young,
        plate.poisson,
        fixed={"left": (0.0, None), "bottom": (None, 0.0), "right": (pulled, None)},
        order=order,
    )
    prescribed = torch.zeros_like(mesh.points)
    prescribed[tagged_points(mesh, "right"), 0] = pulled
    constants = {"stretch": plate.stretch, "young": plate.young, "poisson": plate.poisson}
    held = _held(mesh, {"left": 0, "bottom": 1, "right": 0})
    return _describe(mesh, plate, {"prescribed": prescribed, "fixed": held}, constants)


def plate_mesh(plate: Plate) -> Mesh:
    """Triangles on the plate in float64, with its sides and holes as cell sets of lines."""
    return planar(plate.corners, plate.holes, plate.size, dtype=torch.float64, side_names=plate.sides)


def _held(mesh: Mesh, sides: dict[str, int]) -> torch.Tensor:
    """(n_points, 2): 1 where the component of the displacement is held on a side."""
    held = torch.zeros_like(mesh.points)
    for side, axis in sides.items():
        held[tagged_points(mesh, side), axis] = 1.0
    return held


def _describe(mesh: Mesh, plate: Plate, fields: dict, constants: dict) -> Mesh:
    """Add what a user would know before solving; inputs first, then the results that are there already."""
    corners = mesh.points.new_tensor(plate.corners)
    known = {
        "hole_distance": distance_to_holes(mesh.points, plate.holes, far=max(x for x, _ in plate.corners)),
        "edge_distance": distance_to_polygon(mesh.points, corners),
        **fields,
    }
    values = {
        name: mesh.points.new_tensor(value) if isinstance(value, float) else value for name, value in constants.items()
    }
    return mesh.replace(point_data={**known, **mesh.point_data}, global_data={**values, **mesh.global_data})


def _outward(plate: Plate, side: str) -> torch.Tensor:
    start = plate.sides.index(side)
    (ax, ay), (bx, by) = plate.corners[start], plate.corners[(start + 1) % len(plate.corners)]
    normal = torch.tensor([by - ay, ax - bx], dtype=torch.float64)
    return normal / normal.norm()


def _file_name(number: int) -> str:
    return f"plate_{number:04d}.vtu"


def _refuse_other_plates(folder: Path, n: int) -> None:
    """Raises ParameterError if the folder holds plates that files 0 to n - 1 would leave beside themselves."""
    new = {_file_name(i) for i in range(n)}
    others = sorted(path.name for path in folder.glob("plate_*.vtu") if path.name not in new)
    if others:
        raise ParameterError(
            f"{folder} holds {len(others)} plates that {n} new ones would not overwrite ({others[0]}"
            f"{', …' if len(others) > 1 else ''}): two data sets would be mixed.\n  Choose an empty folder."
        )


def _write(mesh: Mesh, path: Path) -> Mesh:
    import meshlearn as ml

    path.parent.mkdir(parents=True, exist_ok=True)
    ml.write(mesh, path)
    return mesh.replace(source=str(path))
