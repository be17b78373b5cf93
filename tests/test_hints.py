"""The name that was probably meant."""

import pytest

from meshlearn.hints import did_you_mean, near_names


def test_a_slip_is_told_and_a_stranger_is_not():
    assert did_you_mean("presure", ["pressure", "velocity"]) == ": did you mean 'pressure'?"
    assert did_you_mean("qqq", ["pressure", "velocity"]) == "."
    assert did_you_mean("anything", []) == "."


def test_the_word_of_another_library_comes_before_the_nearest_spelling():
    known = ["tolerance", "rol"]
    assert did_you_mean("rtol", known) == ": did you mean 'rol'?"
    assert did_you_mean("rtol", known, {"rtol": "tolerance"}) == ": did you mean 'tolerance'?"
    assert did_you_mean("rtol", ["rol"], {"rtol": "tolerance"}) == ": did you mean 'rol'?"  # not known here


@pytest.mark.parametrize("words", ["x.{}", "the argument {}"])
def test_the_name_is_written_as_asked(words):
    assert did_you_mean("presure", iter(["pressure"]), words=words) == f": did you mean {words.format('pressure')}?"


def test_near_names_come_best_first_and_no_more_than_asked():
    known = ["plate_1", "plate_12", "beam", "plate"]
    assert near_names("plate_1", known, count=2) == ["plate_1", "plate_12"]
    assert near_names("plate_1", known, cutoff=1.0, count=3) == ["plate_1"]


def test_the_case_of_letters_is_a_slip_too():
    assert did_you_mean("u", ["U", "p"]) == ": did you mean 'U'?"
    assert near_names("U1", ["u1", "U1"], count=2) == ["U1", "u1"]
