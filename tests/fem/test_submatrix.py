"""Parts of matrices against dense indexing."""

import pytest
import torch
from torch.testing import assert_close

from meshlearn.fem.submatrix import Submatrix, submatrix
from meshlearn.ops import SparseOperator


def test_submatrix_is_the_dense_one_with_gradients():
    dense = torch.randn(5, 4, dtype=torch.float64)
    A = SparseOperator.from_dense(dense)
    rows, cols = torch.tensor([3, 0]), torch.tensor([1, 3, 2])
    assert_close(submatrix(A, rows, cols).to_dense(), dense[rows][:, cols])
    values = A.values.clone().requires_grad_()
    submatrix(A.with_values(values), rows, cols).values.sum().backward()
    expected = torch.zeros(5, 4, dtype=torch.float64)
    expected[rows[:, None], cols] = 1.0
    assert_close(values.grad, expected.reshape(-1))


@pytest.mark.parametrize("ascending", [True, False])
def test_one_pattern_serves_many_matrices_and_repeated_entries(ascending):
    rows, cols = torch.randint(0, 6, (20,)), torch.randint(0, 6, (20,))
    A = SparseOperator.from_coo(rows, cols, torch.randn(20, dtype=torch.float64), (6, 6))
    kept = torch.tensor([1, 2, 5]) if ascending else torch.tensor([5, 1, 2])
    part = Submatrix(A.adjacency, kept, kept)
    for M in (A, 2.0 * A):
        assert_close(part(M).to_dense(), M.to_dense()[kept][:, kept])
        assert part(M).adjacency is part.adjacency
    nothing = torch.zeros(0, dtype=torch.int64)
    assert Submatrix(A.adjacency, nothing, kept)(A).shape == (0, 3)
