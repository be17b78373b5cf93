"""Levels from meshes: Galerkin products are the matrices of the coarse spaces."""

import pytest
import torch
from multigrid_cases import dirichlet, elasticity, interior, square, stiffness, unit_square
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.fem.hierarchy import Hierarchy
from meshlearn.mesh.refinement import refine


@pytest.mark.parametrize(
    "mesh",
    [
        ml.shapes.interval(n=3),
        ml.shapes.disc(size=0.5),
        ml.shapes.square(n=2, cells="quad"),
        ml.shapes.box(n=(2, 1, 1)),
    ],
    ids=lambda mesh: mesh.domain_types[0],
)
def test_galerkin_products_are_the_matrices_of_the_coarse_spaces(mesh):
    levels = Hierarchy.refined(mesh.double(), 2)
    levels = levels.with_matrix(stiffness(levels.meshes[0]))
    for A, own in zip(levels.matrices, levels.meshes, strict=True):
        assert_close(A.to_dense(), stiffness(own).to_dense(), rtol=0, atol=1e-13)


def test_galerkin_products_with_dirichlet_points_are_those_of_the_coarse_interior():
    levels = Hierarchy.refined(square(3), 2)
    fine = levels.meshes[0]
    levels = levels.restricted(interior(fine)).with_matrix(dirichlet(fine))
    for A, ids, mesh in zip(levels.matrices, levels.free, levels.meshes, strict=True):
        assert torch.equal(ids, interior(mesh))
        assert_close(A.to_dense(), dirichlet(mesh).to_dense(), rtol=0, atol=1e-13)


def test_from_meshes_takes_any_nested_meshes():
    meshes = [square(n) for n in (3, 6, 12)]
    levels = Hierarchy.from_meshes(meshes, matrix=dirichlet(meshes[-1]), free=interior(meshes[-1]))
    assert (levels.method, levels.backend, levels.sizes) == ("location", "mesh", [121, 25, 4])
    assert_close(levels.matrices[2].to_dense(), dirichlet(meshes[0]).to_dense(), rtol=0, atol=1e-12)


def test_vector_fields_by_components():
    mesh = square(2)
    levels = Hierarchy.refined(mesh, 1, components=2)
    A, _ = elasticity(levels.meshes[0])
    free = (levels.meshes[0].points[:, 0] > 1e-9).nonzero().squeeze(1)
    unknowns = (2 * free[:, None] + torch.arange(2)).reshape(-1)
    coarse, _ = elasticity(mesh)
    found = levels.restricted(unknowns).with_matrix(A).matrices[1]
    assert_close(found.to_dense(), coarse.to_dense(), rtol=0, atol=1e-12)


def test_coarse_matrices_are_differentiable_in_the_fine_values():
    levels = Hierarchy.refined(square(2), 2)
    A = stiffness(levels.meshes[0])
    values = A.values.clone().requires_grad_()

    def energy(v):
        return sum((C.values**2).sum() for C in levels.with_matrix(A.with_values(v)).matrices)

    assert torch.autograd.gradcheck(energy, values)


def test_setup_is_shared_by_matrices_on_one_pattern():
    levels = Hierarchy.refined(unit_square(), 3)
    A = stiffness(levels.meshes[0])
    first, second = levels.with_matrix(A), levels.with_matrix(A.with_values(2 * A.values))
    assert all(a.adjacency is b.adjacency for a, b in zip(first.matrices, second.matrices, strict=True))
    assert_close(second.matrices[-1].values, 2 * first.matrices[-1].values)


def test_dtype_follows_the_matrix():
    levels = Hierarchy.refined(unit_square(), 2)
    single = levels.with_matrix(stiffness(levels.meshes[0]).to(torch.float32))
    assert {A.dtype for A in (*single.matrices, *single.prolongations)} == {torch.float32}
    assert single.to("cpu") is single


def test_errors_name_what_is_wrong():
    mesh, A = square(4), stiffness(square(4))
    with pytest.raises(ParameterError, match="coarsest first"):
        Hierarchy.from_meshes([refine(mesh), mesh])
    with pytest.raises(ParameterError, match="one refinement"):
        Hierarchy.refined(mesh, 0)
    levels = Hierarchy.refined(mesh, 1)
    with pytest.raises(ParameterError, match=r"81 unknowns.*\(25, 25\)"):
        levels.with_matrix(A)
    with pytest.raises(ParameterError, match="no matrices"):
        _ = levels.operator_complexity
    with pytest.raises(ParameterError, match="ascending ids"):
        levels.restricted(torch.tensor([3, 2]))
    with pytest.raises(ParameterError, match=r"level 2 .* is empty"):
        Hierarchy.refined(unit_square(), 2).restricted(interior(refine(unit_square(), 2)))
    with pytest.raises(ParameterError, match="already"):
        some = levels.restricted(interior(levels.meshes[0]))
        some.restricted(interior(levels.meshes[0]))
    for wrong, text in (
        ({"method": "classical"}, "method='classical'"),
        ({"backend": "petsc"}, "backend='petsc'"),
        ({"block_size": 2}, "block_size=2"),
        ({"near_nullspace": torch.ones(3, 1)}, "near_nullspace"),
        ({"strength": 1.5}, "strength"),
    ):
        with pytest.raises(ParameterError, match=text):
            Hierarchy.from_matrix(A, **wrong)
    with pytest.raises(ParameterError, match="row 2 is -1"):
        Hierarchy.from_matrix(ml.ops.SparseOperator.from_dense(torch.diag(torch.tensor([1.0, 1.0, -1.0]))))
