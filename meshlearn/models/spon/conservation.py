"""Conservation: the nearest function, in L2, that has the known integral, or the known divergence in every cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.operators import div
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.spon.boundary import Prescribed
from meshlearn.models.spon.discretisation import Discretisation
from meshlearn.models.spon.transfer import encode
from meshlearn.train.fields import FieldSet, FieldSpec, resolve_one


def check_conserve(conserve: Any, fields: FieldSet) -> None:
    """Raise ParameterError for what cannot be conserved."""
    if conserve is None:
        return
    if not isinstance(conserve, Mapping):
        raise ParameterError(f"conserve={conserve!r}: a dictionary {{output: name of the known field}} is expected.")
    outputs = {spec.name for spec in fields.outputs}
    for output, known in conserve.items():
        if output not in outputs or not isinstance(known, str):
            raise ParameterError(
                f"conserve={conserve!r}: {output!r}: {known!r} is not {{output: name}}; outputs: {sorted(outputs)}."
            )
        if known in fields.hidden_names:
            raise ParameterError(f"conserve: {known!r} is an output, so it is not known when predicting.")


def conserve_field(
    dofs: Float[Tensor, "n columns"], mesh: Mesh, spec: FieldSpec, name: str, disc: Discretisation, given: Prescribed
) -> Float[Tensor, "n columns"]:
    """The dofs moved, as little as possible in L2, so that the integral equals a known one; prescribed dofs stay.

    name  a global field with the components of the output: the integral of the output over the mesh. Or, for an output
          in RT0, a scalar cell field: the mean divergence in each cell, which then holds in every cell to rounding

    Where the truth fulfils both, its distance in L2 to the result is not larger than that to the prediction.
    Raises FieldError for a field that does not fit, and where prescribed values rule the known ones out.
    """
    known = resolve_one(mesh, name)
    if known.location == "global" and known.size == spec.size:
        return _integral(dofs, known.values(mesh)[0].double(), disc, given, spec)
    if known.location == "cell" and disc.element == "RT0" and known.size == 1:
        return _divergence(dofs, known.values(mesh)[:, 0].double(), disc, given)
    raise FieldError(
        f"conserve: the {known.location} field {name!r} with {known.size} components does not say what is known of "
        f"{spec.name!r} ({spec.size} components in {disc.element}).\n  A global field of the same components is its "
        "integral; for an output in RT0, a scalar cell field is the divergence in each cell."
    )


def _integral(dofs: Tensor, known: Tensor, disc: Discretisation, given: Prescribed, spec: FieldSpec) -> Tensor:
    M, what = disc.mass.to_scipy().tocsr(), f"integral of {spec.name!r}"
    constants = [encode(disc, row[None], "global") for row in torch.eye(spec.size, dtype=torch.float64)]
    if disc.directed:
        rows = np.stack([M @ constant[:, 0].cpu().numpy() for constant in constants])
        return _saddle(dofs, rows, known, M, given.fixed[:, 0], what)
    row = (M @ constants[0][:, 0].cpu().numpy())[None]
    columns = range(spec.size)
    parts = [_saddle(dofs[:, k : k + 1], row, known[k : k + 1], M, given.fixed[:, k], what) for k in columns]
    return torch.cat(parts, dim=1)


def _divergence(dofs: Tensor, known: Tensor, disc: Discretisation, given: Prescribed) -> Tensor:
    cells = disc.other("P0")
    D: Any = cells.assemble(lambda u, v, x: div(u) * v, trial=disc.space)
    order = cells.element_dofs[:, 0].cpu().numpy()
    rows = D.to_scipy().tocsr()[order]
    measures = torch.cat([disc.mesh.cell_measures()[kind] for kind in disc.mesh.domain_types]).double().abs()
    return _saddle(
        dofs, rows, known * measures.to(known), disc.mass.to_scipy().tocsr(), given.fixed[:, 0], "divergence"
    )


def _saddle(dofs: Tensor, rows: Any, known: Tensor, M: Any, fixed: Tensor, what: str) -> Tensor:
    """u - M^-1 C^T (C M^-1 C^T)^-1 (C u - b) on the free dofs."""
    free = np.flatnonzero(~fixed.cpu().numpy())
    C = sp.csr_matrix(rows)
    u, b = dofs[:, 0].detach().double().cpu().numpy(), known.cpu().numpy()
    missing = b - C @ u
    Cf, Mf = C[:, free], M[free][:, free]
    scale = max(float(np.abs(b).max()), float((abs(C) @ np.abs(u)).max()), 1e-300)
    count = len(b)
    if count > 1 and len(free) and float(np.abs(Cf.T @ np.ones(count)).max()) < 1e-12 * abs(Cf).max():
        if abs(missing.sum()) > 1e-6 * scale * count**0.5:
            raise FieldError(
                f"conserve: prescribed values and the known {what} contradict each other: their sums differ."
            )
        Cf, missing = Cf[1:], missing[1:]  # the sum over all cells is fixed by the boundary: one row follows
    if not len(free) or Cf.nnz == 0:
        raise FieldError(f"conserve: every dof is prescribed, so the {what} cannot be changed.")
    system = sp.bmat([[Mf, Cf.T], [Cf, None]], format="csc")
    change = spl.splu(system).solve(np.concatenate([np.zeros(len(free)), missing]))[: len(free)]
    made = dofs.clone()
    made[torch.from_numpy(free).to(dofs.device), 0] += torch.from_numpy(change).to(dofs)
    return made
