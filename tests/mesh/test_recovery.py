"""Recovered gradients: exact where they are said to be, finite where cells are flat."""

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.recovery import RecoveredGradients

MESHES = {
    "triangle": ml.shapes.square(n=4, dtype=torch.float64),
    "quad": ml.shapes.square(n=4, cells="quad", dtype=torch.float64),
    "triangle6": ml.shapes.square(n=3, order=2, dtype=torch.float64),
    "tetra": ml.shapes.box(n=3, dtype=torch.float64),
    "hexahedron": ml.shapes.box(n=3, cells="hexahedron", dtype=torch.float64),
    "sphere": ml.shapes.sphere(dtype=torch.float64),
}


def linear(p):
    return (p @ torch.arange(1.0, p.shape[1] + 1).double() + 2)[:, None]


@pytest.mark.parametrize("name", ["triangle", "quad", "triangle6", "tetra", "hexahedron"])
def test_linear_point_fields(name):
    mesh = MESHES[name]
    found = RecoveredGradients(mesh).at_points(linear(mesh.points))[..., 0].T
    assert torch.allclose(found, torch.arange(1.0, mesh.dim + 1).double().expand_as(found), atol=1e-12)


def test_second_order_cells_hold_quadratic_fields():
    mesh = MESHES["triangle6"]
    x, y = mesh.points.T
    found = RecoveredGradients(mesh).at_points((x**2 - x * y)[:, None])[..., 0].T
    assert torch.allclose(found, torch.stack([2 * x - y, -x], 1), atol=1e-12)


def test_quadratic_fields_on_uniform_meshes_converge_up_to_the_boundary():
    errors = []
    for n in (4, 8, 16):
        mesh = ml.shapes.square(n=n, dtype=torch.float64)
        x, y = mesh.points.T
        found = RecoveredGradients(mesh).at_points((x**3 - x * y**2)[:, None])[..., 0].T
        errors.append(float((found - torch.stack([3 * x**2 - y**2, -2 * x * y], 1)).square().mean().sqrt()))
    assert errors[1] < errors[0] / 2.8
    assert errors[2] < errors[1] / 2.8  # means that hold inside of the boundary are of first order: half


def test_gradients_lie_in_surfaces():
    mesh = MESHES["sphere"]
    found = RecoveredGradients(mesh).at_points(linear(mesh.points))[..., 0].T
    normals = mesh.points / mesh.points.norm(dim=1, keepdim=True)
    assert float((found * normals).sum(1).abs().amax()) < 0.3 * float(found.norm(dim=1).amax())


def test_flat_cells_have_no_slopes():
    points = torch.tensor([[0.0, 0], [1, 0], [0, 1], [0.5, 0.5]]).double()
    mesh = ml.Mesh(points, cells={"triangle": torch.tensor([[0, 1, 2], [1, 3, 2]])})
    slopes = RecoveredGradients(mesh).at_points(linear(points))[..., 0].T
    assert torch.allclose(slopes[:3], torch.tensor([1.0, 2.0]).double(), atol=1e-12)
    sliver = mesh.replace(points=torch.tensor([[0.0, 0], [1, 0], [0, 1], [-1.0, 2]]).double())  # 3 has no other cell
    assert bool(torch.isfinite(RecoveredGradients(sliver).in_cells(torch.ones(2, 1).double())).all())


def test_one_matrix_says_the_same():
    mesh = MESHES["triangle"]
    values = torch.cat([linear(mesh.points), linear(mesh.points).sin()], 1)
    whole, parts = (RecoveredGradients(mesh, often=often).at_points(values) for often in (True, False))
    assert torch.allclose(whole, parts, atol=1e-12)
