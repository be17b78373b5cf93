import pytest
import torch
from solve_cases import Square
from torch.autograd import gradcheck

import meshlearn as ml
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.solve import solve
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64


def examples() -> dict[str, AffineConstraint]:
    ids = torch.tensor
    rows = SparseOperator.from_dense(
        torch.tensor([[1.0, 1, 0, 0, 0, 1, 0, 0], [0, 1, 2, 0, 0, 0, 0, -1]], dtype=DOUBLE)
    )
    return {
        "none": AffineConstraint.none(8),
        "dirichlet": AffineConstraint.dirichlet(8, ids([0, 5]), ids([0.1, 0.7], dtype=DOUBLE)),
        "periodic": AffineConstraint.periodic(8, ids([7, 6]), ids([0, 1])),
        "mean": AffineConstraint.mean_zero(torch.linspace(1, 2, 8, dtype=DOUBLE), 3.0),
        "linear": AffineConstraint.linear(rows, ids([1.0, 2.0], dtype=DOUBLE)),
        "both": AffineConstraint.periodic(8, ids([7, 6]), ids([0, 1]))
        & AffineConstraint.dirichlet(8, ids([2, 7]), ids([0.3, 0.9], dtype=DOUBLE)),
    }


@pytest.mark.parametrize("name", examples())
def test_reduced_matrix_is_b_transposed_a_b(name):
    c = examples()[name]
    dense = torch.rand(8, 8, dtype=DOUBLE) * (torch.rand(8, 8) > 0.5)
    A, B = SparseOperator.from_dense(dense), c.B.to_dense()
    assert torch.allclose(c.reduce(A).to_dense(), B.T @ dense @ B, atol=1e-14)
    z, r = torch.rand(c.n_free, 3, dtype=DOUBLE), torch.rand(8, 3, dtype=DOUBLE)
    assert torch.allclose(c.expand(z), B @ z + c.g.unsqueeze(1), atol=1e-15)
    assert torch.allclose(c.restrict(r), B.T @ r, atol=1e-15)
    assert torch.equal(c.expand(z[:, 0]).index_select(0, c.independent), z[:, 0])
    assert sorted([*c.independent.tolist(), *c.constrained.tolist()]) == list(range(8))
    assert gradcheck(lambda v: c.reduce(A.with_values(v)).values, A.values.clone().requires_grad_())


@pytest.mark.parametrize("name", examples())
def test_imposing_twice_changes_nothing_and_differences_are_homogeneous(name):
    c = examples()[name]
    u, w = torch.rand(2, 8, dtype=DOUBLE)
    once = c.impose(u)
    assert torch.equal(c.impose(once), once)
    difference = once - c.impose(w)
    assert torch.allclose(c.homogeneous().impose(difference), difference, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_prescribed_values_hold_to_the_last_bit(dtype):
    square = Square(3)
    g = torch.rand(len(square.boundary)).to(dtype) / 3
    c = AffineConstraint.dirichlet(square.n, square.boundary, g)
    for method in ("direct", "cg"):
        u = solve(square.stiffness.to(dtype), square.load.to(dtype), c, method=method)
        assert u.dtype == dtype
        assert torch.equal(u[square.boundary], g)
    assert torch.equal(c.impose(torch.randn(square.n).to(dtype))[square.boundary], g)


def test_numbers_take_the_precision_of_the_unknowns():
    c = AffineConstraint.dirichlet(3, torch.tensor([1]), 0.1)
    assert c.expand(torch.zeros(2)).dtype == torch.float32
    assert c.expand(torch.zeros(2, dtype=DOUBLE))[1].item() == 0.1


def test_gradient_of_overwritten_entries_is_zero_and_that_of_data_the_identity():
    g = torch.rand(2, dtype=DOUBLE, requires_grad=True)
    u = torch.rand(5, dtype=DOUBLE, requires_grad=True)
    out = AffineConstraint.dirichlet(5, torch.tensor([3, 1]), g).impose(u)
    weight = torch.rand(5, dtype=DOUBLE)
    of_u, of_g = torch.autograd.grad(out @ weight, (u, g))
    assert torch.equal(of_g, weight[[3, 1]])
    assert torch.equal(of_u, weight * torch.tensor([1, 0, 1, 0, 1]))


def test_many_sets_of_boundary_values():
    g = torch.rand(2, 3, dtype=DOUBLE)
    square = Square(2)
    dofs = square.boundary[:2]
    c = AffineConstraint.dirichlet(square.n, dofs, g)
    u = solve(square.stiffness, square.load, c)
    for k in range(3):
        one = solve(square.stiffness, square.load, AffineConstraint.dirichlet(square.n, dofs, g[:, k]))
        assert torch.allclose(u[:, k], one, atol=1e-14)


def test_periodic_corners_chains_and_weights():
    ids = torch.tensor
    c = AffineConstraint.periodic(6, ids([3, 3, 1, 2, 5]), ids([1, 2, 0, 0, 4]), ids([1.0, 1, 1, 1, -2]))
    assert c.n_free == 2
    assert c.independent.tolist() == [0, 4]
    assert c.expand(ids([1.0, 3.0])).tolist() == [1, 1, 1, 1, 3, -6]
    n = 5000  # a long chain, given in a scrambled order
    order = torch.randperm(n - 1)
    chain = AffineConstraint.periodic(n, order + 1, order)
    assert chain.n_free == 1
    assert torch.equal(chain.expand(torch.ones(1)), torch.ones(n))
    with pytest.raises(ml.ConstraintError, match="degree of freedom"):
        AffineConstraint.periodic(3, ids([0, 1, 2]), ids([1, 2, 0]), ids([1.0, 1, -1]))


def test_linear_constraints_hold_for_any_unknowns():
    for density in (0.2, 0.9):  # private columns, and entangled rows
        C = torch.rand(6, 30, dtype=DOUBLE) * (torch.rand(6, 30) < density)
        C[2] = 0
        C[2, 5] = 2.0
        values = torch.rand(6, dtype=DOUBLE, requires_grad=True)
        c = AffineConstraint.linear(SparseOperator.from_dense(C), values)
        assert c.n_free == 24
        u = c.expand(torch.rand(24, 2, dtype=DOUBLE))
        assert torch.allclose(C @ u, values.unsqueeze(1).expand(-1, 2), atol=1e-12)
        assert gradcheck(lambda v, C=C: AffineConstraint.linear(SparseOperator.from_dense(C), v).g, values)


def test_dependent_and_contradicting_rows_are_refused():
    rows = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 2, 1]], dtype=DOUBLE)
    with pytest.raises(ml.ConstraintError, match="leave it out"):
        AffineConstraint.linear(SparseOperator.from_dense(rows), torch.tensor([1.0, 2.0, 3.0], dtype=DOUBLE))
    with pytest.raises(ml.ConstraintError, match="contradicts"):
        AffineConstraint.linear(SparseOperator.from_dense(rows), torch.tensor([1.0, 2.0, 4.0], dtype=DOUBLE))


def test_combination_of_prescribed_dofs():
    ids = torch.tensor
    a = AffineConstraint.dirichlet(5, ids([0, 1]), ids([1.0, 2.0]))
    b = AffineConstraint.dirichlet(5, ids([1, 4]), ids([2.0, 3.0]))
    assert (a & b).expand(ids([7.0, 8.0])).tolist() == [1, 2, 7, 8, 3]
    with pytest.raises(ml.ConstraintError, match="degree of freedom 1 "):
        a & AffineConstraint.dirichlet(5, ids([1]), 2.5)
    with pytest.raises(ml.ConstraintError, match="degree of freedom 3 "):
        AffineConstraint.dirichlet(5, ids([3, 3]), ids([2.0, 2.5]))
    assert AffineConstraint.dirichlet(5, ids([3, 3]), 2.0).n_free == 4


def test_combination_of_all_kinds_satisfies_all():
    ids = torch.tensor
    periodic = AffineConstraint.periodic(8, ids([7, 6]), ids([0, 1]))
    g = torch.rand(2, dtype=DOUBLE, requires_grad=True)
    fixed = AffineConstraint.dirichlet(8, ids([0, 6]), g)
    weights = torch.linspace(1, 2, 8, dtype=DOUBLE)
    u = (periodic & fixed & AffineConstraint.mean_zero(weights)).expand(torch.rand(3, dtype=DOUBLE))
    assert torch.equal(u[[0, 7]], g[[0, 0]])
    assert torch.equal(u[[6, 1]], g[[1, 1]])
    assert abs(float(weights @ u.detach())) < 1e-13
    with pytest.raises(ml.ConstraintError):
        fixed & AffineConstraint.dirichlet(8, ids([7]), 5.0) & periodic


def test_wrong_arguments_are_named():
    with pytest.raises(ml.ParameterError, match="degree of freedom 9"):
        AffineConstraint.dirichlet(5, torch.tensor([9]), 0.0)
    with pytest.raises(ml.ParameterError, match="finite"):
        AffineConstraint.dirichlet(5, torch.tensor([1]), float("nan"))
    with pytest.raises(ml.ParameterError, match="expects"):
        AffineConstraint.none(5).expand(torch.rand(4))
    with pytest.raises(ml.ParameterError, match="not zero"):
        AffineConstraint.mean_zero(torch.zeros(3))
