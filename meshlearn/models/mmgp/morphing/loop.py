"""A boundary loop of a planar mesh as a curve: arc length, turning angles, and the tags of its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshlearn.mesh.cells import cell_dim, cell_type
from meshlearn.mesh.mesh import Mesh

# any fixed direction that no edge of a real mesh is at right angles to
_DIRECTION = np.array([np.cos(3.9), np.sin(3.9)])


@dataclass(frozen=True, eq=False)
class Loop:
    """k points around a loop, counter-clockwise, the first not repeated; mid-side nodes are in between.

    Places and arc length are measured after an affine normalisation, so that they are the same for stretched copies.

    Starts at the point farthest in a fixed direction, so that it does not depend on the numbering of the mesh.

    nodes   (k,) int64 point numbers
    points  (k, 2) float64
    corner  (k,) bool, False for mid-side nodes
    tags    names of the boundary tags that `tagged` knows
    tagged  (k, n_tags) bool: is the piece from point i to point i + 1 in the tag?
    """

    nodes: np.ndarray
    points: np.ndarray
    corner: np.ndarray
    tags: tuple[str, ...]
    tagged: np.ndarray

    @cached_property
    def chords(self) -> np.ndarray:
        """(k, 2): from each point to the next."""
        return np.roll(self.points, -1, axis=0) - self.points

    @cached_property
    def centre(self) -> np.ndarray:
        """(2,): centre of gravity of the enclosed area."""
        return self.points[0] + self._moments[1]

    @cached_property
    def placed(self) -> np.ndarray:
        """(k, 2): points relative to the centre, stretched until the enclosed area has the moments of the unit disc's.

        Affine images of a loop differ here by a rotation at most, and by none where a circle is stretched.
        """
        _, middle, second = self._moments
        values, vectors = np.linalg.eigh(second)
        disc = 0.25  # second moment of the unit disc over its area
        stretch = (vectors * np.sqrt(disc / np.maximum(values, 1e-300))) @ vectors.T
        return (self.points - self.points[0] - middle) @ stretch

    @cached_property
    def _moments(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Area, centre relative to the first point, and (2, 2) second moments about the centre over the area."""
        a = self.points - self.points[0]
        b = np.roll(a, -1, axis=0)
        double = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
        area = 0.5 * double.sum()
        middle = (double[:, None] * (a + b)).sum(0) / (6 * area)
        total = a + b
        square = np.einsum("n,ni,nj->ij", double, a, a) + np.einsum("n,ni,nj->ij", double, b, b)
        square += np.einsum("n,ni,nj->ij", double, total, total)
        return float(area), middle, square / (24 * area) - np.outer(middle, middle)

    @cached_property
    def steps(self) -> np.ndarray:
        """(k, 2): from each point to the next, as in `placed`."""
        return np.roll(self.placed, -1, axis=0) - self.placed

    @cached_property
    def fraction(self) -> np.ndarray:
        """(k,) in [0, 1): arc length from the first point over that of the loop, measured as in `placed`."""
        along = np.cumsum(np.linalg.norm(self.steps, axis=1))
        return np.concatenate([[0.0], along[:-1]]) / along[-1]

    @cached_property
    def turning(self) -> np.ndarray:
        """(k,) in (-pi, pi]: angle by which the loop turns left at each point; they add up to 2 pi."""
        ahead = self.chords
        back = np.roll(ahead, 1, axis=0)
        cross = back[:, 0] * ahead[:, 1] - back[:, 1] * ahead[:, 0]
        return np.arctan2(cross, (back * ahead).sum(1))

    @property
    def area(self) -> float:
        """Enclosed area, positive."""
        return self._moments[0]

    def at(self, fraction: np.ndarray) -> np.ndarray:
        """(n, 2): points of the curve at fractions of its length; any real numbers, with period 1."""
        knots = np.append(self.fraction, 1.0)
        closed = np.concatenate([self.points, self.points[:1]])
        t = np.mod(fraction, 1.0)
        return np.stack([np.interp(t, knots, closed[:, axis]) for axis in range(2)], axis=1)


def planar_loops(mesh: Mesh, tags: Sequence[str] = ()) -> list[Loop]:
    """Boundary loops of a planar mesh (float64, CPU, consistently oriented), the one that encloses most first.

    All run counter-clockwise, also around holes.
    """
    corner = np.zeros(mesh.n_points, dtype=bool)
    for kind in mesh.domain_types:
        corner[mesh.cells[kind][:, : cell_type(kind).corners].numpy()] = True
    keys = [_tag_keys(mesh, tag) for tag in tags]
    points = mesh.points.numpy()
    loops = [_loop(found.numpy(), points, corner, tuple(tags), keys) for found in mesh.topology.boundary_loops]
    return sorted(loops, key=lambda loop: loop.area, reverse=True)


def _loop(nodes: np.ndarray, points: np.ndarray, corner: np.ndarray, tags: tuple[str, ...], keys: list) -> Loop:
    x, y = points[nodes].T
    if (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() < 0:
        nodes = nodes[::-1]
    ends = np.flatnonzero(corner[nodes])
    start = ends[np.argmax(points[nodes[ends]] @ _DIRECTION)]
    nodes = np.roll(nodes, -start)
    is_corner = corner[nodes]
    # pieces of one edge share its tags: number of the corner that each point follows
    edge = np.cumsum(is_corner) - 1
    ends = nodes[is_corner]
    edge_keys = _keys(ends, np.roll(ends, -1), len(points))
    tagged = np.stack([np.isin(edge_keys, known) for known in keys], axis=1) if keys else np.zeros((len(ends), 0), bool)
    return Loop(nodes, points[nodes], is_corner, tags, tagged[edge])


def common_tags(mesh: Mesh, reference: Mesh) -> list[str]:
    """Names of the cell sets of facets that both meshes have, sorted."""
    return sorted(_facet_tags(mesh) & _facet_tags(reference))


def _facet_tags(mesh: Mesh) -> set[str]:
    dim = mesh.cell_dim - 1
    return {
        name
        for name, per_type in mesh.cell_sets.items()
        if any(cell_dim(kind) == dim and len(rows) for kind, rows in per_type.items())
    }


def _tag_keys(mesh: Mesh, tag: str) -> np.ndarray:
    lines = [mesh.cells[kind][rows][:, :2].numpy() for kind, rows in mesh.cell_sets[tag].items() if cell_dim(kind) == 1]
    ends = np.concatenate(lines) if lines else np.zeros((0, 2), np.int64)
    return _keys(ends[:, 0], ends[:, 1], mesh.n_points)


def _keys(a: np.ndarray, b: np.ndarray, n_points: int) -> np.ndarray:
    return np.minimum(a, b) * n_points + np.maximum(a, b)
