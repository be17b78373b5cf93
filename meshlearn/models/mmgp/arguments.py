"""Checks of the arguments of `MMGP`: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.models.mmgp.morphing import MORPHERS
from meshlearn.models.mmgp.pod import check_modes
from meshlearn.models.mmgp.transfer import TRANSFERS


def check(model: Any) -> None:
    """What does not depend on the meshes."""
    known = ["auto", *MORPHERS]
    if model.morphing not in known:
        raise ParameterError(f"morphing={model.morphing!r}: expected one of {', '.join(map(repr, known))}.")
    if model.transfer not in TRANSFERS:
        raise ParameterError(f"transfer={model.transfer!r}: expected one of {', '.join(map(repr, TRANSFERS))}.")
    for name in ("modes", "shape_modes"):
        check_modes(name, getattr(model, name))
    for name, least in (("restarts", 1), ("seed", 0)):
        value = getattr(model, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.")
    for name in ("tied", "calibrate"):
        if not isinstance(getattr(model, name), bool):
            raise ParameterError(f"{name}={getattr(model, name)!r} must be True or False.")
    if isinstance(model.landmarks, str) or not isinstance(model.landmarks, Sequence):
        raise ParameterError(f"landmarks={model.landmarks!r} must be a list of names of point sets.")
    clash = [name for name in model.outputs if isinstance(name, str) and f"{name}_std" in model.outputs]
    if clash:
        raise ParameterError(
            f"the outputs {clash[0]!r} and '{clash[0]}_std' clash: the error band of the first is written under the "
            "name of the second. Rename one of them."
        )
    if not isinstance(model.morphing_options, Mapping):
        raise ParameterError(f"morphing_options={model.morphing_options!r} must be a dictionary of options.")
