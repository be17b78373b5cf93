"""Narrow float64 rows go through MKL on CPU, wide ones do not: the sums are the same."""

import pytest
import torch

import meshlearn as ml
from meshlearn.ops import mkl

PTR = torch.tensor([0, 0, 3, 4, 4, 9, 9])
INDEX = torch.tensor([4, 0, 4, 6, 1, 2, 3, 5, 0])


def values(width):
    return torch.randn(7, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
def test_narrow_and_wide_products_agree(weighted):
    x = values(2 * mkl._NARROW)
    assert not mkl.takes(x)
    weight = torch.arange(9.0, dtype=torch.float64) - 3 if weighted else None
    wide = ml.ops.spmm(PTR, INDEX, weight, x)
    parts = [ml.ops.spmm(PTR, INDEX, weight, part.contiguous()) for part in x.split(mkl._NARROW, dim=1)]
    assert torch.allclose(torch.cat(parts, 1), wide, rtol=1e-14, atol=1e-14)
    for column in (0, 5):
        assert torch.allclose(ml.ops.spmm(PTR, INDEX, weight, x[:, column]), wide[:, column], rtol=1e-14, atol=1e-14)


def test_sums_of_rows_agree_with_those_of_float32():
    x = values(3)[:5].repeat(2, 1)[:9].round(decimals=2)
    narrow = ml.ops.segment_sum(x, PTR)
    assert torch.allclose(narrow, ml.ops.segment_sum(x.float(), PTR).double(), atol=1e-6)
    assert torch.equal(narrow[[0, 3, 5]], torch.zeros(3, 3, dtype=torch.float64))


def test_what_is_not_finite_spreads_to_its_rows_only():
    x = values(2)
    x[6] = torch.nan
    bad = ml.ops.spmm(PTR, INDEX, None, x).isnan().any(1)
    assert bad.tolist() == [False, False, True, False, False, False]


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch is built without MKL")
def test_it_is_float64_alone_that_goes_there():
    assert mkl.takes(values(3))
    assert not mkl.takes(values(3).float())
