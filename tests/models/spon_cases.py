"""Meshes with fields for the tests of operator networks."""

import torch

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve


def meshes(n=6, kinds=("triangle", "quad")):
    """Plane meshes of one kind of cell each, unlike in size, with the fields of `meshlearn.testing.example_meshes`."""
    made = []
    for k in range(n):
        kind = kinds[k % len(kinds)]
        mesh = ml.shapes.rectangle(1 + 0.2 * (k % 2), 1.0, n=(3 + k % 3, 4 + k % 2), cells=kind, dtype=torch.float32)
        a, (x, y) = 0.5 + k / n, mesh.points.T
        u = a * torch.sin(2 * x) + y
        mesh = mesh.with_point_data(f=a * x * y, u=u, v=torch.stack([u, x - y], 1))
        mesh = mesh.with_cell_data(q=a * mesh.cell_centroids()[kind][:, 0])
        mesh = mesh.with_global_data(a=torch.tensor(a), total=torch.tensor(2 * a))
        made.append(mesh.replace(source=f"example_{k}"))
    return made


def poisson(mesh, count, seed=0):
    """The mesh with smooth random sources "f" and the solutions "u", zero on the boundary."""
    generator = torch.Generator().manual_seed(seed)
    space = FESpace(mesh, "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    M = space.assemble(lambda u, v, x: u * v)
    waves = torch.cos(torch.pi * mesh.points.double()[:, :, None] * torch.arange(4))
    coefficients = torch.randn(count, 4, 4, generator=generator, dtype=torch.float64)
    f = torch.einsum("nk,nl,ckl->nc", waves[:, 0], waves[:, 1], coefficients)
    u = solve(A, M @ f, space.dirichlet("boundary", 0.0))
    return [mesh.with_point_data(f=f[:, i].float(), u=u[:, i].float()) for i in range(count)]
