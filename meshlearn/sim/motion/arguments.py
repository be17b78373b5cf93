"""What solvers in motion accept, with errors that say what is expected."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh import checks
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.option_checks import number, require

positive = number("a positive number", lambda value: value > 0)
share = number("a share between 0 and 1", lambda value: 0 < value < 1)
not_negative = number("a number of at least 0", lambda value: value >= 0)


def floats(name: str, value: Any, like: Tensor) -> Tensor:
    """Numbers, arrays, lists and tensors in the dtype and on the device of a tensor.

    Raises ParameterError (or MeshError, for what is no array of numbers) for anything else.
    """
    require(value is not None and not isinstance(value, (str, Mesh)), name, value, "a number, an array or a tensor")
    return checks.tensor(value, name).to(like)


def need_mesh(name: str, value: Any) -> None:
    """Raise ParameterError for what is no Mesh."""
    if not isinstance(value, Mesh):
        raise ParameterError(f"{name} is a Mesh, such as ml.shapes.disc(), not a {type(value).__name__}.")


def check_constants(material: Any, count: int, owners: str) -> None:
    """Raise ParameterError for constants of a material that are tensors of another length than there are owners."""
    for name, value in vars(material).items():
        if isinstance(value, Tensor) and value.dim() == 1 and len(value) != count:
            raise ParameterError(
                f"{name} of {type(material).__name__} has {len(value)} values, there are {count} {owners}: one each "
                "is expected, or a number."
            )


def acceleration(value: Any, like: Tensor) -> Tensor | None:
    """Gravity as (dim,) in the dtype and on the device of points (n, dim), or None for 0."""
    vector = floats("gravity", value, like)
    if vector.dim() == 0 and float(vector) == 0:
        return None
    if vector.shape != like.shape[1:] or not math.isfinite(float(vector.detach().abs().sum())):
        raise ParameterError(f"gravity is a finite vector of {like.shape[1]} components, or 0, not {value!r:.60}.")
    return vector
