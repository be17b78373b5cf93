"""Meshes that are the same but for their numbering: which point and cell of one is which of the other.

Points are told apart by colours that are refined until they say no more: by the colours of their neighbours
(B. Weisfeiler and A. Leman, "The reduction of a graph to canonical form", 1968). What symmetry leaves alike is told
apart by giving one point a colour of its own and refining again (B. McKay, "Practical graph isomorphism", Congressus
Numerantium 30, 1981); of several solutions the one whose points lie most like the reference's is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh

_TRIALS, _LOOK = 64, 8


@dataclass(frozen=True)
class Renumbering:
    """Rows of a mesh in the order of the reference.

    points  (n_points,) the mesh's number of every point of the reference
    cells   (n_cells,) the mesh's global number of every cell of the reference
    """

    points: Int64[Tensor, " n"]
    cells: Int64[Tensor, " c"]


def renumbering(mesh: Mesh, reference: Mesh) -> Renumbering | None:
    """How the points and cells of `mesh` are numbered in `reference`, whatever the geometry; None if they differ.

    Nodes within a cell may be turned or reversed. Tags that both meshes have are kept where that is possible. Both
    on the CPU.
    """
    if not same_counts(mesh, reference):
        return None
    if not bool(mesh.points.isfinite().all()):
        return None
    for tags in (True, False):
        found = _Search(mesh, reference, tags).best()
        if found is not None:
            return found
    return None


def same_counts(mesh: Mesh, reference: Mesh) -> bool:
    """Do two meshes have equal numbers of points, and of cells of every kind, in one space?"""
    kinds = sorted(mesh.domain_types)
    return (
        mesh.n_points == reference.n_points
        and mesh.dim == reference.dim
        and kinds == sorted(reference.domain_types)
        and all(mesh.cells[kind].shape == reference.cells[kind].shape for kind in kinds)
    )


class _Search:
    """Both meshes side by side as one graph: points of the mesh first, then those of the reference."""

    def __init__(self, mesh: Mesh, reference: Mesh, tags: bool) -> None:
        self.mesh, self.reference, self.n = mesh, reference, mesh.n_points
        graphs = [item.topology.point_adjacency for item in (mesh, reference)]
        self.index = np.concatenate([graphs[0].index.numpy(), graphs[1].index.numpy() + self.n])
        degrees = np.concatenate([np.diff(graph.ptr.numpy()) for graph in graphs])
        self.rows = np.repeat(np.arange(2 * self.n), degrees)
        self.places = np.concatenate([_boxed(mesh), _boxed(reference)])
        first, second = _features(mesh, reference, tags), _features(reference, mesh, tags)
        self.start = _classes(np.concatenate([first, second]))
        self.trials = _TRIALS

    def best(self) -> Renumbering | None:
        """The solution with the least sum of squared distances between points in their bounding boxes."""
        best, least = None, np.inf
        for points in self._solutions(self.start):
            distance = float(((self.places[points] - self.places[self.n :]) ** 2).sum())
            if distance < least and (cells := _matched_cells(self.mesh, self.reference, points)) is not None:
                best, least = Renumbering(torch.from_numpy(points), torch.from_numpy(cells)), distance
        return best

    def _solutions(self, colours: np.ndarray) -> Iterator[np.ndarray]:
        """(n,) numbers of the mesh's points for those of the reference, likeliest first."""
        refined = self._refined(colours)
        if refined is None:
            return
        counts = np.bincount(refined[self.n :])
        if counts.max() == 1:
            order = np.argsort(refined[: self.n], kind="stable")
            yield order[refined[self.n :]]
            return
        # the smallest set of alike points, and of it the one farthest from the middle: it tells most
        several = np.flatnonzero(counts == counts[counts > 1].min())
        alike = np.flatnonzero(np.isin(refined[self.n :], several))
        chosen = self.n + alike[np.argmax(((self.places[self.n + alike] - 0.5) ** 2).sum(1).round(9))]
        others = np.flatnonzero(refined[: self.n] == refined[chosen])
        distance = ((self.places[others] - self.places[chosen]) ** 2).sum(1)
        for other in others[np.argsort(distance, kind="stable")[:_LOOK]]:
            if self.trials <= 0:
                return
            self.trials -= 1
            single = refined.copy()
            single[[other, chosen]] = refined.max() + 1
            yield from self._solutions(single)

    def _refined(self, colours: np.ndarray) -> np.ndarray | None:
        """Colours that neighbours do not refine any more; None if the two meshes have different ones."""
        count = int(colours.max()) + 1
        while True:
            if not np.array_equal(
                np.bincount(colours[: self.n], minlength=count), np.bincount(colours[self.n :], minlength=count)
            ):
                return None
            mixed = _mixed(colours.astype(np.uint64))
            total = np.zeros(2 * self.n, dtype=np.uint64)
            np.add.at(total, self.rows, mixed[self.index])
            finer = np.unique(_mixed(total) + mixed * np.uint64(3), return_inverse=True)[1].reshape(-1)
            if int(finer.max()) + 1 == count:
                return colours
            colours, count = finer, int(finer.max()) + 1


def _features(mesh: Mesh, other: Mesh, tags: bool) -> np.ndarray:
    """(n_points, k): what a point is told from others by, to begin with."""
    columns = [mesh.topology.is_boundary.numpy().astype(np.int64)]
    for kind in sorted(mesh.domain_types):
        nodes, corners = mesh.cells[kind], cell_type(kind).corners
        for part in (nodes[:, :corners], nodes[:, corners:]):
            columns.append(torch.bincount(part.reshape(-1), minlength=mesh.n_points).numpy())
    # points without cells have no neighbours: they keep their order
    unused = sum(columns[1:]) == 0
    columns.append(np.where(unused, np.cumsum(unused), 0))
    if tags:
        cell_sets, point_sets = set(mesh.cell_sets) & set(other.cell_sets), set(mesh.point_sets) & set(other.point_sets)
        for name in sorted(cell_sets | point_sets):
            column = np.zeros(mesh.n_points, dtype=np.int64)
            column[tagged_points(mesh, name).numpy()] = 1
            columns.append(column)
    return np.stack(columns, axis=1)


def _classes(rows: np.ndarray) -> np.ndarray:
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Bits of 64-bit numbers scattered (the finaliser of splitmix64), so that sums of them tell sets apart."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _boxed(mesh: Mesh) -> np.ndarray:
    points = mesh.points.detach().double().numpy()
    low, high = points.min(0), points.max(0)
    return np.asarray((points - low) / np.where(high > low, high - low, 1.0))


def _matched_cells(mesh: Mesh, reference: Mesh, points: np.ndarray) -> np.ndarray | None:
    """(n_cells,) the mesh's global number of every cell of the reference; None if the cells are not the same."""
    first, found = {}, []
    start = 0
    for kind in mesh.domain_types:
        first[kind], start = start, start + len(mesh.cells[kind])
    for kind in reference.domain_types:
        mine = np.sort(mesh.cells[kind].numpy(), axis=1)
        theirs = np.sort(points[reference.cells[kind].numpy()], axis=1)
        order, wanted = np.lexsort(mine.T), np.lexsort(theirs.T)
        if not np.array_equal(mine[order], theirs[wanted]):
            return None
        rows = np.empty(len(order), dtype=np.int64)
        rows[wanted] = order
        found.append(first[kind] + rows)
    return np.concatenate(found)
