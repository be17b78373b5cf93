"""Which dof follows from which: pairs, chains, and linear relations."""

import pytest
import torch
from torch.autograd import gradcheck

import meshlearn as ml
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64


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
