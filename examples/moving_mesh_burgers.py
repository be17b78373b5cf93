"""A solver of Burgers' equation that is learned on a mesh and on one that follows the fronts.

python examples/moving_mesh_burgers.py [folder]     writes the fronts on their moved meshes as a picture and a film
"""

import sys
from pathlib import Path

import torch

import meshlearn as ml

waves = ml.sim.make_burgers(10, seed=5, resolution=10, reference=2, frames=8, viscosity=(0.01, 0.02))
training, test = waves[:8], waves[8:]

model = ml.MMPDE(["u", "viscosity"], ["u"], hidden=16, steps=2, levels=2, noise=0.01)
model.fit(training, epochs=25, learning_rate=5e-3, progress=False)


def error(made: torch.Tensor, wave: ml.Trajectory) -> float:
    """Relative error over all times, against the solution of a finer mesh."""
    truth = wave.point_data["u"]
    return float((made - truth)[1:].norm() / truth[1:].norm())


learned = sum(error(model.rollout(wave).point_data["u"], wave) for wave in test) / len(test)
still = sum(error(wave.point_data["u"][:1], wave) for wave in test) / len(test)
print(f"rollouts of {len(test)} unseen fronts: error {learned:.3f}; without any change {still:.3f}")

moving = model.moving(test[0])
shift = float((moving.moving_points - test[0].mesh.points).norm(dim=2).max())
print(f"points move by up to {shift:.3f}, no cell is inverted: {all(frame.n_inverted() == 0 for frame in moving)}")
if len(sys.argv) > 1:
    moving.plot("u", edges=True, frames=4, file=Path(sys.argv[1]) / "moving_mesh_burgers.png")
    moving.plot("u", edges=True, file=Path(sys.argv[1]) / "moving_mesh_burgers.gif")

assert learned < 0.5 * still
assert shift > 0.01
