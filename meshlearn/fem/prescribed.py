"""Values prescribed on a part of the mesh: numbers, functions, and tensors whose meaning must be definite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import as_tensor, shown
from meshlearn.fem.coefficients import Function, check_mesh
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.dofs import Dofs
from meshlearn.fem.entities import point_numbers
from meshlearn.fem.functionals import functionals
from meshlearn.fem.selection import of_component, select
from meshlearn.fem.traces import PARTS, prescribe_traces

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


_NOTHING = (
    "where={where} selects no dof of {space}, so that nothing would be prescribed.\n"
    "  A function is called with the dofs' points, x[0] the first coordinates of all; they lie in {box}. A boundary "
    "has dofs if the element has some on facets, or at points and edges of them."
)


def prescribe(
    space: FESpace, where: Any, values: Any, component: int | None, part: str = "value", bend: float = 45.0
) -> AffineConstraint:
    """Dirichlet values; see `FESpace.dirichlet`."""
    if part not in PARTS:
        raise ParameterError(f"part={part!r} is not known; choose one of {list(PARTS)}.")
    parts = [
        (key, _tensor(value, space.device))
        for key, value in (where.items() if isinstance(where, dict) else [(where, values)])
    ]
    k = component if len(space.blocks) > 1 else 0
    if k is not None and 0 <= k < len(space.blocks) and (known := functionals(space, k)) is not None:
        if len(space.blocks) == 1 and component is not None:
            of_component(space, component)  # refuses
        listed = [(key, value) for key, value in parts if isinstance(key, Dofs)]
        if not listed:
            return prescribe_traces(space, k, known, parts, part, bend)
        if len(listed) < len(parts):
            raise ParameterError(f"where mixes dofs and parts of the mesh, for {space} they are joined by &.")
    if part != "value":
        raise ParameterError(
            f"part={part!r}: {space} has no normal derivatives among the dofs that are given. Argyris, Morley, Hermite "
            "and BFS spaces have, on sides and at points; of others they are put into the form, as natural conditions."
        )
    _refuse_every_part(space, parts, component)
    full = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    fixed = torch.zeros(space.n_dofs, dtype=torch.bool, device=space.device)
    for key, value in parts:
        if not select(space, key, component).numel() and not _is_empty_list(key):
            raise ParameterError(_NOTHING.format(where=shown(key), space=space, box=_box(space)))
        for one, field in _by_component(space, value, component):
            dofs = select(space, key, one)
            if isinstance(field, Tensor) and field.shape == (len(dofs),):
                field = _ascending(key, field, dofs)
            full = full.index_copy(0, dofs, _values(space, key, field, dofs, one))
            fixed[dofs] = True
    numbers = torch.nonzero(fixed)[:, 0]
    return AffineConstraint.dirichlet(space.n_dofs, numbers, full.index_select(0, numbers))


def _refuse_every_part(space: FESpace, parts: list[tuple[Any, Any]], component: int | None) -> None:
    """A number for all parts of a composite space at once would fix the pressure beside the velocity."""
    if component is not None or len(space.blocks) == 1:
        return
    for where, value in parts:
        if isinstance(value, (int, float)) and not isinstance(where, Dofs):
            raise ParameterError(
                f"{value!r} for all {len(space.blocks)} parts of {space}: on a composite space say which part the "
                "values are for, dirichlet(where, value, component=0), and join the conditions of several parts by &."
            )


def _by_component(space: FESpace, value: Any, component: int | None) -> list[tuple[int | None, Any]]:
    """(component, value), one by one where a list leaves some of them free, as in [None, 0.0]."""
    if not isinstance(value, (list, tuple)) or isinstance(value, Function) or all(one is not None for one in value):
        return [(component, value)]
    n = space.blocks[0].components
    if value and all(one is None for one in value):
        raise ParameterError(
            f"{shown(value)} leaves all {len(value)} components free, so that nothing would be prescribed: leave the "
            "condition out, or give a number in place of a None."
        )
    if component is not None or len(space.blocks) > 1 or n != len(value):
        raise ParameterError(
            f"{shown(value)} leaves components free: it has one entry for each of the {n or 'no'} components of {space}"
            ", of the whole of which it is given (no component=, no composite space)."
        )
    return [(k, one) for k, one in enumerate(value) if one is not None]


def _is_empty_list(where: Any) -> bool:
    """Dof numbers that somebody counted: none is what was meant."""
    if isinstance(where, (Tensor, np.ndarray)):
        return len(where) == 0
    return isinstance(where, (list, tuple)) and not where


def _box(space: FESpace) -> str:
    low, high = space.mesh.bounding_box().tolist()
    return " x ".join(f"[{a:.4g}, {b:.4g}]" for a, b in zip(low, high, strict=True))


def _tensor(value: Any, device: torch.device) -> Any:
    """Arrays as tensors, numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    return as_tensor("values", value, device) if isinstance(value, np.ndarray) else value


def _ascending(where: Any, values: Tensor, dofs: Tensor) -> Tensor:
    """Values for dofs that were listed in another order, in ascending order."""
    if isinstance(where, Dofs) and len(where) == len(values):
        return values.index_select(0, torch.argsort(where.to(values.device)).as_subclass(Tensor))
    return values


def _values(space: FESpace, where: Any, value: Any, dofs: Tensor, component: int | None) -> Tensor:
    """(k,) values of the dofs. Raises FieldError for a tensor that fits nothing, or several things that differ."""
    full = dofs_of(space, value) if isinstance(value, Function) else None
    if full is not None:
        return full.index_select(0, dofs)
    if isinstance(value, (int, float)) and value == 0:
        return space.like.new_zeros(len(dofs))
    _refuse_projected(space, component)
    if not isinstance(value, Tensor) or value.dim() == 0:
        return _interpolant(space, value, component).index_select(0, dofs)
    made = _readings(space, where, value, dofs, component)
    if not made:
        shape = _value_shape(space, component)
        raise FieldError(
            f"values have the shape {tuple(value.shape)}: expected one per dof of the space ({space.n_dofs},), one per "
            f"selected dof ({len(dofs)},), one per point of the mesh {(space.mesh.n_points, *shape)} (or per point "
            f"that is listed) or one per cell {(len(space.element_dofs), *shape)}."
        )
    (first, picked), *others = made.items()
    for second, other in others:
        if not torch.allclose(picked.detach(), other.detach(), rtol=1e-9, atol=0.0):
            raise FieldError(
                f"values of the shape {tuple(value.shape)} may be one per {first} or one per {second}, which differ.\n"
                "  Say which: space.function(values) takes dofs of the space; ml.fem.AffineConstraint.dirichlet("
                "space.n_dofs, space.dofs(where), values) takes selected dofs in ascending order; the name of a field, "
                "mesh.with_point_data(g=values) and then 'g', takes points."
            )
    return picked


def _refuse_projected(space: FESpace, component: int | None) -> None:
    """Where functions come in by L2 projection, their dofs on the boundary are not those of the boundary."""
    for k in [0] if len(space.blocks) == 1 else [] if component is None else [component]:
        block = space.blocks[k]
        if block.family == "table" and functionals(space, k) is None:
            raise ParameterError(
                f"{type(block.element).__name__} has no interpolation, so that boundary values of a function are not "
                "known: prescribe 0.0, or dofs (space.function(dofs)), or take N1 or N2."
            )


def dofs_of(space: FESpace, value: Any) -> Tensor | None:
    """(n_dofs,) where the value are dofs of the same element on the same mesh, else None."""
    if isinstance(value, Function):
        check_mesh(space, "values", value.space)
        if same_element(space, value.space) and value.dofs.shape == (space.n_dofs,):
            return as_tensor("dofs", value.dofs, space.device).to(space.like)
    if isinstance(value, Tensor) and value.shape == (space.n_dofs,) and space.n_dofs != space.mesh.n_points:
        return value.to(space.like)
    return None


def same_element(space: FESpace, other: FESpace) -> bool:
    """Whether dofs of one space are dofs of the other on the same mesh."""
    return space is other or (
        type(space.element) is type(other.element) and torch.equal(space.element_dofs, other.element_dofs)
    )


def _readings(space: FESpace, where: Any, value: Tensor, dofs: Tensor, component: int | None) -> dict[str, Tensor]:
    """{meaning: values of the dofs} for every meaning that the shape allows; cells only if it allows no other."""
    made: dict[str, Tensor] = {}
    if value.shape == (space.n_dofs,):
        made["dof of the space"] = value.to(space.like).index_select(0, dofs)
    listed = _listed(space, where)
    if value.shape == (len(dofs),) and (listed is None or not _dofs_are_points(space)):
        made["selected dof"] = value.to(space.like)
    shape = _value_shape(space, component)
    if value.shape == (space.mesh.n_points, *shape) and not (made and _dofs_are_points(space)):
        made["point of the mesh"] = _interpolant(space, value, component).index_select(0, dofs)
    if listed is not None and value.shape == (len(listed), *shape):
        everywhere = value.new_zeros(space.mesh.n_points, *shape).index_copy(0, listed, value)
        made["point that is listed"] = _interpolant(space, everywhere, component).index_select(0, dofs)
    if not made and value.shape == (len(space.element_dofs), *shape):
        made["cell"] = _interpolant(space, value, component).index_select(0, dofs)
    return made


def _listed(space: FESpace, where: Any) -> Tensor | None:
    """(k,) point numbers in the order in which they are given, None where they are not given as such."""
    named = isinstance(where, str) or (isinstance(where, (list, tuple)) and (not where or isinstance(where[0], str)))
    if named or callable(where) or isinstance(where, Dofs):
        return None
    return point_numbers(space, where)


def _value_shape(space: FESpace, component: int | None) -> tuple[int, ...]:
    """Of one place's value: of a part of a composite space, of a component, or of the whole function."""
    if len(space.blocks) > 1:
        return () if component is None else space.blocks[component].shapes(space.dim)["value"]
    return () if component is not None else space.blocks[0].shapes(space.dim)["value"]


def _dofs_are_points(space: FESpace) -> bool:
    """P1 on a first-order mesh, or curved cells with the numbering of their nodes."""
    return space.geometry.nodes.shape == space.element_dofs.shape and torch.equal(
        space.geometry.nodes, space.element_dofs
    )


def _interpolant(space: FESpace, value: Any, component: int | None) -> Tensor:
    """Of one component: a vector with the value in every component, of which only that one is read."""
    if len(space.blocks) > 1:
        return _of_part(space, value, component)
    if component is None:
        return space.interpolate(value)
    n = space.blocks[0].components or 1
    if callable(value):
        return space.interpolate(lambda x: [value(x)] * n)
    if isinstance(value, Tensor) and value.dim() == 1:
        return space.interpolate(value[:, None].expand(-1, n))
    if isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.dim() == 0):
        return space.interpolate([value] * n)
    raise ParameterError(f"values of component {component}: expected a number, a function or a tensor, got {value!r}.")


def _of_part(space: FESpace, value: Any, part: int | None) -> Tensor:
    from meshlearn.fem.interpolation import interpolate_part

    if part is None and not (isinstance(value, (int, float)) and value == 0):
        raise ParameterError("on a composite space say which part the values are for: component=0, 1, …")
    made = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    return made if part is None else interpolate_part(space, part, value)
