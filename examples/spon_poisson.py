"""Operator networks on finite-element dofs: random sources to solutions of Poisson's equation, beside simpler ways."""

import torch

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve


def problems(mesh: ml.Mesh, count: int, seed: int) -> list[ml.Mesh]:
    """Meshes with a random source "f" and the solution "u" that is zero on the boundary."""
    space = FESpace(mesh, "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    M = space.assemble(lambda u, v, x: u * v)
    waves = torch.cos(torch.pi * mesh.points.double()[:, :, None] * torch.arange(6))
    weights = torch.randn(count, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    f = torch.einsum("nk,nl,ckl->nc", waves[:, 0], waves[:, 1], weights)
    u = solve(A, M @ f, space.dirichlet("boundary", 0.0))  # one factorisation, all right-hand sides
    return [mesh.with_point_data(f=f[:, k].float(), u=u[:, k].float()) for k in range(count)]


mesh = ml.shapes.square(n=12)
train, test = problems(mesh, 120, seed=0), problems(mesh, 20, seed=1)
scores = {}
for name, model in {
    "SPON": ml.SPON(["f"], ["u"], hidden=24, steps=3, dirichlet={"boundary": 0.0}),
    "message passing alone": ml.SPON(["f"], ["u"], hidden=24, steps=3, parts=0, dirichlet={"boundary": 0.0}),
}.items():
    model.fit(train, epochs=12, learning_rate=4e-3, progress=False)
    scores[name] = model.score(test)["u"]
    boundary = model.predict(test[0]).point_data["u"][mesh.boundary_points]
    assert bool((boundary == 0.0).all())  # to the last bit

F, U = (torch.stack([m.point_data[name] for m in train]).double() for name in ("f", "u"))
ridge = torch.linalg.solve(F.T @ F + 1e-6 * len(F) * torch.eye(F.shape[1]), F.T @ U)
found = torch.stack([m.point_data["f"] for m in test]).double() @ ridge
truth = torch.stack([m.point_data["u"] for m in test]).double()
scores["ridge regression on dofs"] = ((found - truth).norm(dim=1) / truth.norm(dim=1)).mean().item()

print("relative L2 on 20 unseen sources: " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items()))
print("the map is linear, which suits ridge regression; benchmarks/spon.py has three seeds, finer meshes and the cost")
assert scores["SPON"] < scores["message passing alone"]
