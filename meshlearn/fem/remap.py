"""Conservative transfer of P1 fields between meshes: exact integrals over the overlaps of their cells.

The L2 projection u of a source field s solves M u = B s with M_ij = int phi_i phi_j and B_ij = int phi_i psi_j, both
over the overlaps, where products of P1 functions are integrated exactly (Farrell and Maddison 2011, "Conservative
interpolation between volume meshes by local Galerkin projection"). The integral over the common domain is kept and
constants come back; new extrema are possible. The bounded variant starts from the lumped solution, every value of which
is a mean of source values, and adds as much of the difference as leaves each value between the smallest and the largest
source value around it (flux-corrected transport, S. T. Zalesak 1979): the integral is kept as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.fem.factor import Factorization
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.overlap import overlaps
from meshlearn.mesh.reference import reference_cell
from meshlearn.ops import SparseOperator

_BLOCK = 1 << 17  # pieces at a time
_TWICE = 1e-6  # of a cell: what rounding of overlaps may add up to


class ConservativeRemap:
    """From the P1 fields of `source` to those of `target`: lines in 1-D, triangles in the plane, tetrahedra.

    covered  share of the target's measure that overlaps the source: 1 for two meshes of one domain

    Overlaps and matrices are made once, for any number of fields. Where the domains differ (curved boundaries),
    everything is meant on what they have in common: the integral over it is kept, constants come back. Raises
    TopologyError for other cells, MeshError for a mesh that lies on itself and for a target point without overlap.

    >>> source, target = ml.shapes.square(n=3).double(), ml.shapes.square(n=4).double()
    >>> from meshlearn.fem.remap import ConservativeRemap
    >>> remap = ConservativeRemap(source, target)
    >>> linear = remap(source.points[:, 0])
    >>> torch.allclose(linear, target.points[:, 0])
    True
    """

    def __init__(self, source: Mesh, target: Mesh) -> None:
        pieces = overlaps(target, source)
        _check_covered_once("target", pieces.second, pieces.measure, source)
        _check_covered_once("source", pieces.first, pieces.measure, target)
        (kind,) = target.domain_types
        places, weights = reference_cell(kind).quadrature(2)
        barycentric, shares = reference_cell(kind).shape(places).numpy(), (weights / weights.sum()).numpy()
        phi_of, psi_of = _Shapes(target), _Shapes(source)
        sums: Any = [0, 0, 0]
        for start in range(0, max(len(pieces.measure), 1), _BLOCK):
            part = slice(start, start + _BLOCK)
            points = np.einsum("qk,mkd->mqd", barycentric, pieces.corners[part])
            weight = pieces.measure[part, None] * shares
            phi, rows = phi_of(pieces.first[part], points)
            psi, columns = psi_of(pieces.second[part], points)
            sums[0] += _sum(weight, phi, rows, phi, rows, (target.n_points, target.n_points))
            sums[1] += _sum(weight, phi, rows, psi, columns, (target.n_points, source.n_points))
            sums[2] += _sum(weight, psi, columns, psi, columns, (source.n_points, source.n_points))
        self.mass, self.mixed, self._source = sums
        self.lumped = np.asarray(self.mixed.sum(1)).ravel()
        bare = int((self.lumped <= 0).sum())
        if bare:
            raise MeshError(
                f"{bare} of {target.n_points} points of the target have no cell that overlaps the source: the meshes "
                "are of different domains.\n  ml.interpolate(source, target) takes the closest values there."
            )
        self.covered = float(pieces.measure.sum() / float(target.measure().detach()))
        self._factor = Factorization(SparseOperator.from_scipy(self.mass))

    def __call__(self, values: Float[Tensor, "n *c"], bounded: bool = False) -> Float[Tensor, "m *c"]:
        """Point values on the target (m, ...) of point values on the source (n, ...), computed in float64.

        bounded  without new extrema: between the smallest and largest value of the source cells that overlap

        Differentiable in the values, unless bounded. Raises FieldError for values of another length, or that are not
        finite, ParameterError where a bounded result would need a gradient.
        """
        table = self._table(values)
        if not bounded:
            return _Projected.apply(values, self)  # type: ignore[return-value]
        if values.requires_grad and torch.is_grad_enabled():
            raise ParameterError(
                "the values require a gradient, which does not pass the limiter of a bounded remap.\n"
                "  leave `bounded` out (method='conservative'), or detach the values."
            )
        loads = self.mixed @ table
        made = self._limited(table, loads / self.lumped[:, None], self._solved(loads))
        return self._like(made, values)

    def _solved(self, loads: np.ndarray) -> np.ndarray:
        return self._factor.solve(torch.from_numpy(np.ascontiguousarray(loads)))[0].numpy()

    @staticmethod
    def _like(table: np.ndarray, values: Tensor) -> Tensor:
        out = torch.from_numpy(np.ascontiguousarray(table)).to(device=values.device, dtype=values.dtype)
        return out.reshape(len(out), *values.shape[1:])

    def integrals(self, source: Float[Tensor, "n *c"], target: Float[Tensor, "m *c"]) -> tuple[Tensor, Tensor]:
        """Integrals of a source and a target field over the common domain, (...) each, float64."""
        s = np.asarray(self.mixed.sum(0)).ravel()
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(np.asarray(w @ f.detach().cpu().double().numpy().reshape(len(f), -1))).reshape(f.shape[1:])
            for w, f in ((s, source), (self.lumped, target))
        )

    def distance(self, source: Float[Tensor, "n *c"], target: Float[Tensor, "m *c"]) -> float:
        """Exact L2 norm of the difference of a source and a target field over the common domain."""
        s, t = (f.detach().cpu().double().numpy().reshape(len(f), -1) for f in (source, target))
        square = (t * (self.mass @ t)).sum() - 2 * (t * (self.mixed @ s)).sum() + (s * (self._source @ s)).sum()
        return float(np.sqrt(max(square, 0.0)))

    def _table(self, values: Tensor) -> np.ndarray:
        n = self.mixed.shape[1]
        if values.dim() == 0 or len(values) != n:
            raise FieldError(f"values have shape {tuple(values.shape)}, expected ({n}, ...): one row per source point.")
        table = values.detach().cpu().double().numpy().reshape(n, -1)
        if not np.isfinite(table).all():
            raise FieldError(f"{int((~np.isfinite(table)).sum())} of the {table.size} values are not finite.")
        return table

    def _limited(self, source: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Zalesak's limiter of the fluxes m_ij (high_i - high_j)."""
        coarse, mass = self.mixed.tocsr(), self.mass.tocoo()
        i, j = mass.row, mass.col
        made = np.empty_like(low)
        for k in range(source.shape[1]):
            entries = source[coarse.indices, k]
            smallest = np.minimum.reduceat(entries, coarse.indptr[:-1])
            largest = np.maximum.reduceat(entries, coarse.indptr[:-1])
            flux = mass.data * (high[i, k] - high[j, k])
            flux[flux * (low[j, k] - low[i, k]) > 0] = 0.0  # none that steepen: they only make the limiter work
            up, down = (np.bincount(i, part, len(low)) for part in (np.maximum(flux, 0), np.minimum(flux, 0)))
            rise = _share(self.lumped * (largest - low[:, k]), up)
            fall = _share(self.lumped * (smallest - low[:, k]), down)
            factor = np.where(flux > 0, np.minimum(rise[i], fall[j]), np.minimum(fall[i], rise[j]))
            added = low[:, k] + np.bincount(i, factor * flux, len(low)) / self.lumped
            made[:, k] = np.clip(added, smallest, largest)  # rounding
        return made


class _Projected(torch.autograd.Function):
    """apply(values (n, ...), remap) -> (m, ...): M^-1 B values, and B^T M^-1 back; M is symmetric."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, remap: ConservativeRemap) -> Tensor:
        ctx.remap = remap
        table = values.detach().cpu().double().numpy().reshape(len(values), -1)
        return remap._like(remap._solved(remap.mixed @ table), values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        table = gradient.detach().cpu().double().numpy().reshape(len(gradient), -1)
        return ctx.remap._like(ctx.remap.mixed.T @ ctx.remap._solved(table), gradient), None


def _check_covered_once(role: str, cell: np.ndarray, measure: np.ndarray, other: Mesh) -> None:
    """Raises MeshError where pieces (cell of the other mesh, measure) add up to more than that cell."""
    whole = other.join_cells(other.cell_measures()).detach().abs().cpu().double().numpy()
    covered = np.bincount(cell, measure, minlength=len(whole))
    twice = int((covered > whole * (1 + _TWICE) + _TWICE * whole.mean()).sum())
    if twice:
        raise MeshError(
            f"cells of the {role} lie on each other: they cover {twice} cells of the other mesh more than once.\n"
            "  A mesh that folds over itself (n_inverted() > 0) has to be untangled or made anew."
        )


def _share(room: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    safe = np.where(wanted == 0, 1.0, wanted)
    return np.where(wanted == 0, 1.0, np.clip(room / safe, 0.0, 1.0))


class _Shapes:
    """Shape functions of the cells of a mesh of simplices."""

    def __init__(self, mesh: Mesh) -> None:
        (kind,) = mesh.domain_types
        self.nodes = mesh.cells[kind].cpu().numpy()
        x = mesh.points.detach().cpu().double().numpy()[self.nodes]
        self.origin, self.inverse = x[:, :1], np.linalg.inv(x[:, 1:] - x[:, :1])

    def __call__(self, cell: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((m, q, dim + 1) values in the cells (m,) at the points (m, q, dim), (m, dim + 1) nodes)."""
        local = (points - self.origin[cell]) @ self.inverse[cell]
        return np.concatenate([1 - local.sum(2, keepdims=True), local], 2), self.nodes[cell]


def _sum(w: np.ndarray, f: np.ndarray, rows: np.ndarray, g: np.ndarray, columns: np.ndarray, shape: Any) -> Any:
    from scipy.sparse import coo_array

    values = (w[..., None] * f).transpose(0, 2, 1) @ g
    a = np.broadcast_to(rows[:, :, None], values.shape).reshape(-1)
    b = np.broadcast_to(columns[:, None, :], values.shape).reshape(-1)
    made = coo_array((values.reshape(-1), (a, b)), shape=shape).tocsr()
    made.sum_duplicates()
    return made
