"""Assembly gives scikit-fem's matrices to rounding, for every element on every cell, with a pattern of its own."""

import numpy as np
import pytest
import skfem
import torch
from skfem import helpers
from space_cases import FIRST, PAIRS, SECOND, difference, form_of, plain, scikit_fem, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, curl, div, dot, grad, inner, sym

ROUNDING = 1e-12


@pytest.mark.parametrize(("element", "kind"), [pair for pair in PAIRS if pair[1] != "wedge"], ids=lambda x: x)
def test_matrices_equal_those_of_scikit_fem(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    ours, theirs = form_of(space)
    order = 2 * space.degree + 1
    assert difference(space.assemble(ours, order=order), scikit_fem(space, theirs, order)) < ROUNDING


@pytest.mark.parametrize("kind", SECOND)
@pytest.mark.parametrize("element", ["P0", "P1", "P2", "RT0", "N1", "P1^d"])
def test_matrices_on_curved_cells_equal_those_of_scikit_fem(element, kind):
    if (element, kind) == ("N1", "hexahedron27"):
        pytest.skip("no such element")
    space = FESpace(uneven(kind, n=1), element)
    ours, theirs = form_of(space)
    assert difference(space.assemble(ours, order=5), scikit_fem(space, theirs, 5)) < ROUNDING


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_elasticity_equals_that_of_scikit_fem(kind):
    space = FESpace(uneven(kind), "P2^d")
    A = space.assemble(lambda u, v, x: inner(sym(grad(u)), sym(grad(v))) + (1 + x[1]) * div(u) * div(v), order=5)
    B = scikit_fem(
        space,
        lambda u, v, w: (
            helpers.ddot(helpers.sym_grad(u), helpers.sym_grad(v)) + (1 + w.x[1]) * helpers.div(u) * helpers.div(v)
        ),
        5,
    )
    assert difference(A, B) < ROUNDING


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_taylor_hood_equals_that_of_scikit_fem(kind):
    space = FESpace(uneven(kind), ("P2^d", "P1"))

    def ours(u, v, x):
        (u, p), (v, q) = u, v
        return inner(grad(u), grad(v)) - div(v) * p - 2 * div(u) * q + x[0] * p * q

    def theirs(u, p, v, q, w):
        return helpers.ddot(grad_of(u), grad_of(v)) - helpers.div(v) * p - 2 * helpers.div(u) * q + w.x[0] * p * q

    def grad_of(u):
        return u.grad

    assert difference(space.assemble(ours, order=5), scikit_fem(space, theirs, 5)) < ROUNDING


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_mixed_poisson_equals_that_of_scikit_fem(kind):
    space = FESpace(uneven(kind), ("RT0", "P0"))
    A = space.assemble(lambda u, v, x: dot(u[0], v[0]) - u[1] * div(v[0]) + 3 * div(u[0]) * v[1], order=4)
    B = scikit_fem(space, lambda s, u, t, v, w: helpers.dot(s, t) - u * t.div + 3 * s.div * v, 4)
    assert difference(A, B) < ROUNDING


@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron"])
def test_rectangular_matrices_equal_those_of_scikit_fem(kind):
    mesh = uneven(kind)
    test, trial = FESpace(mesh, "P1"), FESpace(mesh, "P2")
    A = test.assemble(lambda u, v, x: grad(u)[0] * v + u * grad(v)[-1], trial=trial, order=4)
    B = scikit_fem(test, lambda u, v, w: u.grad[0] * v + u * v.grad[-1], 4, trial)
    assert A.shape == (test.n_dofs, trial.n_dofs)
    assert difference(A, B) < ROUNDING


def test_rectangular_matrices_equal_sums_over_quadrature_points():
    """P2 trial, P1 test, not symmetric: entry (i, j) is the integral of phi_i d(psi_j)/dx, summed by hand."""
    mesh = uneven("triangle")
    test, trial = FESpace(mesh, "P1"), FESpace(mesh, "P2")
    rows, columns = test.basis(3), trial.basis(3)
    wanted = np.zeros((test.n_dofs, trial.n_dofs))
    for i in range(rows.Nbfun):
        for j in range(columns.Nbfun):
            phi, psi = rows.basis[i][0], columns.basis[j][0]
            entries = np.einsum("eq,eq,eq->e", np.broadcast_to(np.asarray(phi), rows.dx.shape), psi.grad[0], rows.dx)
            np.add.at(wanted, (rows.element_dofs[i], columns.element_dofs[j]), entries)
    A = test.assemble(lambda u, v, x: grad(u)[0] * v, trial=trial)
    assert np.abs(A.to_scipy().toarray() - wanted).max() < ROUNDING


def test_spaces_of_unlike_families_meet_in_one_matrix():
    mesh = uneven("tetra")
    n1, rt0 = FESpace(mesh, "N1"), FESpace(mesh, "RT0")
    A = rt0.assemble(lambda u, v, x: dot(curl(u), v), trial=n1)
    assert difference(A, scikit_fem(rt0, lambda u, v, w: helpers.dot(u.curl, v), 2, n1)) < ROUNDING


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad", "hexahedron"])
@pytest.mark.parametrize("element", ["P1", "P2"])
def test_the_default_order_is_that_of_scikit_fem(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    B = skfem.BilinearForm(lambda u, v, w: helpers.dot(u.grad, v.grad)).assemble(
        skfem.Basis(space.skmesh, space.element)
    )
    assert difference(A, B) < ROUNDING


@pytest.mark.parametrize("element", ["P1", "P2"])
@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron", "triangle6", "quad9", "tetra10"])
def test_boundary_integrals_equal_those_of_scikit_fem(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    ours = lambda u, v, x: (1 + x[0]) * u * v * x.normal[0] + dot(x.normal, grad(u)) * v  # noqa: E731
    theirs = lambda u, v, w: (1 + w.x[0]) * u * v * w.n[0] + helpers.dot(w.n, u.grad) * v  # noqa: E731
    A = space.assemble(ours, on="boundary", order=5)
    basis = skfem.FacetBasis(space.skmesh, space.element, intorder=5)
    assert difference(A, skfem.BilinearForm(theirs).assemble(basis)) < ROUNDING


def test_boundary_integrals_on_curved_hexahedra_obey_the_divergence_theorem():
    space = FESpace(uneven("hexahedron27", n=1), "P2")
    field = lambda x: x[0] ** 2 * x[1]  # noqa: E731
    flux = space.assemble(lambda x: field(x) * x.normal[0], on="boundary", order=8)
    assert abs(flux - space.assemble(lambda x: 2 * x[0] * x[1], order=8)) < ROUNDING


@pytest.mark.parametrize("element", ["P2^d", "RT0", "N1"])
@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_boundary_vectors_equal_those_of_scikit_fem(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    b = space.assemble(lambda v, x: x[1] * dot(v, x.normal) + v[0], on=["left", "top"], order=4)
    facets = space.facets(["left", "top"])
    basis = skfem.FacetBasis(space.skmesh, space.element, intorder=4, facets=facets)
    wanted = skfem.LinearForm(lambda v, w: w.x[1] * helpers.dot(v, w.n) + v[0]).assemble(basis)
    assert difference(b, wanted) < ROUNDING


@pytest.mark.parametrize("kind", [*FIRST, *SECOND])
def test_the_integral_of_one_is_the_measure(kind):
    space = FESpace(uneven(kind), "P1")
    assert abs(space.assemble(lambda x: 1.0, order=6) - 1) < ROUNDING
    if kind != "wedge":
        assert abs(space.assemble(lambda x: 1.0, on="boundary", order=6) - 2 * space.dim) < ROUNDING
        if kind != "line":
            assert abs(space.assemble(lambda x: x.normal[0] + 2, on="left") - 1) < ROUNDING


def test_wedges_integrate_what_scikit_fem_does_not():
    """scikit-fem 12's rule for wedges has half the weight, so the reference is the exact Dirichlet energy."""
    space = FESpace(uneven("wedge"), "P1")
    u = space.interpolate(lambda x: 2 * x[0] - x[1] + 3 * x[2])
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)), order=6)
    M = space.assemble(lambda u, v, x: u * v, order=6)
    assert abs(u @ (A @ u) - 14) < 1e-11
    assert abs(torch.ones_like(u) @ (M @ u) - 2) < ROUNDING


def test_the_right_hand_side_equals_that_of_scikit_fem():
    space = FESpace(uneven("quad"), "P2")
    b = space.assemble(lambda v, x: torch.sin(x[0]) * v + x[1] * grad(v)[0], order=6)
    form = skfem.LinearForm(lambda v, w: np.sin(w.x[0]) * v + w.x[1] * v.grad[0])
    assert difference(b, form.assemble(space.basis(6))) < ROUNDING


@pytest.mark.parametrize("element", ["P1", "P2", "RT0", ("P2^d", "P1")])
def test_the_pattern_does_not_depend_on_values(element):
    """scikit-fem drops entries that happen to vanish: on a regular mesh the Laplacian loses 32 of 137."""
    space = FESpace(plain("triangle", 4), element)

    def form(u, v, x):
        first = (u[0], v[0]) if isinstance(element, tuple) else (u, v)
        return x.k * (inner(*first) if element != "P1" else dot(grad(u), grad(v)))

    n = space.mesh.n_cells
    matrices = [space.assemble(form, k=k) for k in (1.0, 0.0, torch.zeros(n), torch.arange(n) % 2)]
    assert len({A.values.shape for A in matrices}) == 1
    assert all(torch.equal(A.adjacency.index, matrices[0].adjacency.index) for A in matrices)
    assert float(matrices[1].values.abs().max()) == 0.0
    if element == "P1":
        assert matrices[0].values.numel() == 137
        assert scikit_fem(space, lambda u, v, w: helpers.dot(u.grad, v.grad), 2).nnz < 137


BATCHED = {
    "P1": lambda u, v, x: x.k * dot(grad(u), grad(v)) + u * v,
    "P2^d": lambda u, v, x: x.k * inner(sym(grad(u)), sym(grad(v))) + div(u) * div(v),
    "RT0": lambda u, v, x: x.k * dot(u, v) + div(u) * div(v),
    "N1": lambda u, v, x: x.k * curl(u) * curl(v) + dot(u, v),
    "Morley": lambda u, v, x: x.k * inner(ml.fem.hess(u), ml.fem.hess(v)) + u * v,
}


@pytest.mark.parametrize("kind", ["triangle", "quad"])
@pytest.mark.parametrize("element", BATCHED)
@pytest.mark.parametrize("where", ["cells", "points", "function"])
def test_a_batch_of_coefficients_equals_a_loop(element, kind, where):
    if (element, kind) == ("Morley", "quad"):
        pytest.skip("no such element")
    mesh = uneven(kind, 3)
    space, p1 = FESpace(mesh, element), FESpace(mesh, "P1")
    ks = 0.5 + torch.rand(5, mesh.n_cells if where == "cells" else mesh.n_points, dtype=torch.float64)
    given = (lambda k: p1.function(k)) if where == "function" else (lambda k: k)
    form = BATCHED[element]
    A = space.assemble(form, k=given(ks))
    assert len(A) == 5
    for one, k in zip(A, ks, strict=True):
        assert difference(one, space.assemble(form, k=given(k)).to_scipy()) < 1e-14
    right = space.assemble(lambda v, x: x.k * (v if v.shapes["value"] == () else v[0]), k=given(ks))
    assert right.shape == (5, space.n_dofs)
    assert torch.allclose(space.assemble(lambda x: x.k * x[0], k=given(ks))[3], space.assemble(
        lambda x: x.k * x[0], k=given(ks[3])
    ), rtol=1e-14)  # fmt: skip


def test_a_batch_on_the_boundary_equals_a_loop():
    space = FESpace(uneven("tetra"), "P1")
    ks = torch.rand(4, space.mesh.n_points, dtype=torch.float64)
    form = lambda u, v, x: x.k * u * v  # noqa: E731
    A = space.assemble(form, on="left", k=ks)
    for one, k in zip(A, ks, strict=True):
        assert difference(one, space.assemble(form, on="left", k=k).to_scipy()) < 1e-14


def test_a_batch_of_one_is_a_batch():
    space = FESpace(uneven("triangle"), "P1")
    k = torch.rand(1, space.mesh.n_cells, dtype=torch.float64)
    assert space.assemble(lambda v, x: x.k * v, k=k).shape == (1, space.n_dofs)
    assert space.assemble(lambda x: x.k, k=k).shape == (1,)
    assert space.assemble(lambda u, v, x: x.k * u * v, k=k).shape == (1, space.n_dofs, space.n_dofs)


@pytest.mark.parametrize("kind", ["triangle", "quad9"])
def test_equal_input_gives_equal_bits(kind):
    mesh = uneven(kind, 3)
    k = torch.rand(mesh.n_cells, dtype=torch.float64)
    runs = [FESpace(mesh, "P2").assemble(BATCHED["P1"], k=k).values for _ in range(3)]
    assert all(torch.equal(run, runs[0]) for run in runs)
    batches = [FESpace(mesh, "P2").assemble(BATCHED["P1"], k=torch.stack([k, 2 * k])).values for _ in range(2)]
    assert torch.equal(*batches)


@pytest.mark.parametrize("element", ["P2", "RT0", "Argyris"])
def test_chunks_give_the_same_matrix(element, monkeypatch):
    space = FESpace(uneven("triangle", 3), element)
    ours, _ = form_of(space)
    whole = space.assemble(ours)
    rule = space.assemble(lambda v, x: x[0] * (v if element != "RT0" else v[1]))
    monkeypatch.setattr(ml.fem.assembly, "CHUNK", 2000)
    assert difference(space.assemble(ours), whole.to_scipy()) < 1e-14
    assert torch.allclose(space.assemble(lambda v, x: x[0] * (v if element != "RT0" else v[1])), rule, rtol=1e-13)


def test_single_precision_is_kept_when_asked_for():
    mesh = ml.shapes.square(n=3)
    A = FESpace(mesh, "P2", dtype=torch.float32).assemble(BATCHED["P1"], k=1.0)
    B = FESpace(mesh, "P2").assemble(BATCHED["P1"], k=1.0)
    assert mesh.dtype == A.dtype == torch.float32
    assert B.dtype == torch.float64
    assert difference(A, B.to_scipy()) < 1e-6


def test_parts_that_do_not_touch_are_assembled_side_by_side():
    square = plain("triangle")
    triangles = square.cells["triangle"]
    both = ml.Mesh(
        torch.cat([square.points, square.points + 3]), {"triangle": torch.cat([triangles, triangles + square.n_points])}
    )
    A, B = (FESpace(mesh, "P1").assemble(BATCHED["P1"], k=1.0).to_scipy().toarray() for mesh in (square, both))
    assert np.abs(B - np.kron(np.eye(2), A)).max() < 1e-15


def test_spaces_of_different_meshes_do_not_mix():
    with pytest.raises(ml.ParameterError, match="different meshes"):
        FESpace(plain("triangle"), "P1").assemble(lambda u, v, x: u * v, trial=FESpace(plain("triangle", 3), "P1"))
