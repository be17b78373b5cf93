"""Modes against the singular value decomposition, and residuals against leaving out by hand."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.pod import POD


def snapshots(n=40, entries=300, rank=5, noise=0.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    scales = 10.0 ** -torch.arange(rank, dtype=torch.float64)
    a = torch.randn(n, rank, generator=g, dtype=torch.float64) * scales
    b = torch.randn(rank, entries, generator=g, dtype=torch.float64)
    weights = torch.rand(entries, generator=g, dtype=torch.float64) + 0.1
    return 3.0 + a @ b + noise * torch.randn(n, entries, generator=g, dtype=torch.float64), weights / weights.sum()


def test_modes_are_orthonormal_and_reproduce_what_they_span():
    u, w = snapshots()
    pod = POD(modes=5).fit(u, w)
    torch.testing.assert_close((pod.modes_ * w) @ pod.modes_.T, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(pod.decode(pod.coefficients_), u, rtol=0, atol=1e-7)
    torch.testing.assert_close(pod.coefficients_.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-10)


def test_modes_equal_the_weighted_singular_vectors():
    u, w = snapshots(noise=1e-3)
    pod = POD(modes=3).fit(u, w)
    _, s, vt = torch.linalg.svd((u - u.mean(0)) * w.sqrt(), full_matrices=False)
    torch.testing.assert_close(pod.energies_, s[:3] ** 2 / len(u), rtol=1e-8, atol=0)
    cosines = ((pod.modes_ * w.sqrt()) * vt[:3]).sum(1).abs()
    torch.testing.assert_close(cosines, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-8)


def test_many_snapshots_by_random_projection_agree(monkeypatch):
    u, w = snapshots(n=60, noise=1e-6)
    exact = POD(modes=4).fit(u, w)
    monkeypatch.setattr("meshlearn.models.mmgp.pod.EXACT", 10)
    quick = POD(modes=4).fit(u, w)
    torch.testing.assert_close(quick.energies_, exact.energies_, rtol=1e-6, atol=0)
    torch.testing.assert_close(quick.decode(quick.encode(u, w)), exact.decode(exact.encode(u, w)), rtol=0, atol=1e-6)


def test_residual_is_that_of_snapshots_left_out():
    u, w = snapshots(noise=0.01)
    pod = POD(modes=3).fit(u, w, keep=[2, 7, 11])
    rest = torch.zeros_like(u)
    for fold in range(5):
        out = torch.arange(len(u)) % 5 == fold
        part = POD(modes=3).fit(u[~out], w)
        rest[out] = u[out] - part.decode(part.encode(u[out], w))
    torch.testing.assert_close(pod.residual_, rest.square().mean(0), rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(pod.rest_, rest[[2, 7, 11]], rtol=0, atol=1e-6)
    torch.testing.assert_close(pod.rest_norms_, (rest.square() @ w).sqrt(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("noise", [1e-2, 1e-6])
def test_rank_by_cross_validation_finds_the_modes_above_the_noise(noise):
    u, w = snapshots(n=120, entries=2000, rank=3, noise=noise)  # energies 1, 1e-2, 1e-4
    assert POD("cv").fit(u, w).rank_ == 3


def test_energy_share_and_truncation():
    u, w = snapshots(n=60)
    pod = POD(0.999).fit(u, w)
    assert 1 <= pod.rank_ <= 3
    assert POD(0.9999999).fit(u, w).rank_ > pod.rank_
    constant = POD().fit(torch.full((12, 30), 2.5, dtype=torch.float64), w[:30])
    assert constant.rank_ == 0
    assert bool((constant.decode(constant.encode(torch.rand(2, 30, dtype=torch.float64), w[:30])) == 2.5).all())
    with pytest.raises(ml.ParameterError, match="modes"):
        POD(1.5).fit(u, w)
