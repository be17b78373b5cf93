"""Affine maps u = B z + g, of every kind of constraint, against dense matrices."""

import pytest
import torch
from torch.autograd import gradcheck

from meshlearn.fem.constraint import AffineConstraint
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
