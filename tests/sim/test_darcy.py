import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.darcy import GaussianField, solve_darcy


def test_the_random_field_has_the_spread_that_it_says():
    axis = (torch.arange(40).double() + 0.5) / 40
    points = torch.cartesian_prod(axis, axis)
    values = torch.stack([GaussianField(seed)(points) for seed in range(200)])
    assert abs(float(values.square().mean()) - 1) < 0.1
    assert abs(float(values.mean(1).abs().max())) < 0.05  # no constant among its modes


def test_constant_permeability_gives_the_known_maximum():
    """u of -k Laplace u = f on the unit square: 0.0736713 f / k in the middle (the double Fourier series)."""
    mesh = ml.shapes.square(n=16).double()
    solved = solve_darcy(mesh, lambda x: torch.full((len(x),), 4.0, dtype=x.dtype), source=2.0, finer=2)
    exact = sum(
        16 * (-1) ** ((i + j) // 2 - 1) / (math.pi**4 * i * j * (i * i + j * j))
        for i in range(1, 60, 2)
        for j in range(1, 60, 2)
    )
    assert abs(float(solved.point_data["u"].max()) / (0.5 * exact) - 1) < 2e-3


def test_the_reference_converges_at_second_order_to_finer_ones():
    mesh = ml.shapes.plate_with_holes([(0.4, 0.5, 0.15)], size=0.1).double()
    field = GaussianField(3)
    u = [solve_darcy(mesh, lambda x: torch.exp(field(x)), finer=k).point_data["u"] for k in (0, 1, 2, 3)]
    errors = [float((a - u[3]).norm() / u[3].norm()) for a in u[:3]]
    assert errors[0] > 2.5 * errors[1] > 6 * errors[2]


def test_cases_have_holes_unlike_meshes_and_zero_walls():
    cases = ml.sim.make_darcy(6, seed=1, holes=(0, 2), size=(0.08, 0.12))
    assert len({case.n_points for case in cases}) == 6
    counts = {len([name for name in case.cell_sets if name.startswith("hole")]) for case in cases}
    assert counts == {0, 1, 2}
    for case in cases:
        assert case.point_data["u"][case.boundary_points].abs().max() < 1e-7
        assert case.point_data["u"].max() > 0
        assert (case.point_data["permeability"] > 0).all()
    again = ml.sim.make_darcy(2, seed=1, holes=(0, 2), size=(0.08, 0.12))
    assert ml.meshes_equal(again[1], cases[1])


def test_binary_media_have_two_values_on_points_and_cells():
    (case,) = ml.sim.make_darcy(1, holes=0, size=0.1, medium="binary", finer=0)
    assert set(case.point_data["permeability"].tolist()) == {3.0, 12.0}
    assert set(case.cell_data["permeability_at_centre"]["triangle"].tolist()) == {3.0, 12.0}


@pytest.mark.parametrize(
    "options", [{"holes": 5}, {"holes": (2, 1)}, {"medium": "sand"}, {"contrast": -1.0}, {"finer": 4}, {"size": 3.0}]
)
def test_impossible_darcy_requests_are_told(options):
    with pytest.raises(ml.ParameterError):
        ml.sim.make_darcy(1, **options)
