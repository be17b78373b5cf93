"""Tensile tests: supports, balance of forces, symmetry, convergence, and what the data set promises."""

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.boundary import tagged_points


@pytest.fixture(scope="module")
def samples():
    return ml.sim.make_tensile(8, seed=1, size=0.08)


def test_supports_hold_and_the_top_is_pulled(samples):
    for mesh in samples:
        fields, values = mesh.point_data, mesh.global_data
        assert float(fields["U2"][tagged_points(mesh, "bottom")].abs().max()) == 0.0
        assert float(fields["U1"][mesh.point_sets["bottom_left"]]) == 0.0
        top = tagged_points(mesh, "top")
        assert values["max_U2"] == fields["U2"][top].max() > 0
        assert values["max_sigma22"] == fields["sigma22"][top].max()
        assert float(values["max_sigma22"]) == pytest.approx(-float(values["load"]), rel=0.15)
        assert -50 <= values["load"] <= -40
        assert 5e4 <= values["young"] <= 1e5
        assert 0.2 <= values["radius"] <= 0.5
        assert 1.5 < -float(values["max_von_mises"] / values["load"]) < 5


def test_stress_balances_the_load(samples):
    """The integral of sigma22 is the load times the area of the full square: virtual work with u = (0, y)."""
    for mesh in samples:
        measure = mesh.point_measures()
        for name, wanted in (("sigma22", -4 * float(mesh.global_data["load"])), ("sigma12", 0.0)):
            assert float((measure * mesh.point_data[name]).sum()) == pytest.approx(wanted, abs=2.5)


def test_the_same_seed_gives_the_same_samples_and_files_hold_them(samples, tmp_path):
    again = ml.sim.make_tensile(2, tmp_path, seed=1, size=0.08)
    for mesh, known in zip(again, samples, strict=False):
        assert ml.meshes_equal(mesh.replace(source=None), known)
        assert ml.meshes_equal(ml.read(mesh.source), mesh)


def test_a_sensible_share_yields(samples):
    p = torch.stack([mesh.global_data["max_plastic_strain"] for mesh in samples])
    assert 3 <= int((p > 0).sum()) <= 7
    for mesh in samples:
        values, fields = mesh.global_data, mesh.point_data
        assert float(fields["plastic_strain"].min()) >= 0.0
        assert values["max_plastic_strain"] == fields["plastic_strain"].max() < 0.02
        assert 70 <= values["yield_stress"] <= 170


def test_without_yielding_it_is_elasticity():
    """Plane strain is plane stress with other constants; both physics draw the same geometry, load and modulus."""
    known = {"seed": 1, "size": 0.08}
    (strong,) = ml.sim.make_tensile(1, **known, yield_stress=1e4)
    (elastic,) = ml.sim.make_tensile(1, **known, physics="elasticity")
    assert torch.equal(strong.points, elastic.points)
    for name, values in elastic.point_data.items():
        torch.testing.assert_close(strong.point_data[name], values, rtol=1e-5, atol=1e-5 * float(values.abs().max()))
    assert float(strong.global_data["max_plastic_strain"]) == 0.0
    (weak,) = ml.sim.make_tensile(1, **known, yield_stress=75.0)
    assert weak.global_data["max_U2"] > elastic.global_data["max_U2"]
    assert weak.global_data["max_von_mises"] < 0.95 * elastic.global_data["max_von_mises"]


def test_refinement_converges():
    found = [
        float(ml.sim.make_tensile(1, size=h, radius=0.4, physics="elasticity")[0].global_data["max_von_mises"])
        for h in (0.1, 0.05, 0.025)
    ]
    assert abs(found[1] - found[2]) < abs(found[0] - found[2])
    assert found[1] == pytest.approx(found[2], rel=0.05), found


def test_sharper_notches_concentrate_more_stress():
    round_, ellipse, wedge = (
        float(
            ml.sim.make_tensile(1, size=0.06, radius=0.4, notch=name, physics="elasticity")[0].global_data[
                "max_von_mises"
            ]
        )
        for name in ("circle", "ellipse", "wedge")
    )
    assert min(ellipse, wedge) > 1.2 * round_


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n=0 is not allowed"),
        ({"n": 1, "notch": "star"}, "notch is one of"),
        ({"n": 1, "physics": "magic"}, "physics is one of"),
        ({"n": 1, "radius": 1.5}, "radius"),
        ({"n": 1, "size": 0.3}, "size"),
        ({"n": 1, "young": -1.0}, "young"),
        ({"n": 1, "yield_stress": 0.0}, "yield_stress"),
        ({"n": 1, "colour": 1.0}, "'colour' has no meaning"),
        ({"n": 1, "physics": "elasticity", "rate": 1.0}, "'rate' has no meaning"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.make_tensile(**arguments)
