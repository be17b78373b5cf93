"""Stars: the closed form on the disc, boundaries on their curve, meshes of unlike fineness."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.star import radius, solve_star, star_mesh

DISC = torch.zeros(4, dtype=torch.float64)


@pytest.fixture(scope="module")
def stars():
    return ml.sim.make_stars(4, seed=2, size=(0.07, 0.28))


@pytest.mark.parametrize("contrast", [0.0, 3.0])
def test_the_disc_has_its_closed_form_and_errors_fall_with_the_square_of_the_size(contrast):
    errors = []
    for size in (0.2, 0.1, 0.05):
        mesh = solve_star(star_mesh(DISC, size, seed=1), DISC, 1.5, 2.0, contrast)
        square = mesh.points.square().sum(1)
        if contrast:
            exact = 1.5 * torch.log((1 + contrast) / (1 + contrast * square)) / (8 * contrast)
        else:
            exact = 1.5 * (1 - square) / 8
        errors.append(float((mesh.point_data["u"] - exact).abs().max() / exact.max()))
    assert errors[-1] < 5e-4
    rate = math.log2(errors[0] / errors[-1]) / 2
    assert rate > 1.8, errors
    assert float(mesh.global_data["max_u"]) == pytest.approx(float(exact.max()), rel=1e-3)
    if not contrast:
        assert float(mesh.global_data["mean_u"]) == pytest.approx(1.5 / 16, rel=5e-3)


def test_the_boundary_lies_on_the_curve(stars):
    for mesh in stars:
        rim = mesh.points[mesh.boundary_points].double()
        wanted = radius(mesh.global_data["fourier"].double(), torch.atan2(rim[:, 1], rim[:, 0]))
        torch.testing.assert_close(rim.norm(dim=1), wanted, rtol=1e-5, atol=1e-5)
        assert torch.equal(mesh.cells["line"].unique(), mesh.boundary_points)
        assert len(mesh.cell_sets["outline"]["line"]) == len(mesh.cells["line"])
        assert mesh.topology.euler_characteristic == 1
        assert float(mesh.point_data["u"][mesh.boundary_points].abs().max()) == 0.0


def test_energy_is_the_work_of_the_source():
    """The weak form with the solution as its test function: int |q|^2 / k = f int u."""
    for mesh in ml.sim.make_stars(3, seed=2, size=0.05):
        source, k, c = (float(mesh.global_data[name]) for name in ("source", "conductivity", "contrast"))
        local = k * (1 + c * mesh.points.square().sum(1))
        measure = mesh.point_measures()
        energy = float((measure * mesh.point_data["u_flux"].square().sum(1) / local).sum())
        work = source * float(mesh.global_data["mean_u"]) * float(measure.sum())
        assert energy == pytest.approx(work, rel=0.03)


def test_sizes_differ_and_the_same_seed_gives_the_same_stars(stars):
    counts = [mesh.n_points for mesh in stars]
    assert max(counts) > 3 * min(counts)
    again = ml.sim.make_stars(2, seed=2, size=(0.07, 0.28))
    assert all(ml.meshes_equal(a, b) for a, b in zip(again, stars, strict=False))
    assert not ml.meshes_equal(ml.sim.make_stars(1, seed=3, size=(0.07, 0.28))[0], stars[0])
    assert stars[0].global_data["fourier"].shape == (10,)


def test_finer_meshes_of_one_star_agree():
    fourier = torch.tensor([0.1, -0.05, 0.08, 0.0, 0.03, 0.05], dtype=torch.float64)
    found = [
        float(solve_star(star_mesh(fourier, h, s), fourier).global_data["max_u"]) for s, h in enumerate((0.1, 0.025))
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n=0 is not allowed"),
        ({"n": 1, "seed": -1}, "seed"),
        ({"n": 1, "modes": 0}, "modes"),
        ({"n": 1, "roughness": 0.9}, "roughness"),
        ({"n": 1, "size": 0.0}, "size"),
        ({"n": 1, "contrast": -1.0}, "contrast"),
        ({"n": 1, "conductivity": (2.0, 1.0)}, "conductivity"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.make_stars(**arguments)
