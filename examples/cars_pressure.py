"""Pressure on car bodies (triangle surfaces in 3-D) learned from eight of them; needs the cars in ../shared/data."""

import sys
from pathlib import Path

import meshlearn as ml

folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "cars"
if not folder.is_dir():
    print(f"skipped: the car meshes are not at {folder}")
    sys.exit(0)

cars = list(ml.read_many(folder / "*.vtu"))
cars = [car.with_point_data(normal=car.point_normals()) for car in cars]
train, test = cars[:8], cars[8:]
model = ml.MeshGraphNet(["normal"], ["pressure"], hidden=24, steps=2, levels=3, coordinates="absolute", distances=False)
model.fit(train, epochs=12, learning_rate=4e-3, progress=False)

network = model.score(test)["pressure"]
ridge = ml.RidgeRegression(["normal"], ["pressure"]).fit(train).score(test)["pressure"]
print(f"relative L2 of the pressure on {len(test)} unseen cars: network {network:.3f}, ridge regression {ridge:.3f}")
assert network < ridge
