"""Darcy flow on plates with holes: what four ways to a grid lose, and a U-Net behind the best of them.

Every case has its own permeability, holes and mesh. Two minutes of training would do better; this takes seconds.
"""

import torch

import meshlearn as ml

torch.set_num_threads(1)
cases = ml.sim.make_darcy(30, seed=0, holes=(0, 1), size=(0.05, 0.07))
train, test = cases[:24], cases[24:]

floors = {}
for transfer in ("interpolate", "l2", "conservative", "kernel"):
    adapter = ml.MeshToGrid(24, transfer)
    floors[transfer] = sum(adapter.floor(mesh, "u") for mesh in test) / len(test)
    print(f"{transfer:12s} loses {floors[transfer]:.2%} of u on the way to 24 nodes and back")

model = ml.GridOperator(
    ["permeability", "source"], ["u"], core="unet", core_options={"hidden": 12}, shape=24, transfer="l2"
)
model.fit(train, epochs=30, learning_rate=4e-3, batch_points=8000, progress=False)
nearest = ml.NearestNeighbor(["permeability", "source"], ["u"]).fit(train)
scores = {name: m.score(test)["u"] for name, m in (("U-Net", model), ("nearest neighbour", nearest))}
print(", ".join(f"{name}: {score:.1%}" for name, score in scores.items()))
assert floors["l2"] < 0.5 * floors["interpolate"]
assert scores["U-Net"] < scores["nearest neighbour"]
