"""Checks of the arguments of `GIOROM`: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.models.giorom.nodes import METHODS
from meshlearn.train.loss import POINTWISE
from meshlearn.train.option_checks import flag, number, require, whole

KINDS = ("solid", "fluid")
RECONSTRUCTIONS = ("least_squares", "nearest", "learned")
STEPPERS = ("operator", "gated")
OPTIMIZERS = ("muon", "adamw")


def check_arguments(model: Any) -> None:
    """All arguments of the constructor."""
    for name, known in (
        ("kind", KINDS),
        ("sampling", METHODS),
        ("reconstruction", RECONSTRUCTIONS),
        ("stepper", STEPPERS),
        ("optimizer", OPTIMIZERS),
        ("loss", tuple(POINTWISE)),
    ):
        value = getattr(model, name)
        if not isinstance(value, str) or value not in known:
            guess = did_you_mean(str(value), known)
            raise ParameterError(f"{name}={value!r} is not known{guess} Choose one of {', '.join(known)}.")
    require(
        not (model.reconstruction == "learned" and model.kind == "fluid"),
        "reconstruction",
        model.reconstruction,
        "'least_squares' or 'nearest' with kind='fluid', where points follow the nodes of the present: it is the body "
        "at rest that a learned one is of,",
    )
    require(
        not (model.stepper == "gated" and model.kind == "fluid"),
        "stepper",
        model.stepper,
        "'operator' with kind='fluid', whose graph is another in every frame: gates are those of the body at rest,",
    )
    if model.n_nodes != "all":
        require(not isinstance(model.n_nodes, str), "n_nodes", model.n_nodes, "'all', or a whole number of at least 3")
        whole(3)("n_nodes", model.n_nodes)
    for name in ("hidden", "subsets", "unroll"):
        whole(1)(name, getattr(model, name))
    whole(1, optional=True)("history", model.history)
    for name in ("layers", "mlp_layers"):
        whole(1 if name == "layers" else 0)(name, getattr(model, name))
    grid = whole(0)("grid", model.grid)
    require(grid != 1, "grid", model.grid, "0 for none, or at least 2 grid points along an axis")
    heads = model.grid and model.stepper == "operator"
    require(not heads or model.hidden % 4 == 0, "hidden", model.hidden, "a multiple of the 4 heads of the grid")
    number("a number of at least 0", lambda x: x >= 0)("noise", model.noise)
    number("a number of at least 1", lambda x: x >= 1)("vary", model.vary)
    number("None or a positive number", lambda x: x > 0, optional=True)("radius", model.radius)
    whole(2, optional=True)("neighbors", model.neighbors)
    flag("rotations", model.rotations)
    require(
        not (model.rotations and model.box is not None),
        "rotations",
        model.rotations,
        "False with a box, whose walls do not turn with the body,",
    )
    for name in ("inputs", "fixed"):
        names = getattr(model, name)
        good = isinstance(names, Iterable) and not isinstance(names, str) and all(isinstance(n, str) for n in names)
        require(good, name, names, "a list of names")
    require(model.types is None or isinstance(model.types, str), "types", model.types, "None or the name of a field")
    require(isinstance(model.velocity, str), "velocity", model.velocity, "the name of a field")
