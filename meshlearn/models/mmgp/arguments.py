"""Checks of the arguments of `MMGP`: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.models.mmgp.bands import check_calibrate
from meshlearn.models.mmgp.lift import DEGREES
from meshlearn.models.mmgp.morphing import MORPHERS
from meshlearn.models.mmgp.morphing.morph import landmark_point
from meshlearn.models.mmgp.pod import check_modes
from meshlearn.models.mmgp.series import SERIES
from meshlearn.models.mmgp.transfer import TRANSFERS
from meshlearn.train.steps import Work
from meshlearn.train.survey import FitWarning

_KINDS: dict[type, str] = {bool: "True or False", Integral: "a whole number", Real: "a number", str: "a name"}
OPTIONS: dict[str, type] = {  # of all morphings; which of them has which is its own business
    "tags": bool,
    "strict": bool,
    "iterations": Integral,
    "steps": Integral,
    "tolerance": Real,
    "radius": Real,
    "weights": str,
}


def check(model: Any) -> None:
    """What does not depend on the meshes."""
    known = ["auto", *MORPHERS]
    if model.morphing not in known:
        raise ParameterError(f"morphing={model.morphing!r}: expected one of {', '.join(map(repr, known))}.")
    if model.transfer not in TRANSFERS:
        raise ParameterError(f"transfer={model.transfer!r}: expected one of {', '.join(map(repr, TRANSFERS))}.")
    for name in ("modes", "shape_modes"):
        value = getattr(model, name)
        check_modes(name, value)
        if value == 0:
            raise ParameterError(
                f'{name}=0: nothing but the mean would be left. Take 1 or more modes, a share, or "cv".'
            )
    for name, least in (("restarts", 1), ("seed", 0)):
        check_whole(name, getattr(model, name), least)
    if not isinstance(model.tied, bool):
        raise ParameterError(f"tied={model.tied!r} must be True or False.")
    check_calibrate(model.calibrate)
    for name, choices in (("manifold", tuple(DEGREES)), ("series", SERIES)):
        if getattr(model, name) not in choices:
            raise ParameterError(f"{name}={getattr(model, name)!r}: expected one of {', '.join(map(repr, choices))}.")
    if model.inducing is not None and model.inducing != "auto":
        if isinstance(model.inducing, str):
            raise ParameterError(f'inducing={model.inducing!r}: expected "auto", a number of points, or None.')
        check_whole("inducing", model.inducing, 1)
    if isinstance(model.landmarks, str) or not isinstance(model.landmarks, Sequence):
        raise ParameterError(f"landmarks={model.landmarks!r} must be a list of names of point sets.")
    for name in model.landmarks:
        if not isinstance(name, str):
            raise ParameterError(f"landmarks holds {name!r}; every entry must be the name of a point set.")
    clash = [name for name in model.outputs if isinstance(name, str) and f"{name}_std" in model.outputs]
    if clash:
        raise ParameterError(
            f"the outputs {clash[0]!r} and '{clash[0]}_std' clash: the error band of the first is written under the "
            "name of the second. Rename one of them."
        )
    if not isinstance(model.morphing_options, Mapping):
        raise ParameterError(f"morphing_options={model.morphing_options!r} must be a dictionary of options.")
    for option, kind in OPTIONS.items():
        value = model.morphing_options.get(option)
        right = isinstance(value, bool) if kind is bool else isinstance(value, kind) and not isinstance(value, bool)
        if option in model.morphing_options and not right:
            raise ParameterError(f"morphing_options: {option}={value!r} must be {_KINDS[kind]}.")


def check_whole(name: str, value: object, least: int) -> None:
    """Raise ParameterError unless the value is a whole number of at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.")


def check_landmarks(works: Sequence[Work], landmarks: Sequence[str]) -> None:
    """Raise ParameterError, with the name of the mesh, unless every mesh has every landmark: also where no morphing
    needs them."""
    for work in works if landmarks else ():
        for name in landmarks:
            try:
                landmark_point(work.source, name)
            except ParameterError as error:
                raise ParameterError(f"{work.where}: {error}") from error


def check_rows(x: Tensor, y: Tensor, items: Tensor) -> None:
    """Raise ParameterError if all samples have the same inputs x; warn if frames of trajectories have, whose outputs y
    differ."""
    if not bool((x != x[0]).any()):
        raise ParameterError(
            "all training meshes have the same shape and the same inputs: there is nothing to learn from.\n"
            "  Name the inputs that differ (global_data, point_data or cell_data)."
        )
    together = items[1:] == items[:-1]
    alike = (x[1:] == x[:-1]).all(1) & together
    if bool(together.any()) and bool(alike[together].all()) and bool((y[1:] != y[:-1])[alike].any()):
        warnings.warn(
            "nothing among the inputs differs between the frames of a trajectory: all of them get one prediction.\n"
            '  Add "time" to the inputs, or take series="modes", which predicts whole trajectories.',
            FitWarning,
            stacklevel=4,
        )
