"""A space and the mesh it was made on: points that change behind its back are noticed."""

import pytest
import torch

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_changed_in_place_are_refused_and_a_new_mesh_has_them(dtype):
    mesh = ml.shapes.square(n=4, dtype=dtype)
    space = FESpace(mesh, "P1")
    before = space.assemble(lambda x: 1.0)
    mesh.points.mul_(2.0)
    with pytest.raises(ml.MeshError, match="changed in place after this space was made"):
        space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    with pytest.raises(ml.MeshError, match=r"mesh\.replace\(points="):
        space.evaluate(torch.zeros(space.n_dofs), torch.rand(3, 2))
    with pytest.raises(ml.MeshError, match="in place"):
        _ = space.dof_points
    with pytest.raises(ml.MeshError, match="in place"):
        FESpace(mesh, "P1")
    after = FESpace(mesh.replace(points=mesh.points), "P1")
    torch.testing.assert_close(after.assemble(lambda x: 1.0), 4 * before)
    assert after.skmesh.p.max() == 2.0


def test_steps_of_an_optimiser_do_not_reach_spaces_of_other_points():
    mesh = ml.shapes.square(n=2, dtype=torch.float64)
    points = mesh.points.clone().requires_grad_()
    optimizer = torch.optim.SGD([points], lr=0.01)
    sizes = []
    for _ in range(3):
        space = FESpace(mesh.replace(points=points), "P1")
        area = space.assemble(lambda x: 1.0 + 0 * x[0])
        optimizer.zero_grad()
        area.backward()
        optimizer.step()
        sizes.append(area.item())
        with pytest.raises(ml.MeshError, match="in place"):
            space.assemble(lambda v, x: v)
    assert sizes[0] == pytest.approx(1.0)
    assert sizes[2] < sizes[1] < sizes[0]
    FESpace(mesh, "P1").assemble(lambda v, x: v)


def test_inference_mode_and_data_that_only_change_gradients():
    with torch.inference_mode():
        mesh = ml.shapes.square(n=2, dtype=torch.float64)
        assert FESpace(mesh, "P1").assemble(lambda x: 1.0).item() == pytest.approx(1.0)
    mesh = ml.shapes.square(n=2, dtype=torch.float64)
    space = FESpace(mesh, "P1")
    mesh.points.requires_grad_()
    assert space.assemble(lambda x: 1.0).item() == pytest.approx(1.0)
