"""Checks of the arguments of operator networks: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.models.spon.boundary import parts_of
from meshlearn.models.spon.discretisation import ELEMENTS
from meshlearn.models.spon.transfer import HOW
from meshlearn.train.fields import FieldSet

LOSSES = ("L2", "H1")
COORDINATES = ("centred", "absolute", "none")
OPTIMIZERS = ("muon", "adamw")


def check(model: Any, fields: FieldSet) -> None:
    """What samples and network depend on."""
    for name in ("hidden", "steps"):
        at_least(name, getattr(model, name), 1)
    one_of("output_element", model.output_element, ELEMENTS)
    input_elements(model.input_element, fields)
    one_of("encoder", model.encoder, HOW)
    one_of("loss", model.loss, LOSSES)
    one_of("coordinates", model.coordinates, COORDINATES)
    one_of("optimizer", model.optimizer, OPTIMIZERS)
    weight = model.h1_weight
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < float("inf"):
        raise ParameterError(f"h1_weight={weight!r} must be a positive number.")
    if model.loss == "H1" and model.output_element == "P0":
        raise ParameterError("loss='H1' needs derivatives; functions of 'P0' have none. Use loss='L2'.")
    if not isinstance(model.distances, bool):
        raise ParameterError(f"distances={model.distances!r} must be True or False.")
    globals_ = [spec.name for spec in fields.at("outputs", "global")]
    if globals_:
        raise ParameterError(
            f"the outputs {globals_} are numbers of the whole mesh, not fields: an operator network has no place for "
            "them. `ml.MeshGraphNet` predicts such values."
        )
    parts_of(model.dirichlet, fields)


def input_elements(given: Any, fields: FieldSet) -> dict[str, str]:
    """{input field: element} from one name for all or a dictionary by field."""
    names = [spec.name for spec in fields.inputs if spec.location != "global"]
    if isinstance(given, Mapping):
        if unknown := sorted(str(name) for name in set(given) - set(names)):
            raise ParameterError(f"input_element names {unknown}; the input fields are {names}.")
        chosen = {name: given.get(name, "P1") for name in names}
    else:
        chosen = dict.fromkeys(names, given)
        one_of("input_element", given, ELEMENTS)
    for name, element in chosen.items():
        one_of(f"input_element[{name!r}]", element, ELEMENTS)
    return chosen


def at_least(name: str, value: Any, least: int) -> None:
    """Raise ParameterError unless the value is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.")


def one_of(name: str, value: Any, known: Any) -> None:
    """Raise ParameterError unless the value is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{name}={value!r} is not known; choose one of {list(known)}.")
