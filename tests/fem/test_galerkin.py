import pytest
import torch
from multigrid_cases import square, stiffness
from torch.testing import assert_close

from meshlearn.errors import ParameterError
from meshlearn.fem.galerkin import GalerkinProduct, galerkin
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.ops import SparseOperator


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(1)
    A = torch.randn(7, 7, generator=generator, dtype=torch.float64)
    P = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    A[torch.rand(7, 7, generator=generator) < 0.5] = 0
    P[torch.rand(7, 3, generator=generator) < 0.5] = 0
    return SparseOperator.from_dense(A), SparseOperator.from_dense(P)


def test_it_is_the_dense_product_without_symmetry(case):
    A, P = case
    assert_close(galerkin(A, P).to_dense(), P.to_dense().T @ A.to_dense() @ P.to_dense())


def test_gradients_to_both_factors(case):
    A, P = case

    def product(a, p):
        return galerkin(A.with_values(a), P.with_values(p)).values

    inputs = (A.values.requires_grad_(), P.values.requires_grad_())
    assert torch.autograd.gradcheck(product, inputs)
    assert torch.autograd.gradgradcheck(product, inputs)


def test_the_pattern_does_not_depend_on_the_values():
    """The diagonals of a square grid cancel; so would those of the coarse matrix."""
    mesh = square(4)
    A, P = stiffness(mesh), prolongation(square(2), mesh, how="location")
    product = GalerkinProduct(A.adjacency, P)
    zero = product(A.with_values(torch.zeros_like(A.values)))
    assert zero.adjacency is product(A).adjacency
    rows, cols = zero.adjacency.receivers, zero.index
    assert bool(((rows * zero.n_cols + cols).diff() > 0).all()), "sorted, without repeated entries"


def test_many_matrices_on_one_pattern_at_once(case):
    A, P = case
    product = GalerkinProduct(A.adjacency, P)
    many = torch.randn(A.adjacency.n_edges, 4, dtype=torch.float64)
    one_by_one = torch.stack([product(A.with_values(v)).values for v in many.T], 1)
    assert_close(product.values(many), one_by_one)


def test_repeated_entries_add_up():
    A = SparseOperator(torch.tensor([0, 2, 3]), torch.tensor([0, 0, 1]), torch.tensor([1.0, 2.0, 5.0]))
    P = SparseOperator.from_dense(torch.tensor([[1.0], [2.0]]))
    assert galerkin(A, P).to_dense().item() == 3 + 4 * 5


def test_shapes_that_do_not_fit_are_refused(case):
    A, P = case
    with pytest.raises(ParameterError, match="square A"):
        GalerkinProduct(P.adjacency, P)
    with pytest.raises(ParameterError, match="another pattern"):
        GalerkinProduct(A.adjacency, P)(stiffness(square(2)))
