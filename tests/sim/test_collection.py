"""Designs that fill their box and begin alike, and folders in which no two data sets are mixed."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.collection import bounds, collect, design


def test_designs_fill_the_box_evenly_and_a_larger_one_begins_with_the_smaller():
    box = {"a": (0.0, 1.0), "b": (-2.0, 2.0), "c": (5.0, 5.0)}
    large = design(64, 3, box)
    assert design(10, 3, box) == large[:10]
    assert design(1, 3, box) == large[:1]
    assert design(10, 4, box) != large[:10]
    assert sorted(int(64 * p["a"]) for p in large) == list(
        range(64)
    )  # one point in every 64th, as independent ones never
    assert sorted(int(16 * (p["b"] + 2)) for p in large) == list(range(64))
    assert all(p["c"] == 5.0 for p in large)


@pytest.mark.parametrize(("n", "seed", "told"), [("1", 0, "n='1'"), (0, 0, "n=0"), (1, -1, "seed=-1"), (1, 0.5, "0.5")])
def test_numbers_and_seeds_are_whole(n, seed, told):
    with pytest.raises(ml.ParameterError, match=told):
        design(n, seed, {"a": (0.0, 1.0)})


def test_bounds_are_numbers_or_pairs():
    assert bounds("x", 2) == (2.0, 2.0)
    assert bounds("x", (1, 3.0), 0.0, 4.0) == (1.0, 3.0)
    for wrong in (
        None,
        "ab",
        ("a", "b"),
        True,
        (3.0, 1.0),
        (1.0, 2.0, 3.0),
        (0.0, 5.0),
        -1.0,
        math.nan,
        (1.0, math.inf),
    ):
        with pytest.raises(ml.ParameterError, match=r"x is a number or a pair"):
            bounds("x", wrong, 0.0, 4.0)


def test_files_hold_what_the_list_holds(tmp_path):
    made = collect(lambda i: ml.shapes.square(n=i + 1).double(), 2, tmp_path / "set", "square")
    assert [mesh.points.dtype for mesh in made] == [torch.float32] * 2
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["square_0000.vtu", "square_0001.vtu"]
    for mesh in made:
        assert ml.meshes_equal(ml.read(mesh.source), mesh)


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_computed(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ml.MeshWriteError, match="taken: the folder cannot be made"):
        collect(lambda i: pytest.fail("computed"), 1, tmp_path / "taken", "square")


def test_two_data_sets_are_never_mixed_in_a_folder(tmp_path):
    def make(i):
        return ml.shapes.square(n=1)

    collect(make, 2, tmp_path, "square")
    with pytest.raises(ml.ParameterError, match=r"square_0001\.vtu.*\n.*empty folder"):
        collect(make, 1, tmp_path, "square")
    collect(make, 3, tmp_path, "square")  # overwrites both
    collect(make, 1, tmp_path, "circle")  # other names do not matter
    assert len(list(tmp_path.iterdir())) == 4
