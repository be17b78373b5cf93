"""What loads, sources, material constants and boundary values may be, and how they reach a weak form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.explain import explained
from meshlearn.fem.fields import Place
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh

Value = float | int | str | Sequence | Tensor | np.ndarray | Callable[[Tensor], Any]
"""A number, a vector, a field of the mesh (its name, or an array (n_points, ...) or (n_cells, ...)), or a function of
the place.

As in forms, x[0], x[1] … are the coordinates: the function gets points (dim, n) float64 and returns a number or (n,);
for a vector its components, numbers or (n,), as a tuple, or (components, n).

Tensors may live on any device; gradients flow to those that require them, and to what functions are made of.
"""


def coefficient(space: FESpace, value: Value, components: int = 0) -> Any:
    """A value as a coefficient of `FESpace.assemble`: a scalar, or a vector of some components.

    Raises FieldError for fields that are not there, not finite or of another width, ParameterError for other values
    that are not finite or do not fit.
    """
    mesh = space.mesh
    if isinstance(value, str):
        value = _field(mesh, space.kind, value)
    elif isinstance(value, (list, tuple)) or not isinstance(value, (Tensor, np.ndarray)):
        return _placed(value, components)
    rows = as_tensor(value, space.like)
    if rows.dim() == 0 or rows.shape == (components,) or len(rows) not in (mesh.n_points, mesh.n_cells):
        return _placed(rows, components)
    bad = int((~torch.isfinite(rows.detach())).sum())
    if bad:
        raise FieldError(f"{bad} values of a {'point' if len(rows) == mesh.n_points else 'cell'} field are not finite.")
    width = rows[0].numel()
    if width != max(components, 1):
        raise FieldError(f"a field with {max(components, 1)} components is needed, this one has {width}.")
    rows = rows.reshape(len(rows), -1) if components else rows.reshape(-1)
    if mesh.n_points == mesh.n_cells:  # then an array belongs to the points
        return space.with_element("P1", components or None).function(rows.reshape(-1))
    return rows


def evaluate(
    value: Any, points: Float[Tensor, "n dim"], components: int = 0
) -> Float[Tensor, " n"] | Float[Tensor, "n components"]:
    """A number, vector or function at points: (n,), or (n, components); dtype and device of the points.

    Raises ParameterError for values that do not fit or are not finite, and for a number other than 0 where a vector is
    needed.
    """
    if callable(value):
        full = _called(value, points, components)
    else:
        rows = _vector(as_tensor(value, points), components)
        try:
            full = rows.expand((len(points), components) if components else (len(points),))
        except RuntimeError:
            raise ParameterError(
                f"a value of shape {tuple(rows.shape)} does not fit: "
                f"{f'a vector of {components} components' if components else 'a number'} is needed, or one for each "
                "point or cell of the mesh."
            ) from None
    bad = int((~torch.isfinite(full.detach())).sum())
    if bad:
        raise ParameterError(f"{bad} of the {full.numel()} values given are not finite.")
    return full


def _called(function: Callable[[Tensor], Any], points: Tensor, components: int) -> Tensor:
    """A function of the place at points (n, dim): (n,), or (n, components)."""
    n, dim = points.shape
    if n == 0:
        return points.new_zeros((0, components) if components else 0)
    if n <= dim:  # one place more than there are directions: rows taken for columns cannot fit
        points = points.index_select(0, torch.arange(dim + 1, device=points.device) % n)
    with torch.enable_grad():  # a function may differentiate on its own; whoever asks decides on the rest
        made = explained(f"the function of the place x (x[0] … x[{dim - 1}] are its coordinates)", function, points.t())
    if components and isinstance(made, (list, tuple)) and len(made) == components:
        parts = [as_tensor(part, points) for part in made]
        fits = all(part.shape in ((), (1,), (len(points),)) for part in parts)
        values = torch.stack([part.expand(len(points)) for part in parts]) if fits else None
    else:
        values = _vector(as_tensor(made, points), components)
        shapes = ((components, len(points)), (components, 1)) if components else ((len(points),), (1,))
        if values.shape in (*shapes, ()):
            values = values.expand(shapes[0])
        else:
            values, made = None, values
    if values is None:
        shape = tuple(made.shape) if isinstance(made, Tensor) else f"{len(made)} parts"
        wanted = f"{components} components as a tuple, each a number or" if components else "a number or"
        raise ParameterError(
            f"a function of the place returned {shape} for {len(points)} places; expected {wanted} ({len(points)},)"
            f"{f', or ({components}, {len(points)})' if components else ''}.\n"
            "  As in forms, x[0], x[1] … are the coordinates of all places; x[:, 0] would be the first place."
        )
    return values.t()[:n] if components else values[:n]


def _vector(values: Tensor, components: int) -> Tensor:
    """The values, unless they are one number where a vector is needed and it is not 0."""
    if components and values.dim() == 0 and bool(values.detach() != 0):
        raise ParameterError(
            f"the number {values.item():g} was given where a vector of {components} components is needed: write "
            f"({', '.join([f'{values.item():g}', *['0.0'] * (components - 1)])}), or whatever its direction is."
        )
    return values


def as_tensor(value: Any, like: Tensor) -> Tensor:
    """Numbers, arrays, tensors, or sequences of these, in the dtype and on the device of a tensor."""
    if isinstance(value, (list, tuple)):
        return torch.stack(torch.broadcast_tensors(*(as_tensor(entry, like) for entry in value)))
    if isinstance(value, Tensor):
        return value.to(like)
    try:
        return torch.as_tensor(np.asarray(value, np.float64)).to(like)
    except (TypeError, ValueError):
        raise ParameterError(f"{value!r:.60} was given where a number, an array or a tensor is needed.") from None


def positive(what: str, values: Any) -> Tensor:
    """Values of a coefficient inside a form. Raises ParameterError where they are not positive."""
    values = getattr(values, "value", values)
    if not bool((values > 0).all()):
        raise ParameterError(f"{what} must be positive everywhere; its smallest value is {values.min().item():g}.")
    return values


def _placed(value: Any, components: int) -> Callable[[Place], Tensor]:
    """As a function of the place of a form, with components in front."""

    def at(x: Place) -> Tensor:
        points = x.points
        if callable(value):
            rows = evaluate(value, points.reshape(len(points), -1).t(), components)
            return rows.t().reshape(*((components,) if components else ()), *points.shape[1:])
        rows = evaluate(value, points.new_zeros(1, len(points)), components)
        return rows.reshape(*((components,) if components else ()), *[1] * (points.dim() - 1))

    return at


def _field(mesh: Mesh, kind: str, name: str) -> Tensor:
    if name in mesh.point_data:
        return mesh.point_data[name]
    if kind in mesh.cell_data.get(name, {}):
        return mesh.cell_data[name][kind]
    raise FieldError(
        f"the mesh has no point field {name!r}, and no cell field of that name.\n  point_data: "
        f"{', '.join(mesh.point_data) or 'nothing'}; cell_data: {', '.join(mesh.cell_data) or 'nothing'}"
    )
