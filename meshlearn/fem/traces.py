"""Dirichlet values of functions whose dofs are derivatives too (Argyris, Hermite, BFS, Morley …)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ConstraintError, FieldError, ParameterError
from meshlearn.fem.arrays import shown
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.derivatives import differentiable
from meshlearn.fem.fields import Place
from meshlearn.fem.functionals import Functionals, local_dofs
from meshlearn.fem.relations import Relations, relations
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

PARTS = ("value", "normal", "clamped")


def prescribe_traces(
    space: FESpace, k: int, known: Functionals, parts: Sequence[tuple[Any, Any]], part: str, bend: float
) -> AffineConstraint:
    """Values, normal derivatives or both on parts (where, value) of the mesh; where parts meet the later one counts."""
    made: list[tuple[Relations, Tensor]] = []
    for where, value in parts:
        number = _is_number(value)
        both = part != "normal" and not number  # the gradient is known: nothing locks at a kink
        rows = relations(space, k, known, where, part, 0.0 if both else bend, turning=number)
        if not len(rows.dofs):
            raise ParameterError(
                f"where={shown(where)} selects no {'normal derivative' if part == 'normal' else 'dof'} of {space}: "
                "expected sides of the boundary, or points."
            )
        data = _normal_data(space, rows, value) if part == "normal" else _data(space, k, known, rows, value)
        made = [_without(*before, rows) for before in made]
        made.append(_independent(rows, data))
    dofs = np.concatenate([rows.dofs for rows, _ in made])
    entries = np.concatenate([rows.entries for rows, _ in made])
    return _constraint(space, dofs, entries, torch.cat([data for _, data in made]))


def _constraint(space: FESpace, dofs: np.ndarray, entries: np.ndarray, data: Tensor) -> AffineConstraint:
    row, column = np.nonzero(entries)
    rows, numbers, weights = (
        torch.from_numpy(a).to(space.device) for a in (row, dofs[row, column], entries[row, column])
    )
    if len(row) == len(entries):  # parallel to the axes: prescribed dofs, no relations
        return AffineConstraint.dirichlet(space.n_dofs, numbers, data / weights.to(data))
    return AffineConstraint.linear(SparseOperator.from_coo(rows, numbers, weights, (len(entries), space.n_dofs)), data)


def _data(space: FESpace, k: int, known: Functionals, rows: Relations, value: Any) -> Tensor:
    """(m,) what the rows are for a function. Raises FieldError where it has no finite derivatives."""
    from meshlearn.fem.interpolation import owned
    from meshlearn.fem.prescribed import dofs_of

    full = dofs_of(space, value)
    if full is None and isinstance(value, Tensor) and value.shape == (space.mesh.n_points,) and not rows.order.any():
        full = _point_values(space, rows, value)
    if full is None:
        full = owned(space, k, local_dofs(space, k, value, known))
    entries = torch.from_numpy(rows.entries).to(full)
    numbers = torch.from_numpy(rows.dofs.reshape(-1)).to(space.device)
    held = full.index_select(0, numbers).reshape(rows.dofs.shape)
    data = torch.where(entries == 0, 0.0, held * entries).sum(1)
    _check_finite(rows, data)
    return data


def _point_values(space: FESpace, rows: Relations, value: Tensor) -> Tensor:
    """Of elements whose values fix nothing else: the corners' numbers are those of the points."""
    full = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    at = torch.from_numpy(rows.owner).to(space.device)
    if bool((at < 0).any()):
        raise FieldError(f"one value per point does not tell those of {space} between points: give a function.")
    return full.index_copy(0, torch.from_numpy(rows.dofs[:, 0]).to(space.device), value.to(full).index_select(0, at))


def _normal_data(space: FESpace, rows: Relations, value: Any) -> Tensor:
    """(m,) normal derivatives, and their derivatives along the side."""
    inside = ~rows.normal.any(1)
    number = _is_number(value)
    if not number and not callable(value):
        raise FieldError(
            f"normal derivatives are given as a number or a function of the place (x.normal is the outward normal), "
            f"not {shown(value)}."
        )
    if inside.any() and not (number and float(value) == 0):
        raise ParameterError(
            f"{int(inside.sum())} normal derivatives lie between two cells, where no side is the outer one: only 0 "
            "can be prescribed there."
        )
    function = value if callable(value) else lambda x: value
    points, normal, tangent = (
        torch.from_numpy(np.ascontiguousarray(a.T)).to(space.like)[:, :, None]
        for a in (rows.place, rows.normal, rows.tangent)
    )
    m = len(rows.dofs)
    x = Place(lambda: points, normal, _no_size, {})
    found = differentiable(space, "values", function, x)
    if found.shapes["value"] != ():
        raise FieldError(f"a normal derivative is a scalar; the function gave components {found.shapes['value']}.")
    data = found.part("value").reshape(-1).expand(m)
    mixed = torch.from_numpy(rows.order == 2).to(space.device)
    if bool(mixed.any()):
        slope = found.part("grad")[:, 0, 0, :, 0].expand(-1, m, 1)
        data = torch.where(mixed, (slope * tangent).sum(0)[:, 0], data)
    _check_finite(rows, data)
    return data


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.dim() == 0)


def _no_size() -> Tensor:
    raise ParameterError("x.size is the size of a cell, which normal derivatives do not have.")


def _check_finite(rows: Relations, data: Tensor) -> None:
    bad = ~torch.isfinite(data.detach())
    if not bool(bad.any()):
        return
    row = int(torch.nonzero(bad)[0])
    what = ("value", "derivative", "second derivative")[int(rows.order[row])]
    raise FieldError(
        f"the {what} of the function is {float(data.detach()[row])} at {_text(rows.place[row])} ({int(bad.sum())} such "
        "values).\n  Roots and absolute values have no derivative at 0, also where a factor beside them vanishes."
    )


def _text(place: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in place) + ")"


def _independent(rows: Relations, data: Tensor) -> tuple[Relations, Tensor]:
    """The rows without those that follow from others in a corner. Raises ConstraintError where their values do not."""
    derived = np.flatnonzero(rows.order > 0)
    key, count = np.unique(np.stack([rows.owner[derived], rows.order[derived]]), axis=1, return_counts=True)
    several = np.unique(key[0][count > 1])
    scale = float(data.detach().abs().max()) if len(data) else 0.0
    values, gone = data.detach().cpu().double().numpy(), []
    for mine in _by_owner(rows, several).values():
        held: list[int] = []
        for row in mine:
            shares = _shares(rows, row, rows, held)
            if shares is None:
                held.append(row)
                continue
            if abs(values[row] - shares @ values[held]) > 1e-8 * scale:
                raise ConstraintError(
                    f"the sides that meet at {_text(rows.place[row])} contradict each other there: a derivative is "
                    f"{values[row]:.6g} along one and {shares @ values[held]:.6g} along the other.\n  Give them one by "
                    "one, as {where: value}: at their corners the later one counts."
                )
            gone.append(row)
    return _kept(rows, data, gone)


def _without(rows: Relations, data: Tensor, later: Relations) -> tuple[Relations, Tensor]:
    """Rows, less those that follow from later ones."""
    shared = np.intersect1d(rows.owner, later.owner)
    theirs, gone = _by_owner(later, shared), []
    for owner, mine in _by_owner(rows, shared).items():
        gone += [row for row in mine if _shares(rows, row, later, theirs[owner]) is not None]
    return _kept(rows, data, gone)


def _kept(rows: Relations, data: Tensor, gone: list[int]) -> tuple[Relations, Tensor]:
    if not gone:
        return rows, data
    kept = np.setdiff1d(np.arange(len(rows.dofs)), gone)
    return rows.pick(kept), data.index_select(0, torch.from_numpy(kept).to(data.device))


def _by_owner(rows: Relations, owners: np.ndarray) -> dict[int, list[int]]:
    made: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(rows.owner, owners)).tolist():
        made.setdefault(int(rows.owner[row]), []).append(row)
    return made


def _shares(rows: Relations, row: int, others: Relations, held: list[int]) -> np.ndarray | None:
    """Of which multiples of other rows a row is the sum, None where it is not."""
    if not held:
        return None
    columns = np.unique(np.concatenate([others.dofs[held].reshape(-1), rows.dofs[row]]))
    basis, wanted = np.stack([_dense(others, one, columns) for one in held], 1), _dense(rows, row, columns)
    shares = np.linalg.lstsq(basis, wanted, rcond=1e-9)[0]
    return shares if np.linalg.norm(wanted - basis @ shares) < 1e-6 * np.linalg.norm(wanted) else None


def _dense(rows: Relations, row: int, columns: np.ndarray) -> np.ndarray:
    made = np.zeros(len(columns))
    np.add.at(made, np.searchsorted(columns, rows.dofs[row]), rows.entries[row])
    return made
