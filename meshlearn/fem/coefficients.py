"""Coefficients of weak forms: numbers, fields of the mesh, finite-element functions, batches of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import FieldError
from meshlearn.fem.arrays import as_tensor
from meshlearn.fem.fields import HIDDEN, Argument, Place
from meshlearn.fem.geometry import Cells, Maps, carry, pick

if TYPE_CHECKING:
    from meshlearn.fem.places import Rule
    from meshlearn.fem.space import FESpace


_CLOSE = 1e-6  # of the size of the mesh: points of a mesh in single and in double precision


class Function(NamedTuple):
    """A function of a finite-element space: `dofs` (n_dofs,), or (n_batch, n_dofs). In forms it has grad, div, curl."""

    space: FESpace
    dofs: Tensor


class Batch(NamedTuple):
    """Values with a leading axis that runs over a batch, where the shape does not tell; (n_batch,) are numbers."""

    values: Tensor


def coefficient(space: FESpace, name: str, value: Any, cells: Cells, rule: Rule, maps: Maps):
    """Function without arguments that returns the array (or Argument) of a coefficient at the places of a rule.

    Known are numbers and lists of them (components); tensors (n_cells, ...) and (n_points, ...), with a leading batch
    axis if that is the only way to read them; names of fields of the mesh; `Function`; functions of the place. Raises
    FieldError for other shapes and types, and for functions on another mesh.
    """
    if isinstance(value, Function):
        check_mesh(space, name, value.space)
        return lambda: known_function(value, name, cells, rule, maps)
    if isinstance(value, str):
        value = _mesh_field(space, value)
    if callable(value):
        return value
    batched = isinstance(value, Batch)
    if isinstance(value, (list, tuple)) and not batched:
        return lambda: constant(space, name, value)
    values = _tensor(space, name, value.values if batched else value)
    if values.dim() == 0:
        return lambda: values.reshape([1] * HIDDEN)
    if batched and values.dim() == 1:
        return lambda: values.reshape(1, 1, 1, -1, 1)
    n_cells, n_points = len(space.element_dofs), space.mesh.n_points
    places = (n_cells, n_points)
    if not batched and len(values) not in places and values.dim() > 1 and values.shape[1] in places:
        batched = True
    where = values.shape[1] if batched else len(values)
    if where not in places:
        raise FieldError(
            f"coefficient {name!r} has shape {tuple(values.shape)}: expected a number, one value per cell "
            f"({n_cells}, ...) or per point ({n_points}, ...) of the mesh, or a batch of such arrays.\n"
            "  Dofs of a space are given as space.function(dofs)."
        )
    if n_cells == n_points:
        raise FieldError(
            f"coefficient {name!r}: this mesh has as many cells as points ({n_cells}), so its meaning is open; "
            "give a function of a space: FESpace(mesh, 'P0').function(values) or FESpace(mesh, 'P1').function(values)."
        )
    if not batched:
        values = values[None]
    if where == n_cells:
        return lambda: _on_cells(values, cells)
    return lambda: _on_points(space, values, cells, rule)


def check_mesh(space: FESpace, name: str, other: FESpace) -> None:
    """Dofs of a function count on its own mesh: elements may differ, cells and points may not."""
    here, there = space.skmesh, other.skmesh
    if here is there:
        return
    what = ""
    if not space.same_mesh(other) or here.doflocs.shape != there.doflocs.shape:
        what = f"{other} lies on another mesh than {space}"
    else:
        moved = float(np.abs(here.doflocs - there.doflocs).max(initial=0.0))
        if moved > _CLOSE * float(np.ptp(here.doflocs, axis=1).max(initial=0.0)):
            what = f"{other} has the cells of {space}, but its points lie elsewhere, by up to {moved:.3g}"
    if what:
        raise FieldError(
            f"function {name!r}: {what}.\n  Make its space from the same mesh; or carry it over: dofs = "
            "space.interpolate(lambda x: ...), or other.evaluate(dofs, space.dof_points) for a Lagrange space."
        )


def batch_size(space: FESpace, value: Any) -> int | None:
    """Length of a coefficient's batch axis, None where it has none."""
    if isinstance(value, Batch):
        return len(value.values)
    if isinstance(value, Function):
        return len(value.dofs) if value.dofs.ndim == 2 else None
    if not isinstance(value, (Tensor, np.ndarray)) or value.ndim < 2:
        return None
    places = (len(space.element_dofs), space.mesh.n_points)
    return len(value) if len(value) not in places and value.shape[1] in places else None


def ambiguous(space: FESpace, given: dict[str, Any]) -> list[str]:
    """Words on tensors that are taken for vectors, and may be batches: as long as there are cells or points."""
    places = {len(space.element_dofs): "cell", space.mesh.n_points: "point"}
    return [
        f"x.{name} of shape {tuple(value.shape)} is taken for a vector of {value.shape[1]} components on every "
        f"{places[len(value)]}, because there are as many; if it is a batch of {len(value)}, say so: "
        f"{name}=ml.fem.Batch({name})."
        for name, value in given.items()
        if isinstance(value, (Tensor, np.ndarray))
        and value.ndim > 1
        and len(value) in places
        and value.shape[1] in places
    ]


def constant(space: FESpace, name: str, value: Any) -> Any:
    """What a function of the place returned: an array of a form as it is; numbers, or a list with one entry for each
    component, as such an array."""
    if isinstance(value, Argument):
        return value
    if isinstance(value, Place):  # lambda x: x, the vector of the coordinates
        return torch.stack(list(value))
    if isinstance(value, (list, tuple)):
        parts = [constant(space, name, part) for part in value]
        parts = [part.value if isinstance(part, Argument) else part for part in parts]
        return torch.stack(torch.broadcast_tensors(*parts)) if parts else _tensor(space, name, None)
    values = _tensor(space, name, value)
    return values if values.dim() >= HIDDEN else values.reshape(*values.shape, *[1] * HIDDEN)


def _tensor(space: FESpace, name: str, value: Any) -> Tensor:
    try:
        known = isinstance(value, (Tensor, np.ndarray))
        values = torch.as_tensor(value, dtype=None if known else space.dtype, device=space.device)
    except (TypeError, ValueError, RuntimeError):
        values = None
    if values is None or values.is_complex():
        raise FieldError(
            f"coefficient {name!r} is a {type(value).__name__} ({str(value)[:60]}): expected a number, a list of "
            "numbers, a tensor, the name of a field of the mesh, space.function(dofs), or a function of x."
        )
    return values.to(space.dtype)


def _mesh_field(space: FESpace, name: str) -> Tensor:
    mesh = space.mesh
    if name in mesh.point_data:
        return mesh.point_data[name]
    by_kind = mesh.cell_data.get(name, {})
    if space.kind in by_kind:
        return by_kind[space.kind]
    if name in mesh.global_data and mesh.global_data[name].numel() == 1:
        return mesh.global_data[name].reshape(())
    raise FieldError(
        f"the mesh has no field {name!r}.\n  point data: {', '.join(mesh.point_data) or 'none'}; cell data: "
        f"{', '.join(mesh.cell_data) or 'none'}"
    )


def _on_cells(values: Tensor, cells: Cells) -> Tensor:
    """(n_batch, n_cells, ...) -> (..., 1, 1, cells, n_batch, 1)."""
    values = pick(values, 1, cells)
    return values.movedim((1, 0), (-2, -1))[..., None, None, :, :, None]


def _on_points(space: FESpace, values: Tensor, cells: Cells, rule: Rule) -> Tensor:
    """(n_batch, n_points, ...) interpolated as the geometry is: (..., 1, 1, cells, n_batch, places)."""
    nodes = pick(space.geometry.nodes, 0, cells)
    by_node = ops.gather(values.movedim(1, 0), nodes.reshape(-1))
    by_node = by_node.reshape(*nodes.shape, *by_node.shape[1:])
    table = space.geometry.shape.tables(rule.places, space.dtype)["value"][..., 0].to(space.device)
    made = torch.einsum("aq,eab...->...ebq", table, by_node)
    return made.unsqueeze(-4).unsqueeze(-4)


def known_function(function: Function, name: str, cells: Cells, rule: Rule, maps: Maps) -> Any:
    """The function as an argument of a form, or a tuple of them for a composite space."""
    space, dofs = function.space, as_tensor(f"function {name!r}", function.dofs, function.space.device)
    if dofs.shape[-1] != space.n_dofs or dofs.dim() > 2:
        raise FieldError(
            f"function {name!r} has dofs of shape {tuple(dofs.shape)}, expected ({space.n_dofs},) or "
            f"(n_batch, {space.n_dofs}) for {space}."
        )
    dofs = dofs.to(space.dtype)
    made = tuple(
        Argument(
            partial(_part, space, dofs.reshape(-1, space.n_dofs), cells, rule, maps, k),
            block.shapes(space.dim),
            f"x.{name}",
        )
        for k, block in enumerate(space.blocks)
    )
    return made[0] if len(made) == 1 else made


def _part(space: FESpace, dofs: Tensor, cells: Cells, rule: Rule, maps: Maps, k: int, part: str) -> Tensor:
    """(*components, 1, 1, cells, n_batch, places) of a part of field k of a finite-element function."""
    block = space.blocks[k]
    n = block.components or 1
    local = space.local_values(dofs, k, cells)  # (n_functions, n, cells, n_batch)
    table = space.tables(k, rule)[part]
    if table.dim() == 4:
        table = pick(table, 1, cells)
        made = torch.einsum("ieqw,icez->cwezq", table, local)
    else:
        made = torch.einsum("iqw,icez->cwezq", table, local)
        matrix = carry(block, part, maps)
        if matrix is not None:
            made = torch.einsum("dkeq,ckezq->cdezq", *_alike(matrix, made))
    shape = block.shapes(space.dim)[part]
    assert n * made.shape[1] == int(torch.Size(shape).numel())
    return made.reshape(*shape, 1, 1, *made.shape[2:])


def _alike(matrix: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    return matrix.expand(*matrix.shape[:2], made.shape[2], made.shape[4]), made


Coefficients = dict[str, Callable[[], Any]]
