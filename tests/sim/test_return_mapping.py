"""Return mapping: the yield condition, flow without change of volume, and the derivative of the stress."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.return_mapping import (
    Material,
    consistent_tangent,
    equivalent_stress,
    return_mapping,
    trial_stress,
)

N = 200


def material(hardening=3.0, saturation=0.5, rate=40.0):
    values = (70.0, 160.0, 1.0, hardening, saturation, rate)
    return Material(*(torch.tensor([[v]], dtype=torch.float64) for v in values))


def strains(k, scale=0.05):
    given = scale * torch.randn(N, 1, k, dtype=torch.float64)
    given[: N // 4] *= 0.01  # these stay elastic
    return given


def history(k, law):
    """Internal variables after some earlier step."""
    zero = torch.zeros(N, 1, k, dtype=torch.float64)
    before = return_mapping(strains(k, 0.03), zero, zero[..., 0], law)
    return before.plastic, before.cumulated


@pytest.mark.parametrize("k", [4, 6])
@pytest.mark.parametrize("law", [material(), material(0.0, 0.0, 0.0), material(5.0, 0.0, 0.0)])
def test_stress_is_on_the_yield_surface_or_inside(k, law):
    plastic, cumulated = history(k, law)
    strain = strains(k)
    found = return_mapping(strain, plastic, cumulated, law)
    strength = law.strength(found.cumulated)
    gap = equivalent_stress(found.stress) - strength
    assert float(gap.max()) < 1e-10
    step = found.cumulated - cumulated
    assert float(step.min()) == 0.0
    assert 0.2 < float((step > 0).double().mean()) < 1
    assert float((gap * step).abs().max()) < 1e-10  # flow only on the surface
    torch.testing.assert_close(found.stress, trial_stress(strain - found.plastic, law), rtol=1e-10, atol=1e-10)
    assert float(found.plastic[..., :3].sum(-1).abs().max()) < 1e-12  # volume is kept
    length = math.sqrt(2 / 3) * (found.plastic - plastic).norm(dim=-1)
    torch.testing.assert_close(length, step, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("k", [4, 6])
def test_tangent_is_the_derivative_of_the_stress(k):
    law = material()
    plastic, cumulated = history(k, law)
    strain = strains(k)
    tangent = consistent_tangent(return_mapping(strain, plastic, cumulated, law), law)
    torch.testing.assert_close(tangent, tangent.transpose(-1, -2))
    h = 1e-7
    for column in range(k):
        shift = torch.zeros(k, dtype=torch.float64)
        shift[column] = h
        ahead, behind = (return_mapping(strain + s * shift, plastic, cumulated, law).stress for s in (1, -1))
        torch.testing.assert_close((ahead - behind) / (2 * h), tangent[..., column], rtol=1e-5, atol=1e-4)


def test_a_radial_path_has_its_closed_form():
    """Pure shear with linear hardening: sqrt(3) tau = sigma_0 + H p, and gamma = tau / G + sqrt(3) p."""
    law = material(3.0, 0.0, 0.0)
    strain = torch.zeros(1, 1, 4, dtype=torch.float64)
    strain[..., 3] = math.sqrt(2.0) * 0.02  # gamma = 0.04
    found = return_mapping(strain, 0 * strain, strain[..., 0], law)
    p = (math.sqrt(3) * 70 * 0.04 - 1) / (3 * 70 + 3)
    assert float(found.cumulated) == pytest.approx(p, rel=1e-12)
    assert float(found.stress[0, 0, 3]) / math.sqrt(2) == pytest.approx((1 + 3 * p) / math.sqrt(3), rel=1e-12)


def test_strains_that_are_not_finite_are_refused():
    strain = torch.full((1, 1, 4), math.nan, dtype=torch.float64)
    with pytest.raises(ml.ConvergenceError, match="plastic multiplier"):
        return_mapping(strain, 0 * strain, torch.zeros(1, 1, dtype=torch.float64), material())
