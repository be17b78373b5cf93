"""What readers could not keep is told once for many files, and counted."""

import warnings

import pytest

import meshlearn as ml

DECK = "*NODE\n1, 0., 0.\n2, 1., 0.\n3, 0., 1.\n*ELEMENT, TYPE=CPS3\n1, 1, 2, 3\n"
LOSS = "elements of type 'U12', which is not known (1 line)"


@pytest.fixture
def decks(tmp_path):
    for k in range(4):
        (tmp_path / f"{k}.inp").write_text(DECK + ("*ELEMENT, TYPE=U12\n2, 1, 2\n" if k else ""))
    return tmp_path


def told(action) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("cache", [False, True])
def test_a_dataset_tells_a_loss_once_in_all_passes(decks, cache):
    meshes = ml.read_many(decks, cache=decks / "store" if cache else None)
    train, test = ml.split(meshes, test=2, seed=0)
    (first,) = told(lambda: list(meshes))
    assert first.startswith(f"1.inp: {LOSS}")
    assert meshes.losses == {LOSS: 3}
    assert told(lambda: [*meshes, *train, *test, meshes[2], meshes.load(progress=False)]) == []
    assert meshes.losses == train.losses == {LOSS: 3}
    assert all(LOSS in mesh.report for mesh in meshes[1:])


@pytest.mark.parametrize("cache", [False, True])
def test_reading_all_at_once_counts(decks, cache):
    for _ in range(2):
        (said,) = told(lambda: ml.read_many(decks, workers=2, cache=decks / "store" if cache else None))
        assert said == f"1.inp: {LOSS} (so in 3 of 4 files)"


def test_the_files_of_a_series_are_one(decks):
    (said,) = told(lambda: ml.read_series([decks / f"{k}.inp" for k in (1, 2, 3)]))
    assert said == f"1.inp: {LOSS} (so in 3 of 3 files)"
    assert told(lambda: ml.read(decks / "2.inp")) == [f"2.inp: {LOSS}"]  # a call of its own tells again


def test_a_cached_loss_is_of_the_file_that_is_read(decks):
    told(lambda: list(ml.read_many([decks / "2.inp"], cache=decks / "store")))
    (said,) = told(lambda: list(ml.read_many([decks / "3.inp"], cache=decks / "store")))
    assert said == f"3.inp: {LOSS}"
