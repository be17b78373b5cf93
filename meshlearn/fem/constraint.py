"""Affine constraints u = B z + g: one object for solvers, networks and Gaussian processes."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem import elimination
from meshlearn.fem.affine import AffineMap, others
from meshlearn.ops import SparseOperator


class AffineConstraint(AffineMap):
    """All u of the form B z + g: n degrees of freedom u, n_free unknowns z.

    Every unknown is one of the degrees of freedom, z_j = u[independent[j]]; the others follow from them and from g.

    - n, n_free: numbers of degrees of freedom and of unknowns.
    - independent: (n_free,) int64, ascending; `free` is the same where the others are prescribed (B is an injection),
      else None. constrained: (n - n_free,) int64, the others.
    - B: `SparseOperator` (n, n_free) in float64. g: (n,), or (n, k) for k sets of data; may require a gradient.
    - average: (weights, value) of a mean-value constraint, else None.
    - moving: where a mean value is among the constraints and its weights require a gradient, these and the constraint
      that all others make, else None.

    Made by `dirichlet`, `periodic`, `mean_zero`, `linear`, `none`, and combined by `a & b`. Immutable.

    >>> clamp = ml.fem.AffineConstraint.dirichlet(4, torch.tensor([0, 3]), torch.tensor([1.0, 2.0]))
    >>> clamp.expand(torch.tensor([7.0, 8.0]))
    tensor([1., 7., 8., 2.])
    >>> clamp.impose(torch.zeros(4))
    tensor([1., 0., 0., 2.])
    """

    @classmethod
    def none(cls, n: int) -> AffineConstraint:
        """No constraint: u = z."""
        return cls(torch.arange(n), torch.zeros(n, dtype=torch.float64), from_number=True, is_homogeneous=True)

    @classmethod
    def dirichlet(
        cls, n: int, dofs: Int64[Tensor, " n_fixed"], values: Float[Tensor, "*values"] | float | int = 0.0
    ) -> AffineConstraint:
        """u[dofs] = values: a number, (n_fixed,), or (n_fixed, k) for k sets of data. Gradients reach `values`.

        Repeated dofs are fine where their values agree. Raises ConstraintError where they do not, ParameterError for
        a dof out of range, a wrong shape, or a value that is not finite.
        """
        _check_dofs("dofs", dofs, n)
        number = not isinstance(values, Tensor)
        data = torch.as_tensor(values, dtype=torch.float64 if number else None, device=dofs.device)
        if data.dim() == 0:
            data = data.expand(dofs.shape[0])
        if data.dim() > 2 or data.shape[0] != dofs.shape[0]:
            raise ParameterError(
                f"values have shape {tuple(data.shape)}, expected a number, ({dofs.shape[0]},) or ({dofs.shape[0]}, k)"
            )
        if not bool(torch.isfinite(data.detach()).all()):
            raise ParameterError("Dirichlet values must be finite, some are nan or inf")
        data = data if data.is_floating_point() else data.double()
        first = elimination.first_of_equal(dofs, data.detach())
        if first.shape != dofs.shape:
            dofs, data = dofs.index_select(0, first), data.index_select(0, first)
        g = data.new_zeros((n, *data.shape[1:])).index_copy(0, dofs, data)
        return cls(others(n, dofs), g, from_number=number, is_homogeneous=_is_zero(values))

    @classmethod
    def periodic(
        cls,
        n: int,
        slaves: Int64[Tensor, " n_pairs"],
        masters: Int64[Tensor, " n_pairs"],
        weights: Float[Tensor, " n_pairs"] | None = None,
    ) -> AffineConstraint:
        """u[slaves] = weights * u[masters] (weights 1 unless given; -1 for anti-periodic or flipped edge dofs).

        Chains and corners that several pairs tie together are followed to one master. Raises ConstraintError where the
        pairs contradict each other (they would force u = 0), ParameterError for weights that are zero or not finite.
        """
        _check_dofs("slaves", slaves, n)
        _check_dofs("masters", masters, n)
        if slaves.shape != masters.shape or (weights is not None and weights.shape != slaves.shape):
            raise ParameterError(f"{len(slaves)} slaves need as many masters and weights, got {len(masters)} masters")
        if weights is not None and weights.requires_grad:
            raise ParameterError("the weights require a gradient, which solutions do not follow: weights.detach().")
        root, factor = elimination.follow_pairs(n, slaves, masters, weights)
        return cls._of_rows(*elimination.rows_of_roots(root, factor), device=slaves.device)

    @classmethod
    def mean_zero(cls, weights: Float[Tensor, " n"], value: Float[Tensor, ""] | float | int = 0.0) -> AffineConstraint:
        """weights @ u = value, with weights such as `space.assemble(lambda v, x: v)` (integrals of the functions).

        Solvers use a multiplier, so that the matrix stays sparse; for a pure Neumann problem this fixes the constant.
        In `solve` gradients reach `value` and the weights, which move with the points of a mesh.
        Raises ParameterError when all weights are zero, or some are not finite.
        """
        given, weights = weights.double(), weights.detach().double()
        size = weights.abs()
        if weights.numel() == 0 or not bool(torch.isfinite(weights).all()) or float(size.amax()) == 0:
            raise ParameterError("the weights of a mean value must be finite, and some of them not zero")
        n, gone = weights.shape[0], int(size.argmax())
        independent = others(n, torch.tensor([gone], device=weights.device))
        number = not isinstance(value, Tensor)
        target = torch.as_tensor(value, dtype=torch.float64 if number else None, device=weights.device)
        unknowns = torch.arange(n - 1, device=weights.device)
        share = -weights.index_select(0, independent) / weights[gone]
        rows = SparseOperator.from_coo(
            torch.cat([independent, torch.full_like(unknowns, gone)]),
            torch.cat([unknowns, unknowns]),
            torch.cat([torch.ones_like(share), share]),
            (n, n - 1),
        )
        place = torch.tensor([gone], device=weights.device)
        g = target.new_zeros(n).index_copy(0, place, (target / weights[gone].to(target.dtype)).reshape(1))
        made = cls(independent, g, rows, (given, target), number, _is_zero(value))
        made.moving = (given, cls.none(n).to(given.device)) if given.requires_grad else None
        return made

    @classmethod
    def linear(cls, C: Any, values: Float[Tensor, " m"] | float | int = 0.0) -> AffineConstraint:
        """C u = values for a few rows C (m, n), a `SparseOperator`: multi-point and flux constraints.

        Gradients reach `values`; a C that requires one is refused. One dof per row is eliminated. Raises
        ConstraintError when rows depend on each other or contradict, naming one.
        A row with very many entries (a mean value) fills the reduced matrix: prefer `mean_zero`.
        """
        if not isinstance(C, SparseOperator):
            raise ParameterError(
                f"C is a {type(C).__name__}, expected a SparseOperator: ml.ops.SparseOperator.from_dense(C), or "
                "from_scipy(C)."
            )
        if C.values.requires_grad:
            raise ParameterError(
                "C requires a gradient, which solutions do not follow: leave it out, C.with_values(C.values.detach()). "
                "A mean value has one, AffineConstraint.mean_zero(weights)."
            )
        number = not isinstance(values, Tensor)
        data = torch.as_tensor(values, dtype=torch.float64 if number else None, device=C.device)
        data = data.expand(C.n_rows) if data.dim() == 0 else data
        if data.shape != (C.n_rows,):
            raise ParameterError(f"C has {C.n_rows} rows, values have shape {tuple(data.shape)}")
        return cls._of_elimination(C, data, number, _is_zero(values), repeats=False)

    @classmethod
    def _of_elimination(cls, C: SparseOperator, data: Tensor, number: bool, zero: bool, repeats: bool):
        rows, load, independent = elimination.eliminate(C.to_scipy(), data.detach().double().cpu().numpy(), repeats)
        made = cls._of_rows(rows, independent, device=C.device)
        lift = SparseOperator.from_scipy(load, torch.float64).to(C.device)
        made.g, made.from_number, made.is_homogeneous = (lift @ data.double()).to(data.dtype), number, zero
        return made

    @classmethod
    def _of_rows(cls, rows: Any, independent: Any, device: torch.device) -> AffineConstraint:
        operator = SparseOperator.from_scipy(rows, torch.float64).to(device)
        g = torch.zeros(operator.n_rows, dtype=torch.float64, device=device)
        return cls(torch.as_tensor(independent, device=device), g, operator, None, True, True)

    def __and__(self, other: AffineConstraint) -> AffineConstraint:
        """Both constraints at once. Raises ConstraintError where they contradict each other, naming a dof."""
        from meshlearn.fem.combination import combine

        return combine(self, other)


def _is_zero(values: Tensor | float | int) -> bool:
    """Whether data were given as the number 0; tensors may carry gradients, so they count as data."""
    return not isinstance(values, Tensor) and values == 0


def _check_dofs(name: str, dofs: Tensor, n: int) -> None:
    if dofs.dim() != 1:
        raise ParameterError(f"{name} have shape {tuple(dofs.shape)}, expected a list of dofs (n_fixed,)")
    if dofs.numel() and (int(dofs.min()) < 0 or int(dofs.max()) >= n):
        bad = int(dofs.min()) if int(dofs.min()) < 0 else int(dofs.max())
        raise ParameterError(f"{name} name the degree of freedom {bad}, but there are {n} (0 to {n - 1})")
