"""Normalisers: statistics, safety, inverse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from meshlearn.errors import FieldError
from meshlearn.train import Normalizer


def test_streamed_statistics_equal_those_of_the_whole_table():
    x = torch.randn(1000, 3, dtype=torch.float64) * torch.tensor([1.0, 1e-3, 1e4]) + torch.tensor([0.0, 5.0, 1e6])
    w = torch.rand(1000, dtype=torch.float64)
    parts = Normalizer(3)
    for a, b in zip(x.split(170), w.split(170), strict=True):
        parts.update(a, b)
    parts.finish()
    mean = (w[:, None] * x).sum(0) / w.sum()
    std = ((w[:, None] * (x - mean) ** 2).sum(0) / w.sum()).sqrt()
    torch.testing.assert_close(parts.mean.double(), mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(parts.scale.double(), std, rtol=1e-6, atol=0)


@given(st.floats(-(2.0**90), 2.0**90, width=32), st.integers(1, 5))
def test_constant_channels_map_to_zero_and_stay_finite(value, n):
    x = torch.full((n, 1), value)
    normalizer = Normalizer(1).fit(x)
    y = normalizer(x)
    assert torch.isfinite(normalizer(x * 1.1)).all()
    assert y.abs().max() < 1e-5
    torch.testing.assert_close(normalizer.inverse(y), x, rtol=1e-5, atol=0)


def test_round_off_in_one_component_is_not_blown_up():
    x = torch.randn(100, 2)
    x[:, 1] = 5.0 + 1e-7 * torch.randn(100)
    assert Normalizer(2).fit(x)(x)[:, 1].abs().max() < 1e-3


def test_a_constant_channel_is_restored_exactly_whatever_is_put_in():
    x = torch.stack([torch.randn(50), torch.zeros(50), torch.full((50,), 7.0)], 1)
    restored = Normalizer(3).fit(x).inverse(torch.randn(50, 3))
    assert torch.equal(restored[:, 1:], x[:, 1:])


def test_nothing_seen_is_the_identity():
    x = torch.randn(4, 2)
    assert torch.equal(Normalizer(2).fit(x[:0])(x), x)


def test_wrong_width():
    with pytest.raises(FieldError, match="2 channels"):
        Normalizer(2).update(torch.zeros(3, 4))
