"""The data set generator: reproducible, conforming to what was asked, and physically sound."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml


@pytest.fixture(scope="module")
def plates():
    return ml.sim.make_plates(6, seed=3, size=6.0)


def same(a, b):
    return ml.meshes_equal(a.replace(source=None), b.replace(source=None))


def test_same_seed_same_plates_and_a_larger_set_begins_with_the_smaller(plates):
    again = ml.sim.make_plates(3, seed=3, size=6.0)
    assert all(same(a, b) for a, b in zip(again, plates, strict=False))
    assert not same(ml.sim.make_plates(1, seed=4, size=6.0)[0], plates[0])


def test_files_hold_what_the_list_holds(tmp_path, plates):
    written = ml.sim.make_plates(2, folder=tmp_path / "runs", seed=3, size=6.0)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["plate_0000.vtu", "plate_0001.vtu"]
    for path, mesh, plain in zip(sorted((tmp_path / "runs").iterdir()), written, plates, strict=False):
        assert mesh.source == str(path)
        assert same(ml.read(path), mesh)
        assert same(mesh, plain)


def test_two_data_sets_are_never_mixed_in_a_folder(tmp_path):
    ml.sim.make_plates(2, tmp_path, size=9.0, holes=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ml.ParameterError, match=r"plate_0001\.vtu.*\n.*empty folder"):
        ml.sim.make_plates(1, tmp_path, size=9.0, holes=1, seed=5)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    ml.sim.make_plates(3, tmp_path, size=9.0, holes=1, seed=5)  # overwrites both
    assert all((tmp_path / name).read_bytes() != content for name, content in before.items())
    (tmp_path / "notes.txt").touch()
    ml.sim.make_plates(3, tmp_path, size=9.0, holes=1)  # files of other kinds do not matter


@pytest.mark.parametrize("count", [0, 2, 5])
def test_number_of_holes_is_what_was_asked_for(count):
    for mesh in ml.sim.make_plates(3, holes=count, size=6.0):
        assert len([name for name in mesh.cell_sets if name.startswith("hole_")]) == count
        assert mesh.topology.euler_characteristic == 1 - count


def test_meshes_are_sound(plates):
    for mesh in plates:
        x = mesh.points[mesh.cells["triangle"]]
        a, b = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
        assert bool((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0).all())
        tagged = mesh.cells["line"].unique()
        assert torch.equal(tagged, mesh.boundary_points)


def test_truth_obeys_its_boundary_conditions(plates):
    for mesh in plates:
        held = mesh.point_data["fixed"].bool()
        assert float(mesh.point_data["displacement"][held].abs().max()) == 0.0
        rim = mesh.point_data["hole_distance"] < 1e-3
        assert bool(rim.any())
        assert bool(mesh.topology.is_boundary[rim].all())
        assert mesh.global_data["max_stress"] == mesh.point_data["von_mises"].max()


def test_mean_stress_balances_the_load():
    """On a rectangle, the integral of the stress is the load times the area of the full plate (virtual work)."""
    for mesh in ml.sim.make_plates(4, outlines=["rectangle"], size=4.0):
        full = mesh.bounding_box().diff(dim=0).prod()
        integral = (mesh.point_measures()[:, None] * mesh.point_data["stress"]).sum(0) / full
        torch.testing.assert_close(integral[:2], mesh.global_data["load"], rtol=1e-3, atol=0.05)


def test_refinement_converges_on_the_maximum_stress():
    plate = ml.sim.draw_plate(np.random.default_rng(5), holes=1, size=5.0)
    found = []
    for size in (5.0, 2.5, 1.25):
        finer = ml.sim.Plate(**{**vars(plate), "size": size})
        found.append(float(ml.sim.solve_elasticity(finer).global_data["max_stress"]))
    assert abs(found[1] - found[2]) < abs(found[0] - found[2])
    assert abs(found[1] / found[2] - 1) < 0.05, found


def test_holes_keep_their_distance():
    for i in range(50):
        plate = ml.sim.draw_plate(np.random.default_rng(i), holes=4)
        corners = torch.tensor(plate.corners)
        for k, (x, y, r) in enumerate(plate.holes):
            assert float(ml.sim.distance_to_polygon(torch.tensor([[x, y]]), corners)) >= r + 5.99
            for a, b, s in plate.holes[:k]:
                assert math.hypot(x - a, y - b) >= r + s + 5.99


def test_heat_is_hot_where_it_is_not_cooled():
    for mesh in ml.sim.make_plates(3, physics="poisson", size=6.0):
        temperature = mesh.point_data["temperature"]
        cold = mesh.point_data["hole_distance"] < 1e-3
        assert float(temperature[cold].abs().max()) == 0.0
        assert float(temperature.min()) > -1e-2 * float(temperature.max())
        assert mesh.global_data["max_temperature"] == temperature.max()


def test_rubber_is_stretched_as_asked():
    """What is held is exact, the fields belong together, and the energy grows as the square of a small stretch."""
    plates = ml.sim.make_plates(4, seed=2, physics="hyperelasticity", size=6.0)
    for mesh in plates:
        held, moved = mesh.point_data["fixed"].bool(), mesh.point_data["displacement"]
        assert torch.equal(moved[held], mesh.point_data["prescribed"][held])
        right = mesh.point_data["prescribed"][:, 0].max()
        assert float(right / mesh.points[:, 0].max()) == pytest.approx(float(mesh.global_data["stretch"]), rel=1e-6)
        assert 0.05 <= float(mesh.global_data["stretch"]) <= 0.15
        integral = (mesh.point_measures() * mesh.point_data["energy"]).sum()  # projections keep it
        assert float(integral) == pytest.approx(float(mesh.global_data["stored_energy"]), rel=1e-4)
        assert mesh.global_data["max_stress"] == mesh.point_data["von_mises"].max()
    plate = ml.sim.draw_plate(np.random.default_rng(1), holes=2, size=8.0, young=2.0, stretch=1e-4)
    small, twice = (
        float(ml.sim.solve_hyperelasticity(ml.sim.Plate(**{**vars(plate), "stretch": s})).global_data["stored_energy"])
        for s in (1e-4, 2e-4)
    )
    assert twice / small == pytest.approx(4, rel=2e-3)


def test_plates_without_a_stretch_are_drawn_as_before():
    drawn = ml.sim.draw_plate(np.random.default_rng(0))
    stretched = ml.sim.draw_plate(np.random.default_rng(0), stretch=(0.1, 0.2))
    assert drawn.stretch == 0.0
    assert 0.1 <= stretched.stretch <= 0.2
    assert stretched == ml.sim.Plate(**{**vars(drawn), "stretch": stretched.stretch})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": -1}, "number of plates"),
        ({"n": 0}, "at least 1"),
        ({"n": 1, "seed": -1}, "seed"),
        ({"n": 1, "size": -3.0}, "size"),
        ({"n": 1, "size": math.inf}, "size"),
        ({"n": 1, "size": (3.0, math.nan)}, "size"),
        ({"n": 1, "physics": "magic"}, "physics is one of"),
        ({"n": 1, "holes": (3, 1)}, "holes"),
        ({"n": 1, "holes": 40}, "do not fit"),
        ({"n": 1, "size": 0.0}, "size"),
        ({"n": 1, "outlines": ["star"]}, "outlines"),
        ({"n": 1, "outlines": "tapered"}, "a list of names.*not .'tapered'"),
        ({"n": 1, "stretch": 0.1}, "loaded, not stretched"),
        ({"n": 1, "physics": "hyperelasticity", "pull": 3.0}, "stretched, not loaded.*give stretch"),
        ({"n": 1, "physics": "hyperelasticity", "stretch": -1.0}, "stretch"),
        ({"n": 1, "physics": "hyperelasticity", "poisson": 0.5}, "Poisson"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.make_plates(**arguments)


def test_misspelt_arguments_are_told_with_the_name_that_was_meant():
    with pytest.raises(ml.ParameterError, match="make_plates has no argument 'hole': did you mean 'holes'"):
        ml.sim.make_plates(1, hole=(1, 2))
    with pytest.raises(TypeError, match="has no argument 'colour'"):
        ml.sim.make_plates(1, colour=1)
