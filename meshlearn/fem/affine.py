"""Affine maps u = B z + g from the unknowns that are left to all degrees of freedom."""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.fem.galerkin import GalerkinProduct, check_size
from meshlearn.fem.submatrix import Submatrix
from meshlearn.ops import Adjacency, SparseOperator

Map = TypeVar("Map", bound="AffineMap")


class AffineMap:
    """All u of the form B z + g: n degrees of freedom u, n_free unknowns z, each of them one of the degrees of freedom.

    independent  (n_free,) int64 ascending: z_j = u[independent[j]]
    g            (n,), or (n, k) for k sets of data; may require a gradient
    rows         B (n, n_free) in float64; None where all other dofs are prescribed, so that B is an injection
    average      (weights, value) of a mean-value constraint, else None
    moving       (weights, other) of a mean value whose weights require a gradient, beside another map; else None
    from_number, is_homogeneous  whether g was given as a number (which has no dtype), and as 0
    """

    def __init__(
        self,
        independent: Int64[Tensor, " n_free"],
        g: Float[Tensor, "n *columns"],
        rows: SparseOperator | None = None,
        average: tuple[Float[Tensor, " n"], Float[Tensor, ""]] | None = None,
        from_number: bool = False,
        is_homogeneous: bool = False,
    ):
        self.independent, self.g, self._rows, self.average = independent, g, rows, average
        self.from_number, self.is_homogeneous = from_number, is_homogeneous
        self.n, self.n_free = g.shape[0], independent.shape[0]
        self.is_identity = self.n == self.n_free
        self.moving: tuple[Float[Tensor, " n"], Any] | None = None
        self._reductions: weakref.WeakKeyDictionary[Adjacency, Any] = weakref.WeakKeyDictionary()

    @property
    def free(self) -> Int64[Tensor, " n_free"] | None:
        """(n_free,) the unknowns' dofs where all others are prescribed, else None."""
        return self.independent if self._rows is None else None

    @property
    def constrained(self) -> Int64[Tensor, " n_constrained"]:
        """(n - n_free,) int64: dofs that are not unknowns."""
        return others(self.n, self.independent)

    @property
    def B(self) -> SparseOperator:
        """(n, n_free) float64."""
        if self._rows is not None:
            return self._rows
        unknowns = torch.arange(self.n_free, device=self.independent.device)
        ones = torch.ones(self.n_free, dtype=torch.float64, device=unknowns.device)
        return SparseOperator.from_coo(self.independent, unknowns, ones, (self.n, self.n_free))

    def expand(self, z: Float[Tensor, "n_free *columns"]) -> Float[Tensor, "n *columns_out"]:
        """B z + g: (n_free,) -> (n,) or (n_free, k) -> (n, k). Prescribed dofs equal g to the last bit.

        In the common dtype of z and g; data given as a number take the dtype of z.
        """
        self._check_rows("z", z, self.n_free)
        if self.is_identity:
            return z
        z, g = self._alike(z)
        if self._rows is None:
            return g.index_copy(0, self.independent, z)
        return self._rows.to(z.dtype) @ z + g

    def restrict(self, r: Float[Tensor, "n *columns"]) -> Float[Tensor, "n_free *columns"]:
        """B^T r: residuals and right-hand sides of the unknowns."""
        self._check_rows("r", r, self.n)
        if self.is_identity:
            return r
        return ops.gather(r, self.independent) if self._rows is None else self._rows.to(r.dtype).T @ r

    def impose(self, u: Float[Tensor, "n *columns"]) -> Float[Tensor, "n *columns_out"]:
        """u with the constrained dofs overwritten: exact boundary values for networks.

        Gradients: exactly 0 for what is overwritten by data, the identity for g.
        """
        self._check_rows("u", u, self.n)
        return u if self.is_identity else self.expand(ops.gather(u, self.independent))

    def reduce(self, A: SparseOperator) -> SparseOperator:
        """B^T A B (n_free, n_free), differentiable in A.values; what depends on A's pattern only is kept with it."""
        if A.shape != (self.n, self.n):
            raise ParameterError(f"{self} cannot reduce {A}: expected ({self.n}, {self.n})")
        if self.is_identity:
            return A
        found = self._reductions.get(A.adjacency)
        if found is None:
            if self._rows is None:
                found = Submatrix(A.adjacency, self.independent, self.independent)
            else:
                check_size(A.adjacency, self._rows)
                found = GalerkinProduct(A.adjacency, self._rows)
            self._reductions[A.adjacency] = found
        return found(A)

    def homogeneous(self: Map) -> Map:
        """The same B with g = 0: the space of differences of two admissible u."""
        if self.is_homogeneous:
            return self
        g = torch.zeros(self.n, dtype=torch.float64, device=self.g.device)
        average = None if self.average is None else (self.average[0], torch.zeros_like(self.average[1]))
        made = type(self)(self.independent, g, self._rows, average, True, True)
        made._reductions, made.moving = self._reductions, self.moving
        return made

    def to(self: Map, target: torch.device | str | torch.dtype) -> Map:
        """On another device, or with data of another dtype."""
        if isinstance(target, torch.dtype):
            made = type(self)(self.independent, self.g.to(target), self._rows, self.average, False, self.is_homogeneous)
            made._reductions, made.moving = self._reductions, self.moving
            return made
        average = None if self.average is None else (self.average[0].to(target), self.average[1].to(target))
        rows = None if self._rows is None else self._rows.to(target)
        made = type(self)(
            self.independent.to(target), self.g.to(target), rows, average, self.from_number, self.is_homogeneous
        )
        if self.moving is not None:
            made.moving = self.moving[0].to(target), self.moving[1].to(target)
        return made

    def _alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z and g in one dtype and with the same number of columns."""
        dtype = z.dtype if self.from_number else torch.promote_types(z.dtype, self.g.dtype)
        z, g = z.to(dtype), self.g.to(dtype)
        if z.dim() == 1 and g.dim() == 2:
            z = z.unsqueeze(1).expand(-1, g.shape[1])
        elif g.dim() == 1 and z.dim() > 1:
            g = g.reshape(-1, *[1] * (z.dim() - 1)).expand(-1, *z.shape[1:])
        if z.shape[1:] != g.shape[1:]:
            raise ParameterError(f"z has {tuple(z.shape[1:])} columns, the constraint's data {tuple(g.shape[1:])}")
        return z, g

    def _check_rows(self, name: str, x: Tensor, n: int) -> None:
        if x.dim() == 0 or x.shape[0] != n:
            raise ParameterError(f"{name} has shape {tuple(x.shape)}, {self} expects ({n}, ...)")

    def __repr__(self) -> str:
        kind = "injection" if self._rows is None else "mean value" if self.average is not None else "linear"
        return f"{type(self).__name__}(n={self.n}, n_free={self.n_free}, {kind})"


def others(n: int, dofs: Tensor) -> Tensor:
    """The degrees of freedom that are not among some, ascending."""
    rest = torch.ones(n, dtype=torch.bool, device=dofs.device)
    rest[dofs] = False
    return torch.nonzero(rest).squeeze(1)
