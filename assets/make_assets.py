"""Makes the meshes of this folder: `python assets/make_assets.py`. Same seed, same files."""

from pathlib import Path

import meshlearn as ml

FOLDER = Path(__file__).resolve().parent

(plate,) = ml.sim.make_plates(1, seed=11, holes=2, size=6.0)  # lengths in mm, stresses in MPa
ml.write(plate, FOLDER / "plate.vtu")

bracket = ml.shapes.planar(
    [(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)], [(0.5, 2.4, 0.2), (3.3, 0.5, 0.2)], size=0.25
)
ml.write(bracket, FOLDER / "bracket.msh")
