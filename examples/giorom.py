"""A beam that is struck, on a few of its points: train a stepper on nodes, let a fine mesh follow, draw the film.

Five beams of other stiffness, struck otherwise, are the training; a sixth is led on from its first three frames. What
it does is compared with the simulation, and with points that fly on as they go.
"""

import tempfile
from pathlib import Path

import torch

import meshlearn as ml
from meshlearn.models.giorom import ConstantVelocity

torch.set_num_threads(1)
films = ml.sim.make_bodies(6, kind="beam", cells=4, duration=0.35, frames=30, seed=1)
train, test = films[:5], films[5:]

model = ml.GIOROM(n_nodes=12, fixed=["left"], inputs=["young"], hidden=16, layers=2, grid=4, unroll=3, subsets=4)
model.fit(train, epochs=20, learning_rate=3e-3, progress=False)

errors = model.score(test)
flying = ConstantVelocity(fixed=["left"]).fit(train).score(test)
print(f"{errors['rollout']:.3f} of the largest displacement; points that fly on {flying['rollout']:.3f}")
print(f"of it, points that follow the true nodes: {errors['reconstruction']:.4f}")

with tempfile.TemporaryDirectory() as made:
    folder = Path(made)  # a folder of your own to look at the film in ParaView
    fine = ml.refine(test[0].mesh)
    model.rollout(test[0], query=fine, out=folder / "beam.pvd")  # frame by frame: never in memory as a whole
    motion = ml.read(folder / "beam.pvd")
    moved = (motion.moving_points - motion.mesh.points).norm(dim=2)
    motion = motion.replace(point_data={"displacement": moved})
    motion.plot("displacement", frames=4, file=folder / "beam.png")
    assert (folder / "beam.png").stat().st_size > 10_000
    assert motion.n_points == fine.n_points

assert errors["rollout"] < 0.5 * flying["rollout"]
