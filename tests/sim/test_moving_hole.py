"""Plates with a hole that moves: where it is, one topology, and balance of what flows and pulls."""

import pytest
import torch

import meshlearn as ml

PHYSICS = ("elasticity", "poisson")


@pytest.fixture(scope="module", params=PHYSICS)
def plates(request):
    return ml.sim.make_moving_holes(4, seed=1, size=(4.0, 6.0), physics=request.param)


def test_the_hole_is_where_it_says(plates):
    for mesh in plates:
        x, y, r = mesh.global_data["hole"].tolist()
        rim = mesh.points[mesh.cells["line"][mesh.cell_sets["hole_0"]["line"]].unique()]
        distance = (rim - rim.new_tensor([x, y])).norm(dim=1)
        torch.testing.assert_close(distance, torch.full_like(distance, r), rtol=1e-5, atol=1e-4)
        assert float(mesh.point_data["hole_distance"].min()) < 1e-4
        assert 6 <= r <= 14
        assert min(x - r, 100 - x - r, y - r, 60 - y - r) > 5.99
        assert mesh.topology.euler_characteristic == 0
        assert {"left", "right", "top", "bottom", "hole_0"} <= set(mesh.cell_sets)


def test_holes_move_all_over_the_plate():
    holes = torch.stack([mesh.global_data["hole"] for mesh in ml.sim.make_moving_holes(8, size=9.0, physics="poisson")])
    assert bool((holes.amax(0) - holes.amin(0) > torch.tensor([45.0, 20.0, 4.0])).all())


def test_mean_stress_balances_the_load():
    """The integral of the stress is the load times the area of the plate without its hole (virtual work)."""
    for mesh in ml.sim.make_moving_holes(3, size=4.0):
        integral = (mesh.point_measures()[:, None] * mesh.point_data["stress"]).sum(0) / 6000
        torch.testing.assert_close(integral[:2], mesh.global_data["load"], rtol=2e-3, atol=0.1)
        assert mesh.global_data["max_stress"] == mesh.point_data["von_mises"].max()


def test_heat_is_held_at_zero_and_grows_with_its_sources():
    (calm,) = ml.sim.make_moving_holes(1, size=4.0, physics="poisson", source=0.002, inflow=0.1, conductivity=0.1)
    (strong,) = ml.sim.make_moving_holes(1, size=4.0, physics="poisson", source=0.004, inflow=0.2, conductivity=0.05)
    torch.testing.assert_close(4 * calm.point_data["temperature"], strong.point_data["temperature"])
    cold = calm.point_data["hole_distance"] < 1e-4
    assert float(calm.point_data["temperature"][cold].abs().max()) == 0.0
    assert calm.global_data["max_temperature"] == calm.point_data["temperature"].max() > 0


def test_same_seed_same_plates(plates, tmp_path):
    name = "elasticity" if "stress" in plates[0].point_data else "poisson"
    again = ml.sim.make_moving_holes(2, tmp_path, seed=1, size=(4.0, 6.0), physics=name)
    for mesh, known in zip(again, plates, strict=False):
        assert ml.meshes_equal(mesh.replace(source=None), known)
        assert ml.meshes_equal(ml.read(mesh.source), mesh)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n=0 is not allowed"),
        ({"n": 1, "physics": "magic"}, "physics is one of"),
        ({"n": 1, "radius": 40.0}, "radius"),
        ({"n": 1, "size": 0.0}, "size"),
        ({"n": 1, "inflow": 1.0}, "'inflow' is none"),
        ({"n": 1, "poisson": 0.5}, "poisson"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.make_moving_holes(**arguments)
