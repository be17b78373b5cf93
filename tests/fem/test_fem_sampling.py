"""Functions on the mesh: exact at nodes, cell data where they jump, NaN where there is no cell."""

import pytest
import torch

import meshlearn as ml
from meshlearn import fem


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
@pytest.mark.parametrize("element", ["P1", "P2", "P2^d"])
def test_point_values_are_exact(kind, element):
    shape = ml.shapes.square if kind in ("triangle", "quad") else ml.shapes.box
    space = fem.FESpace(shape(n=2, cells=kind), element)

    def fn(x):
        value = x[0] + 2 * x[1]
        return torch.stack([value * (k + 1) for k in range(space.dim)]) if "^" in element else value

    field = fem.to_mesh(space, u=space.interpolate(fn)).point_data["u"]
    wanted = fn(space.mesh.points.double().t())
    assert torch.allclose(field, wanted.t() if wanted.dim() == 2 else wanted, atol=1e-13)


def test_second_order_mesh_has_values_at_all_its_nodes():
    space = fem.FESpace(ml.second_order(ml.shapes.disc(n=3)), "P2")
    field = fem.to_mesh(space, u=space.interpolate(lambda x: x[0] * 0 + 3.0)).point_data["u"]
    assert torch.allclose(field, torch.full_like(field, 3.0))


def test_jumping_functions_become_cell_data():
    mesh = ml.shapes.square(n=2)
    space = fem.FESpace(mesh, "RT0")
    flux = fem.to_mesh(space, q=space.interpolate([1.0, -2.0])).cell_data["q"]["triangle"]
    assert torch.allclose(flux, torch.tensor([1.0, -2.0], dtype=torch.float64).expand(mesh.n_cells, 2))


def test_fields_go_to_a_file_and_gradients_to_the_dofs(tmp_path):
    space = fem.FESpace(ml.shapes.square(n=2), "P2")
    dofs = torch.ones(space.n_dofs, dtype=torch.float64, requires_grad=True)
    made = fem.to_mesh(space, u=dofs)
    made.point_data["u"].sum().backward()
    assert dofs.grad.sum().item() == space.mesh.n_points
    ml.write(fem.to_mesh(space, u=dofs.detach()), tmp_path / "u.vtu")
    assert torch.equal(ml.read(tmp_path / "u.vtu").point_data["u"], made.point_data["u"].detach())


def test_wrong_dofs_are_refused():
    space = fem.FESpace(ml.shapes.square(n=1), "P1")
    with pytest.raises(ml.FieldError, match=r"expected \(4,\)"):
        fem.to_mesh(space, u=torch.zeros(3))
    with pytest.raises(ml.ParameterError, match="composite"):
        fem.to_mesh(space.with_element(("P1", "P1")), u=torch.zeros(8))
