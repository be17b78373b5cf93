"""Two constraints at once hold both, or say where they cannot."""

import pytest
import torch

import meshlearn as ml
from meshlearn.fem.constraint import AffineConstraint

DOUBLE = torch.float64


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
