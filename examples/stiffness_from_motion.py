"""How stiff is it? Young's modulus of a beam from a film of its swing, by gradients through the simulator.

A fifth of a second of a swinging beam is filmed, with noise of 0.2 mm on every place. From a guess that is wrong by a
factor of two, gradients through 150 time steps find the modulus; only every 15th state is kept for them.
"""

import torch

import meshlearn as ml
from meshlearn.sim import dynamics

TRUE, FRAMES, STEPS, STEP = 2.0e5, 10, 15, 1.5e-3
torch.manual_seed(0)
torch.set_num_threads(1)
mesh = ml.shapes.rectangle(1.0, 0.12, n=(12, 1)).double()
tip = (mesh.points[:, 0] > 0.7).nonzero()[:, 0]


def film(young: torch.Tensor | float) -> torch.Tensor:
    """Places of the points near the tip at all frames: (frames, points, 2)."""
    beam = dynamics.ElasticDynamics(
        mesh,
        dynamics.NeoHookean(young, 0.3),
        density=1000.0,
        velocity=lambda x: torch.stack([0 * x[:, 0], 2 * x[:, 0] ** 2], 1),
        fixed={"left": 0.0},
    )
    state, seen = beam.start(), []
    for _ in range(FRAMES):
        state = beam.run(state, STEPS, STEP, checkpoint=STEPS)
        seen.append(state.points.index_select(0, tip))
    return torch.stack(seen)


with torch.no_grad():
    observed = film(TRUE)
    observed = observed + 2e-4 * torch.randn_like(observed)

log_young = torch.tensor(1.0e5, dtype=torch.float64).log().requires_grad_()
optimizer = torch.optim.LBFGS([log_young], lr=0.5, max_iter=8, line_search_fn="strong_wolfe")


def misfit() -> torch.Tensor:
    optimizer.zero_grad()
    loss = (film(log_young.exp()) - observed).square().mean()
    loss.backward()
    return loss


optimizer.step(misfit)
found = float(log_young.detach().exp())
print(f"Young's modulus {found:.5g} Pa, true {TRUE:.5g} Pa")
assert abs(found / TRUE - 1) < 5e-3
