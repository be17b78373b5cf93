"""Every argument of `fit`: what is refused, and that the message names the argument, the value and what is expected."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meshlearn as ml
from meshlearn.train.options import CHECKS, OPTION_NAMES, FitOptions

from .tiny import Tiny, quick, waves

BAD = {
    "validation": ["x", 0.0, 1.0, -0.1, 1, True, float("nan"), 1j, {"a": 1}, b"x"],
    "epochs": [0, -1, 1.5, "3", None, True],
    "max_steps": [0, -1, 2.0, "a"],
    "time_budget": [0, -1, "a", float("nan"), float("inf"), True],
    "learning_rate": [0, -1e-3, "a", None, float("nan"), float("inf")],
    "weight_decay": [-1, "a", None],
    "schedule": ["foo", None, 3],
    "warmup": [-0.1, 1.0, "a"],
    "batch_points": [0, -5, 1e4, "many"],
    "batch_edges": [0, -5, 1e4, "many"],
    "accumulate": [0, 1.0, None],
    "precision": ["foo", 8, None, 32.0],
    "accelerator": ["", None, 3],
    "devices": [0, -2, 1.5, None, [], [-1], ["0"], True, ""],
    "strategy": [None, 3, ""],
    "compile": ["yes", 1, None],
    "ema": [0, 1, "a", True],
    "patience": [0, -1, 1.5],
    "keep_best": ["no", None],
    "clip": [0, -1, "a"],
    "seed": [-1, 1.5, None, "a"],
    "warm_start": [1, None],
    "cache_samples": ["all", None],
    "checkpoint": [3, "", True],
    "checkpoint_every": [0, None, 0.5],
    "checkpoint_steps": [0, 0.5],
    "resume": ["yes", 1, None, "folder"],
    "callbacks": [3, None, [3], "abc", [ml.train.Callback]],
    "log": [3, ""],
    "tensorboard": [1, None],
    "progress": [1, None, "bar"],
}


def test_every_option_is_checked():
    assert set(BAD) == set(CHECKS) == set(OPTION_NAMES)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values], ids=str
)
def test_what_cannot_be_is_refused(name, value):
    with pytest.raises(ml.ParameterError, match=rf"^{name}=.* is not allowed: .* expected") as caught:
        FitOptions.checked(**{name: value})
    if not isinstance(value, list):
        assert repr(value)[:40] in str(caught.value)


def test_unknown_options_are_refused():
    with pytest.raises(ml.ParameterError, match="no option 'epoch'"):
        FitOptions.checked(epoch=3)


def test_numpy_numbers_and_paths_are_accepted():
    options = FitOptions.checked(
        epochs=np.int64(3), learning_rate=np.float32(0.5), precision=64, log="~/x", devices=(0,)
    )
    assert (type(options.epochs), type(options.learning_rate), options.precision) == (int, float, "64-true")
    assert options.log == Path.home() / "x"
    assert options.devices == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 3}, "validation=None"),
        ({"resume": "auto"}, "checkpoint='folder'"),
        ({"resume": True, "checkpoint": "a", "warm_start": True}, "choose"),
        ({"checkpoint_steps": 3}, "checkpoint='folder'"),
        ({"tensorboard": True}, "log='folder'"),
    ],
)
def test_options_that_need_each_other(options, message):
    with pytest.raises(ml.ParameterError, match=message):
        FitOptions.checked(**options)


@pytest.mark.parametrize("factor", [-1.0, float("nan"), "1", None])
def test_a_schedule_that_returns_nonsense(factor):
    with pytest.raises(ml.ParameterError, match="schedule returned"):
        quick(Tiny(), waves(2), schedule=lambda progress: factor, warmup=0.0)


def test_wrong_types_reach_the_checks_from_fit():
    """In a process without the type checks of these tests, as users have it."""
    code = (
        "import meshlearn as ml\n"
        "model = ml.MeshGraphNet([], ['u'])\n"
        "cases = {'learning_rate': 'a'}, {'epochs': -1}, {'precision': 3.5}, {'callbacks': 3}, {'accelerator': 'x'}\n"
        "for bad in cases:\n"
        "    mesh = ml.shapes.square(n=2)\n"
        "    try:\n"
        "        model.fit(mesh.with_point_data(u=mesh.points[:, 0]), **bad)\n"
        "    except ml.ParameterError as error:\n"
        "        assert next(iter(bad)) in str(error), error\n"
        "    else:\n"
        "        raise SystemExit(f'{bad} was accepted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
