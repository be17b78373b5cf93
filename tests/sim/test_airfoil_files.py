"""Sections from files: both orders of points, blunt edges, what is no section; data sets of real airfoils."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import meshlearn as ml
from meshlearn.sim import read_airfoil
from meshlearn.sim.airfoil import naca

SECTION = naca(0.04, 0.4, 0.12, n=80)


def written(path, rows, before=("NACA 4412",), after=()):
    lines = [*before, *(f"  {x:.7f}  {y:.7f}" for x, y in rows), *after]
    path.write_text("\n".join(lines) + "\n")
    return path


def selig(path, section=SECTION, **lines):
    return written(path, [*section, section[0]], **lines)


def test_the_section_comes_back(tmp_path):
    assert_allclose(read_airfoil(selig(tmp_path / "a.dat")), SECTION, atol=2e-4)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_both_orders_both_directions_and_any_unit_are_one_section(tmp_path, scale):
    section = scale * np.concatenate([SECTION, SECTION[:1]])
    upper, lower = section[40::-1], section[40:]
    files = [
        written(tmp_path / "selig.dat", section),
        written(tmp_path / "backwards.dat", section[::-1]),
        written(tmp_path / "moved.dat", section + np.array([3.0, -2.0])),
        written(tmp_path / "lednicer.dat", [(41.0, 41.0), *upper, *lower]),
        written(tmp_path / "text.dat", section, before=("a name", "by someone", "-2.0 3.0 -2.6 3.4"), after=("ref",)),
    ]
    first, *others = (read_airfoil(file, 60) for file in files)
    assert first.shape == (60, 2)
    for other in others:
        assert_allclose(other, first, atol=1e-6)


def test_a_blunt_trailing_edge_is_closed_and_the_front_is_left_alone(tmp_path):
    closed = np.concatenate([SECTION, SECTION[:1]])
    side = np.where(np.arange(81) <= 40, 1.0, -1.0)[:, None]
    blunt = closed + side * closed[:, :1] * [0.0, 0.005]
    assert_allclose(read_airfoil(written(tmp_path / "blunt.dat", blunt)), SECTION, atol=3e-4)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (SECTION[:5], "5 lines with two numbers"),
        (SECTION[:45], "both are expected at the trailing edge"),
        (SECTION[:41], "it is expected in the middle"),
        ([(41.0, 40.0), *SECTION], "announces 41 and 40 points, but 80 follow"),
        (np.concatenate([SECTION, SECTION[:1]]) * [1.0, 6.0], "thick"),
        (np.concatenate([SECTION, SECTION[:1]]) * [1.0, 0.1], "thick"),
        (np.where(SECTION > 0.9, np.nan, SECTION), "all of them finite"),
    ],
    ids=["few", "a part", "one side", "counts", "thick", "thin", "nan"],
)
def test_what_is_no_section_is_told(tmp_path, rows, told):
    with pytest.raises(ml.MeshReadError, match=told):
        read_airfoil(written(tmp_path / "bad.dat", rows))


def test_missing_files_and_wrong_arguments(tmp_path):
    with pytest.raises(ml.MeshReadError, match=r"nowhere\.dat"):
        ml.sim.make_airfoils(1, coordinates=[tmp_path / "nowhere.dat"])
    with pytest.raises(ml.ParameterError, match="coordinates=3"):
        ml.sim.make_airfoils(1, coordinates=3)
    with pytest.raises(ml.ParameterError, match="coordinates="):
        ml.sim.make_airfoils(1, coordinates=[])


def test_flows_around_sections_from_files(tmp_path):
    """Both files are drawn, and a section with camber lifts more than a symmetric one."""
    files = [selig(tmp_path / "flat.dat", naca(0.0, 0.4, 0.1)), selig(tmp_path / "cambered.dat", naca(0.06, 0.4, 0.1))]
    options = {"size": 0.3, "angle": 0.0, "flap": 5.0}
    flat, cambered = (float(ml.sim.make_airfoils(1, coordinates=f, **options)[0].global_data["lift"]) for f in files)
    assert cambered > 1.5 * flat
    lifts = [float(flow.global_data["lift"]) for flow in ml.sim.make_airfoils(4, coordinates=files, **options)]
    assert min(lifts) < (flat + cambered) / 2 < max(lifts), lifts


@pytest.mark.parametrize("n", [15, 33, 40.0, "many"])
def test_numbers_of_corners_that_cannot_be_are_told(tmp_path, n):
    with pytest.raises(ml.ParameterError, match="even number of at least 16"):
        read_airfoil(selig(tmp_path / "a.dat"), n)
