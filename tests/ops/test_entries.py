"""The algebra of sparse matrices against dense arithmetic."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn import ops
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64


def some(n_rows: int, n_cols: int, n_entries: int = 14) -> SparseOperator:
    """A matrix with repeated entries."""
    rows, cols = torch.randint(0, n_rows, (n_entries,)), torch.randint(0, n_cols, (n_entries,))
    return SparseOperator.from_coo(rows, cols, torch.randn(n_entries, dtype=DOUBLE), (n_rows, n_cols))


def test_sums_differences_and_multiples_are_those_of_the_dense_matrices():
    A, B = some(5, 7), some(5, 7)
    a, b = A.to_dense(), B.to_dense()
    for made, wanted in (
        (A + B, a + b),
        (A - B, a - b),
        (-A, -a),
        (2.0 * A, 2 * a),
        (A * 3, 3 * a),
        (A / 4, a / 4),
        (torch.tensor(0.5) * A - np.float64(2) * B, 0.5 * a - 2 * b),
        (sum([A, B, A]), a + b + a),
        (A + SparseOperator.from_coo(*torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), (5, 7)), a),
    ):
        torch.testing.assert_close(made.to_dense(), wanted)
    assert (A - B).adjacency.n_edges == len({*A.to_scipy().todok().keys(), *B.to_scipy().todok().keys()})


def test_one_pattern_stays_and_needs_no_work():
    A = some(5, 7)
    B = A.with_values(torch.randn(14, dtype=DOUBLE))
    assert (A + B).adjacency is A.adjacency
    copy = SparseOperator(A.ptr.clone(), A.index.clone(), B.values, 7)
    assert (A - copy).adjacency is A.adjacency
    assert torch.equal((A - copy).values, A.values - B.values)


@pytest.mark.parametrize("shape", [(5, 7, 4), (1, 3, 1), (6, 6, 6)])
def test_products_of_matrices(shape):
    A, B = some(*shape[:2]), some(*shape[1:])
    torch.testing.assert_close((A @ B).to_dense(), A.to_dense() @ B.to_dense())
    keys = (A @ B).adjacency.receivers * shape[2] + (A @ B).index
    assert bool((keys.diff() > 0).all()), "every entry is there once, in order"
    x = torch.randn(shape[2], 3, dtype=DOUBLE)
    torch.testing.assert_close((A @ B) @ x, A @ (B @ x))
    torch.testing.assert_close((A @ B).T.to_dense(), (B.T @ A.T).to_dense())


def test_derivatives_of_first_and_second_order():
    A, B, C = some(4, 5), some(4, 5), some(5, 3)
    factor = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    values = [m.values.clone().requires_grad_() for m in (A, B, C)]

    def function(factor, a, b, c):
        total = (factor * A.with_values(a) - B.with_values(b)) @ C.with_values(c)
        return total.values

    assert torch.autograd.gradcheck(function, (factor, *values))
    assert torch.autograd.gradgradcheck(lambda *v: function(*v).sin(), (factor, *values))


def test_rectangles_without_rows_or_entries():
    empty = SparseOperator(torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0), 4)
    assert (empty + empty).shape == (0, 4)
    nothing = SparseOperator.from_coo(*torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), (4, 6))
    assert (empty @ nothing).shape == (0, 6)
    assert (nothing @ nothing.T).adjacency.n_edges == 0


def test_precisions_are_promoted():
    A, B = some(5, 7), some(5, 7).to(torch.float32)
    assert (A + B).dtype == (B + A).dtype == (A @ B.T).dtype == DOUBLE
    assert (torch.tensor(2.0, dtype=DOUBLE) * B).dtype == torch.float32


def test_what_cannot_be_is_named():
    A = some(5, 7)
    with pytest.raises(ml.MeshError, match="one shape"):
        A + some(7, 5)
    with pytest.raises(ml.MeshError, match="as many columns of A as rows of B"):
        A @ A
    with pytest.raises(ml.ParameterError, match="fill the matrix"):
        A + 1.0
    with pytest.raises(ml.ParameterError, match="fill the matrix"):
        torch.ones(5, 7) - A
    with pytest.raises(ml.ParameterError, match="gather_receivers"):
        A * torch.ones(5)
    with pytest.raises(ml.ParameterError, match="got str"):
        "2" * A
    with pytest.raises(TypeError):
        A + "x"


def test_the_scaling_that_the_message_recommends():
    A, d, e = some(5, 7), torch.randn(5, dtype=DOUBLE), torch.randn(7, dtype=DOUBLE)
    rows = A.with_values(A.values * ops.gather_receivers(d, A.adjacency))
    columns = A.with_values(A.values * ops.gather_senders(e, A.adjacency))
    torch.testing.assert_close(rows.to_dense(), d[:, None] * A.to_dense())
    torch.testing.assert_close(columns.to_dense(), A.to_dense() * e)
