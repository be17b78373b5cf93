"""Checks of the arguments of `MeshGraphNet`: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.train.field_network import check_loss
from meshlearn.train.fields import FieldSet
from meshlearn.train.steps import steps_in_time

MOST_LEVELS = 12
COORDINATES = ("centred", "absolute", "none")
OPTIMIZERS = ("muon", "adamw")


def check_graphs(model: Any) -> None:
    """What the sample of a mesh depends on."""
    for name in ("levels", "k"):
        _at_least(name, getattr(model, name), 1)
    if model.levels > MOST_LEVELS:
        raise ParameterError(
            f"levels={model.levels}: each level has a small part of the points of the one before, so that "
            f"{MOST_LEVELS} are enough for any mesh.\n  2 to 4 serve meshes of up to a million points."
        )
    _one_of("coordinates", model.coordinates, COORDINATES)
    _flag("distances", model.distances)


def check_build(model: Any, fields: FieldSet) -> None:
    """What the network and its training depend on."""
    check_graphs(model)
    for name in ("hidden", "steps"):
        _at_least(name, getattr(model, name), 1)
    _at_least("mlp_layers", model.mlp_layers, 0)
    if model.coarse_steps is not None:
        _at_least("coarse_steps", model.coarse_steps, 1)
    for name in ("context", "fused"):
        _flag(name, getattr(model, name))
    if model.recompute is not None:
        _flag("recompute", model.recompute)
    _one_of("optimizer", model.optimizer, OPTIMIZERS)
    check_loss(model.loss)
    if not isinstance(model.activation, str):
        raise ParameterError(f"activation={model.activation!r} must be the name of an activation, such as 'silu'.")
    if not isinstance(model.processor, str):
        raise ParameterError(f"processor={model.processor!r} must be 'interaction' or the name of a convolution.")
    options = model.processor_options
    if options is not None and not (isinstance(options, dict) and all(isinstance(name, str) for name in options)):
        raise ParameterError(f"processor_options={options!r} must be a dictionary of arguments by name, or None.")
    if options and "heads" in options:
        _at_least("processor_options['heads']", options["heads"], 1)
    _check_noise(model.noise, fields)


def _check_noise(noise: Any, fields: FieldSet) -> None:
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < math.inf:
        raise ParameterError(f"noise={noise!r} must be a number of at least 0.")
    if noise and not steps_in_time(fields):
        raise ParameterError(
            f"noise={noise} disturbs fields that are stepped in time, but no output is also an input.\n"
            "  name the state in both inputs and outputs, or leave noise at 0."
        )


def _at_least(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.")


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ParameterError(f"{name}={value!r} must be True or False.")


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{name}={value!r} is not known; choose one of {list(known)}.")
