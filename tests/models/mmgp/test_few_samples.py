"""Error bands of few samples, and of inputs that no mode describes."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.bands import Ratios, factor_of, few_items


def plate(a, b, ripple=0.0):
    """k is linear but for a ripple; u = k^2."""
    mesh = ml.shapes.rectangle(1.0, 1.0, n=(6, 6)).double()
    x, y = mesh.points.T
    k = a * x + b * y + ripple * torch.sin(9 * x) * torch.sin(9 * y)
    return mesh.with_point_data(k=k, u=k.square())


def plates(n, seed, ripple=0.0):
    generator = torch.Generator().manual_seed(seed)
    return [plate(*row, ripple) for row in torch.randn(n, 2, generator=generator, dtype=torch.float64).tolist()]


def coverage(model, meshes):
    return model.calibration(meshes, levels=(0.95,))["u"]["coverage"][0.95]


def test_the_factor_of_few_items_is_students():
    assert abs(1.959964 * few_items(2) - 12.7062) < 1e-3  # tables of Student's distribution, one degree of freedom
    assert abs(1.959964 * few_items(5) - 2.7764) < 1e-3
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4000, generator=generator, dtype=torch.float64).abs()
    for count in (2, 5, 10):
        items = torch.arange(4000) % count
        factor = factor_of(Ratios(values, torch.ones_like(values), items), "scale")
        assert abs(factor / few_items(count) - 1) < 0.05  # errors are as large as they should be
    assert factor_of(Ratios(values, torch.ones_like(values), items), False) == 1.0


@pytest.mark.parametrize("n", [2, 4, 7])
def test_bands_of_few_samples_hold_most_of_the_truth(n):
    new = plates(8, 100)
    found = [coverage(ml.MMGP(["k"], ["u"], restarts=1).fit(plates(n, seed)), new) for seed in range(5)]
    assert sum(found) / 5 > 0.92
    assert min(found) > 0.8


def test_bands_hold_what_inputs_beyond_the_modes_do(tmp_path):
    model = ml.MMGP(["k"], ["u"], restarts=1).fit(plates(24, 0))
    usual, odd = plates(8, 1), plates(8, 1, ripple=1.0)
    assert coverage(model, usual) > 0.9
    assert coverage(model, odd) > 0.85
    widths = [model.calibration(meshes)["u"]["width"] for meshes in (usual, plates(8, 1, 0.3), odd)]
    assert widths[0] < 0.1 * widths[1] < 0.05 * widths[2]
    again = ml.load(model.save(tmp_path / "model"))
    first, second = (m.predict(odd[0], return_std=True).point_data["u_std"] for m in (model, again))
    assert torch.equal(first, second)


def test_samples_are_as_wide_as_the_bands_of_odd_inputs():
    model = ml.MMGP(["k"], ["u"], restarts=1).fit(plates(24, 0))
    odd = plate(0.5, 0.5, 1.0)
    drawn = torch.stack([mesh.point_data["u"] for mesh in model.sample(odd, 300)])
    band = model.predict(odd, return_std=True).point_data["u_std"]
    assert (drawn.std(0) < 1.1 * band).all()
    assert drawn.std(0).mean() > 0.2 * band.mean()
