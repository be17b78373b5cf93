"""Matrices of P1 elements on simplices, from exact formulas: everything that a potential on a mesh needs.

With lambda_a the shape functions, g_a their constant gradients on a cell K and d the dimension,
    int_K lambda_a lambda_b = |K| (1 + delta_ab) / ((d + 1) (d + 2)),
    int_K lambda_a d_i lambda_b = |K| g_b,i / (d + 1).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from meshlearn.mesh.mesh import Mesh


class Elements:
    """P1 elements on a mesh of simplices: arrays in float64, matrices as scipy csr.

    cells      (n_cells, dim + 1) nodes
    volume     (n_cells,) measures
    gradients  (n_cells, dim + 1, dim) of the shape functions
    lumped     (n,) integrals of the shape functions
    """

    def __init__(self, mesh: Mesh) -> None:
        (kind,) = mesh.domain_types
        self.mesh, self.dim, self.n = mesh, mesh.dim, mesh.n_points
        self.points = mesh.points.detach().cpu().double().numpy()
        self.cells = mesh.cells[kind].cpu().numpy()
        corners = self.points[self.cells]
        edges = corners[:, 1:] - corners[:, :1]
        self.volume = np.abs(np.linalg.det(edges)) / math.factorial(self.dim)
        inner = np.linalg.inv(edges).transpose(0, 2, 1)  # rows: gradients of the last dim shape functions
        self.gradients = np.concatenate([-inner.sum(1, keepdims=True), inner], 1)

    @cached_property
    def lumped(self) -> np.ndarray:
        shares = np.repeat(self.volume / (self.dim + 1), self.dim + 1)
        return np.bincount(self.cells.reshape(-1), shares, minlength=self.n)

    @cached_property
    def mass(self) -> Any:
        """(n, n): int u v."""
        local = (1 + np.eye(self.dim + 1)) / ((self.dim + 1) * (self.dim + 2))
        return self._assembled(self.volume[:, None, None] * local)

    @cached_property
    def stiffness(self) -> Any:
        """(n, n): int grad(u) . grad(v)."""
        return self._assembled(np.einsum("c,cai,cbi->cab", self.volume, self.gradients, self.gradients))

    @cached_property
    def slopes(self) -> list[Any]:
        """For every axis (n, n): int v d_i u."""
        share = self.volume / (self.dim + 1)
        shape = (len(self.cells), self.dim + 1, self.dim + 1)
        rows = (share[:, None, None] * self.gradients).transpose(2, 0, 1)  # (dim, cells, b)
        return [self._assembled(np.broadcast_to(row[:, None], shape)) for row in rows]

    @cached_property
    def recovery(self) -> list[list[Any]]:
        """Matrices G (n, n) with mass H_ij = G_ij phi: - int d_j v d_i phi + int_boundary v n_j (slope along it)_i."""
        d = range(self.dim)
        g = self.gradients
        inside = [[np.einsum("c,ca,cb->cab", -self.volume, g[..., j], g[..., i]) for j in d] for i in d]
        made = [[self._assembled(local) for local in row] for row in inside]
        if self.dim > 1:
            owner, nodes, normal, share = self._boundary()
            g = g[owner]
            along = g - np.einsum("fi,fk,fbk->fbi", normal, normal, g)
            for i in d:
                for j in d:
                    local = (share * normal[:, j])[:, None, None] * along[:, None, :, i]
                    shape = (len(owner), self.dim, self.dim + 1)
                    made[i][j] = made[i][j] + self._sum(np.broadcast_to(local, shape), nodes, self.cells[owner])
        return made

    def _boundary(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of every boundary facet: its cell, its nodes, its outward normal, its measure over its number of nodes."""
        (block,) = self.mesh.topology.facets.values()
        outer = block.boundary.cpu().numpy()
        nodes, owner = block.nodes.cpu().numpy()[outer], block.cells.cpu().numpy()[outer, 0]
        vectors = area_vectors(self.points, nodes)
        inward = self.points[self.cells[owner]].mean(1) - self.points[nodes].mean(1)
        vectors *= -np.sign((vectors * inward).sum(1, keepdims=True))  # cells may all be numbered the other way round
        measure = np.linalg.norm(vectors, axis=1)
        return owner, nodes, vectors / measure[:, None], measure / self.dim

    def _assembled(self, local: np.ndarray) -> Any:
        return self._sum(local, self.cells, self.cells)

    def _sum(self, local: np.ndarray, test: np.ndarray, trial: np.ndarray) -> Any:
        from scipy.sparse import coo_array

        rows = np.broadcast_to(test[:, :, None], local.shape).reshape(-1)
        columns = np.broadcast_to(trial[:, None, :], local.shape).reshape(-1)
        return coo_array((local.reshape(-1), (rows, columns)), shape=(self.n, self.n)).tocsr()


def area_vectors(points: np.ndarray, facets: np.ndarray) -> np.ndarray:
    """(m, dim): normals of lines or triangles times their measure, outward if the cells are positively oriented."""
    x = points[facets]
    if points.shape[1] == 2:
        along = x[:, 1] - x[:, 0]
        return np.stack([along[:, 1], -along[:, 0]], 1)
    return np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) / 2


def interleaved(matrices: list[Any]) -> Any:
    """Rows of k matrices (n, m) in turns: (n * k, m), as (n, k) fields are laid out."""
    from scipy.sparse import csr_array, vstack

    n, k = matrices[0].shape[0], len(matrices)
    order = (np.arange(k)[None] * n + np.arange(n)[:, None]).reshape(-1)
    return csr_array(vstack([csr_array(m) for m in matrices]).tocsr()[order])
