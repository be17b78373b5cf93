import pytest
import torch
from multigrid_cases import iterations, square
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.errors import MeshError, ParameterError
from meshlearn.fem import FESpace, dot, grad, inner
from meshlearn.fem.hierarchy import Hierarchy
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.fem.multigrid import VCycle
from meshlearn.fem.space_prolongation import space_prolongation
from meshlearn.mesh.refinement import refine

MESHES = {
    "triangle": lambda: ml.shapes.disc(size=0.6, dtype=torch.float64),
    "quad": lambda: square(2, cells="quad"),
    "tetra": lambda: ml.shapes.box(n=1, dtype=torch.float64),
}


def stiffness(space):
    form = (lambda u, v, x: dot(grad(u), grad(v))) if space.blocks[0].components is None else None
    return space.assemble(form or (lambda u, v, x: inner(grad(u), grad(v))))


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("degrees", [("P1", "P1"), ("P2", "P2"), ("P1", "P2")])
@pytest.mark.parametrize("finer", [True, False])
def test_galerkin_products_are_the_matrices_of_the_coarse_space(kind, degrees, finer):
    mesh = MESHES[kind]()
    if not finer and degrees[0] == degrees[1]:
        return
    coarse = FESpace(mesh, degrees[0])
    fine = FESpace(refine(mesh) if finer else mesh, degrees[1])
    P, A = space_prolongation(coarse, fine), stiffness(fine)
    product = P.to_dense().T @ A.to_dense() @ P.to_dense()
    assert_close(product, stiffness(coarse).to_dense(), rtol=0, atol=1e-11)


def test_vector_fields_component_by_component():
    mesh = square(2)
    coarse, fine = FESpace(mesh, "P1", components=2), FESpace(refine(mesh), "P2", components=2)
    P = space_prolongation(coarse, fine)
    u, places = torch.randn(coarse.n_dofs, dtype=torch.float64), torch.rand(40, 2, dtype=torch.float64)
    assert_close(fine.evaluate(P @ u, places), coarse.evaluate(u, places), rtol=0, atol=1e-12)
    product = P.to_dense().T @ stiffness(fine).to_dense() @ P.to_dense()
    assert_close(product, stiffness(coarse).to_dense(), rtol=0, atol=1e-11)


def test_first_order_spaces_are_the_points_of_the_mesh():
    mesh = square(3)
    spaces = FESpace(mesh, "P1"), FESpace(refine(mesh), "P1")
    assert_close(space_prolongation(*spaces).to_dense(), prolongation(mesh).to_dense(), rtol=0, atol=1e-13)


def test_multigrid_for_second_order_elements():
    meshes = [square(2 * 2**k) for k in range(4)]
    counts = []
    for top in (2, 3):
        spaces = [FESpace(mesh, "P1") for mesh in meshes[: top + 1]] + [FESpace(meshes[top], "P2")]
        clamp = spaces[-1].dirichlet("boundary", 0.0)
        A = clamp.reduce(stiffness(spaces[-1]))
        counts.append(iterations(VCycle(Hierarchy.from_spaces(spaces, A, clamp.free))))
    assert max(counts) <= 10
    assert abs(counts[0] - counts[1]) <= 1


def test_errors_name_what_is_wrong():
    mesh = square(2)
    p1, p2 = FESpace(mesh, "P1"), FESpace(mesh, "P2")
    with pytest.raises(ParameterError, match="no values at nodes"):
        space_prolongation(p1, FESpace(mesh, "RT0"))
    with pytest.raises(ParameterError, match="1 and 2 components"):
        space_prolongation(p1, FESpace(mesh, "P2", components=2))
    with pytest.raises(ParameterError, match="coarsest first"):
        Hierarchy.from_spaces([p2, p1])
    with pytest.raises(MeshError, match="away from the coarse mesh"):
        space_prolongation(p1, FESpace(mesh.replace(points=mesh.points + 9.0), "P2"))
