"""A conductivity found from 120 noisy temperatures, by differentiating through the finite-element solve."""

import tempfile

import torch

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve

torch.manual_seed(0)
space = FESpace(ml.shapes.square(n=24), "P1")
mesh = space.mesh
centre = mesh.cell_centroids()["triangle"].double()
inclusion = (centre - torch.tensor([0.65, 0.4])).norm(dim=1) < 0.2
true_log_k = torch.where(inclusion, 1.5, 0.0).double()

# Four experiments: heat comes in through one side and leaves through the opposite one.
cold = [space.dirichlet(side, 0.0) for side in ("left", "bottom", "right", "top")]
warm = [space.assemble(lambda v, x: v, on=side) for side in ("right", "top", "left", "bottom")]
sensors = 0.05 + 0.9 * torch.rand(30, 2, dtype=torch.float64)


def measure(log_k: torch.Tensor) -> torch.Tensor:
    """Temperatures at the sensors in all experiments."""
    A = space.assemble(lambda u, v, x: x.k * dot(grad(u), grad(v)), k=log_k.exp())
    return torch.stack([space.evaluate(solve(A, b, fixed), sensors) for b, fixed in zip(warm, cold, strict=True)])


measured = measure(true_log_k)
measured = measured + 1e-3 * measured.std() * torch.randn_like(measured)

# Total variation of the cells' values over the inner facets keeps the answer piecewise constant.
pairs = mesh.topology.cell_adjacency
log_k = torch.zeros(mesh.n_cells, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.LBFGS([log_k], max_iter=150, line_search_fn="strong_wolfe", history_size=30)


def closure() -> torch.Tensor:
    """Misfit and total variation."""
    optimizer.zero_grad()
    misfit = (measure(log_k) - measured).square().mean() / measured.var()
    jumps = log_k[pairs.index] - log_k[pairs.receivers]
    loss = misfit + 2e-6 * (jumps.square() + 1e-4).sqrt().sum()
    loss.backward()
    return loss


optimizer.step(closure)
found = log_k.detach()
error = ((found - true_log_k).square().mean() / true_log_k.square().mean()).sqrt().item()
inside, outside = found[inclusion].mean().item(), found[~inclusion].mean().item()
print(f"log conductivity inside {inside:.2f} (true 1.50), outside {outside:.2f} (0); relative error {error:.2f}")
with tempfile.TemporaryDirectory() as folder:  # a file of your own to look at in ParaView
    ml.write(
        mesh.with_cell_data(log_k={"triangle": found}, truth={"triangle": true_log_k}), f"{folder}/conductivity.vtu"
    )
assert inside > 1.1
assert abs(outside) < 0.1
