"""Functions of the reference cell in powers of the coordinates equal scikit-fem's, with their derivatives."""

import pytest
import torch
from space_cases import PAIRS, plain

from meshlearn.fem import FESpace
from meshlearn.fem.polynomials import Polynomials


@pytest.mark.parametrize(("element", "kind"), PAIRS, ids=lambda x: x)
def test_values_and_parts_are_those_of_scikit_fem(element, kind):
    block = FESpace(plain(kind, 1), element).blocks[0]
    if block.family == "table":
        pytest.skip("not known on the reference cell")
    made, places = Polynomials(block), torch.rand(9, plain(kind, 1).dim, dtype=torch.float64)
    for part, table in block.tables(places.t().numpy(), torch.float64).items():
        assert (made.at(places, part) - table).abs().max() < 1e-11


def test_the_gradient_of_values_is_the_table_of_gradients():
    block = FESpace(plain("quad", 1), "P2").blocks[0]
    made = Polynomials(block)
    places = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
    for i, row in enumerate(made.at(places, "value")[..., 0]):
        (slope,) = torch.autograd.grad(row.sum(), places, retain_graph=True)
        assert torch.allclose(slope, made.at(places, "grad")[i], atol=1e-12)
