"""Prescribed values of output dofs, as affine constraints (`meshlearn.fem.AffineConstraint`)."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem import AffineConstraint
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.spon.discretisation import Discretisation
from meshlearn.models.spon.transfer import encode
from meshlearn.train.fields import FieldSet, FieldSpec, resolve_one


class Prescribed:
    """fixed (n, columns) marks the dofs of an output that are prescribed, values (n, columns) float64 are theirs."""

    def __init__(self, fixed: Bool[Tensor, "n columns"], values: Float[Tensor, "n columns"]) -> None:
        self.fixed, self.values = fixed, values

    def constraints(self) -> list[AffineConstraint]:
        """One per column."""
        made = []
        for fixed, values in zip(self.fixed.t(), self.values.t(), strict=True):
            dofs = torch.nonzero(fixed)[:, 0]
            made.append(AffineConstraint.dirichlet(len(fixed), dofs, values.index_select(0, dofs)))
        return made

    def impose(self, dofs: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns"]:
        """The dofs with the prescribed ones overwritten, to the last bit; gradient 0 for what is overwritten."""
        if not bool(self.fixed.any()):
            return dofs
        columns = zip(self.constraints(), dofs.unbind(1), strict=True)
        return torch.stack([constraint.impose(column) for constraint, column in columns], dim=1)


def parts_of(dirichlet: Any, fields: FieldSet) -> dict[str, dict[str, Any]]:
    """{output: {where: value}} of what the user gave; raises ParameterError for what cannot be."""
    if dirichlet is None:
        return {}
    if not isinstance(dirichlet, Mapping) or not all(isinstance(key, str) for key in dirichlet):
        raise ParameterError(
            f"dirichlet={dirichlet!r}: a dictionary of values by the name of a part of the boundary is expected, such "
            "as {'boundary': 0.0, 'inlet': 'inlet_velocity'}, or one of these for each output by its name."
        )
    names = [spec.name for spec in fields.outputs]
    nested = {name: isinstance(value, Mapping) for name, value in dirichlet.items()}
    if not any(nested.values()):
        if len(names) > 1:
            raise ParameterError(
                f"dirichlet={dirichlet!r} does not say which of the outputs {names} it is for: "
                f"give {{{names[0]!r}: {dirichlet!r}, ...}}."
            )
        parts = {names[0]: dict(dirichlet)}
    elif all(nested.values()) and set(dirichlet) <= set(names):
        parts = {name: dict(value) for name, value in dirichlet.items()}
    else:
        raise ParameterError(f"dirichlet={dirichlet!r}: the outputs are {names}; give {{output: {{where: value}}}}.")
    for entries in parts.values():
        for where, value in entries.items():
            if isinstance(value, str) and value in fields.hidden_names:
                raise ParameterError(
                    f"dirichlet takes the values on {where!r} from the field {value!r}, which is an output: it is not "
                    "known when predicting. Give the boundary values another name, on the meshes to predict on too."
                )
    return parts


def prescribe(mesh: Mesh, spec: FieldSpec, parts: Mapping[str, Any], disc: Discretisation) -> Prescribed:
    """What `parts` {where: value} prescribes of one output on one mesh; the later part counts where two meet.

    where  "boundary", the name of a set, or a pattern such as "hole_*", which may match nothing
    value  a number, a list with one for each component (None leaves it free; not for directed elements), or the name
           of a point or global field of the mesh with the components of the output
    """
    columns = disc.columns(spec.size, spec.name)
    fixed = torch.zeros(disc.n, columns, dtype=torch.bool, device=disc.space.device)
    values = torch.zeros(disc.n, columns, dtype=torch.float64, device=disc.space.device)
    for where, value in parts.items():
        names = _matching(mesh, where)
        if not names:
            continue
        dofs = disc.space.dofs(names if len(names) > 1 else names[0])
        found, prescribed = _data(mesh, spec, where, value, disc)
        for k in prescribed:
            fixed[dofs, k] = True
            values[dofs, k] = found[dofs, k]
    return Prescribed(fixed, values)


def _matching(mesh: Mesh, where: str) -> list[str]:
    if not any(c in where for c in "*?["):
        return [where]
    return sorted(name for name in {*mesh.point_sets, *mesh.cell_sets} if fnmatchcase(name, where))


def _data(mesh: Mesh, spec: FieldSpec, where: str, value: Any, disc: Discretisation) -> tuple[Tensor, list[int]]:
    """((n, columns) values of all dofs, columns that are prescribed)."""
    columns = disc.columns(spec.size, spec.name)
    if isinstance(value, str):
        source = resolve_one(mesh, value)
        if source.size != spec.size or source.location == "cell":
            raise FieldError(
                f"dirichlet: the {source.location} field {value!r} with {source.size} components gives no values on "
                f"{where!r} of {spec.name!r}, which has {spec.size}: a point or global field is expected."
            )
        return encode(disc, source.values(mesh), source.location), list(range(columns))
    entries = list(value) if isinstance(value, (list, tuple)) else [value] * spec.size
    numbers = [entry for entry in entries if entry is not None]
    good = all(isinstance(entry, (int, float)) and not isinstance(entry, bool) for entry in numbers)
    if len(entries) != spec.size or not good or (disc.directed and len(numbers) < len(entries)):
        raise ParameterError(
            f"dirichlet: {value!r} on {where!r} is not a number, a list of {spec.size} numbers, or the name of a field."
        )
    known = [k for k, entry in enumerate(entries) if entry is not None]
    constant = torch.tensor([[0.0 if entry is None else float(entry) for entry in entries]], dtype=torch.float64)
    return encode(disc, constant.to(disc.space.device), "global"), [0] if disc.directed else known
