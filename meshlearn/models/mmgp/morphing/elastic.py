"""The mesh as an elastic body that is pulled onto the reference's skin and slides along it.

After A. Kabalan, F. Casenave, F. Bordeu, V. Ehrlacher, A. Ern, "Elasticity-based morphing technique and application to
reduced-order modeling" (arXiv 2407.02433), with other steps: see `ElasticMorpher`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, ParameterError, TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.loop import common_tags
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher, check_flag, is_positive, landmark_point, plain
from meshlearn.models.mmgp.morphing.pull import Pull, loop_tags
from meshlearn.models.mmgp.morphing.skin import skin_of, skin_tags, with_labels
from meshlearn.models.mmgp.morphing.stiffness import stiffness
from meshlearn.models.mmgp.morphing.topology import check_same_topology, signature
from meshlearn.models.mmgp.morphing.validity import assess, worst_jacobians

_PENALTY, _COVER = 1e4, 1e2
_DIRECT = 40_000
_LEAST_STEP = 1 / 256
_KEPT = 0.6
_NEAR = 0.02


class ElasticMorpher(Morpher):
    """Plates and solids, without any parametrisation of the boundary: every mesh takes the shape of the reference.

    landmarks   names of point sets of one point each: points that correspond, on the skin or inside
    tolerance   largest distance from the reference's skin at the end, relative to its bounding box
    iterations  most elastic solves
    tags        use the boundary tags that a mesh shares with the reference
    strict      raise an error if the skin is not reached; otherwise return how far it came

    Each iteration pulls every point of the skin towards the closest point of the reference's skin with the same tags
    (of its bounding box moved there), across the skin only, so that points slide along it; edges and corners where
    tags meet stay edges and corners. Plates have their loops and corners matched as well; elsewhere, what is left of
    the reference's skin beyond a quarter of an edge pulls back. The body resists with linear elasticity on the shape
    it has, small cells most (`stiffness`). Steps are halved until every cell keeps more than half of its size, so
    that no cell turns over; points that go back and forth near the end do not slide any more. Holes that must pass by
    their own size several times over may stall.

    Raises TopologyError for surfaces in 3-D: use "rbf".

    >>> square = ml.shapes.square(n=4)
    >>> morph = ElasticMorpher(square).morph(ml.shapes.rectangle(2.0, 1.0, n=(5, 4)))
    >>> bool((morph.points.amax(0) - 1).abs().max() < 1e-4), morph.flipped
    (True, 0)
    """

    name: ClassVar[str] = "elastic"

    def __init__(
        self,
        reference: Mesh,
        landmarks: Sequence[str] | None = None,
        tolerance: Any = 1e-4,
        iterations: Any = 100,
        tags: Any = True,
        strict: Any = True,
    ) -> None:
        if not is_positive(tolerance) or not is_positive(iterations):
            raise ParameterError(f"tolerance={tolerance!r}, iterations={iterations!r}: expected positive numbers.")
        check_flag("tags", tags)
        check_flag("strict", strict)
        super().__init__(reference, landmarks)
        if self.reference.cell_dim < self.reference.dim:
            raise TopologyError(
                'morphing="elastic" moves plates and solids, not surfaces or curves in space'
                f'{of_mesh(reference.source)}.\n  use "rbf".'
            )
        self.tolerance, self.iterations, self.tags, self.strict = tolerance, iterations, tags, strict
        self._signature = signature(self.reference)
        self._oriented = self.reference.oriented()
        self.common = self.reference

    def morph(self, mesh: Mesh) -> Morph:
        """Positions on the reference's shape.

        Raises TopologyError for another topology than the reference's, ConvergenceError if the skin is not reached.
        """
        mesh = plain(mesh)
        check_same_topology(mesh, self._signature, f"morphing={self.name!r}")
        oriented = mesh.oriented()
        pull = self._pull(oriented)
        points, history = self._run(oriented, pull)
        morph = assess(mesh, points)
        if self.strict and (history[-1] > self.tolerance or morph.flipped):
            raise ConvergenceError(
                f'morphing="elastic" came to {history[-1]:.2g} of the size of the reference from its skin, not to '
                f"{self.tolerance:.2g}, in {len(history) - 1} steps; {morph.flipped} cells are turned over"
                f"{of_mesh(mesh.source)}.\n"
                '  tag or landmark what corresponds, take more iterations, use "rbf", or accept it: '
                'morphing_options={"strict": False}.',
                history,
            )
        return morph

    def _pull(self, mesh: Mesh) -> Pull:
        tags = skin_tags(mesh, self._oriented) if self.tags else []
        skin, other = skin_of(mesh, tags), skin_of(self._oriented, tags)
        fixed: dict[int, Tensor] = {}
        if mesh.dim == 2:
            mine, theirs, fixed = loop_tags(
                mesh, self._oriented, common_tags(mesh, self._oriented) if self.tags else []
            )
            skin, other = with_labels(skin, mine), with_labels(other, theirs)
        for name in self.landmarks:
            fixed[landmark_point(mesh, name)] = self._oriented.points[landmark_point(self._oriented, name)]
        return Pull(skin, other, fixed)

    def _run(self, mesh: Mesh, pull: Pull) -> tuple[Tensor, list[float]]:
        """Points, and the distance from the skin before each step and at the end, relative to the reference."""
        points = _in_box(mesh, self._oriented)
        size = float((self._oriented.points.amax(0) - self._oriented.points.amin(0)).max())
        history = [pull.distance(points) / size]
        while history[-1] > self.tolerance and len(history) <= self.iterations:
            change = self._solve(mesh, points, pull, slide=history[-1] > _NEAR or not _stalls(history, 5))
            step = _allowed_step(mesh, points, change)
            if step == 0.0 or _stalls(history, 25):
                break
            points = points + step * change
            history.append(pull.distance(points) / size)
        return points, history

    def _solve(self, mesh: Mesh, points: Tensor, pull: Pull, slide: bool) -> Tensor:
        from scipy.sparse import bsr_matrix, identity, kron

        n, dim = points.shape
        matrix = stiffness(mesh, points)
        scale = float(matrix.diagonal().mean())
        nodes, goals, across = pull.targets(points)
        if not slide:
            across = torch.eye(dim, dtype=points.dtype).expand_as(across).contiguous()
        way = torch.einsum("mij,mj->mi", across, goals - points[nodes])
        blocks = torch.zeros(n, dim, dim, dtype=points.dtype).index_add_(0, nodes, across)
        pulled = bsr_matrix((blocks.numpy(), np.arange(n), np.arange(n + 1)), (n * dim, n * dim)).tocsr()
        force = torch.zeros_like(points).index_add_(0, nodes, way).numpy().reshape(-1) * scale * _PENALTY
        matrix = matrix + scale * (_PENALTY * pulled + 1e-9 * identity(n * dim))
        weights, left = pull.uncovered(points)
        if weights.shape[0]:
            unit = left / left.norm(dim=1, keepdim=True)
            rows = kron(weights, np.ones((1, dim))).tocsr()
            rows.data *= np.repeat(unit.numpy(), np.diff(weights.indptr), axis=0).reshape(-1)
            matrix = matrix + scale * _COVER * (rows.T @ rows)
            force = force + scale * _COVER * (rows.T @ left.norm(dim=1).numpy())
        return torch.from_numpy(_solved(matrix.tocsc(), force)).reshape(n, dim)


def _solved(matrix, force: np.ndarray) -> np.ndarray:
    from scipy.sparse import diags
    from scipy.sparse.linalg import cg, splu

    if matrix.shape[0] <= _DIRECT:
        options = {"SymmetricMode": True}
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve(force)
    solution, _ = cg(matrix, force, rtol=1e-4, maxiter=2000, M=diags(1 / matrix.diagonal()))
    return solution  # an unfinished solve is still a direction: steps are checked, and so is the end


def _allowed_step(mesh: Mesh, points: Tensor, change: Tensor) -> float:
    """The largest of 1, 1/2, 1/4 … that leaves every cell six tenths of its size; 0 if there is none."""
    before = mesh.replace(points=points)
    old = worst_jacobians(before, points)
    step = 1.0
    while step >= _LEAST_STEP:
        new = worst_jacobians(mesh, points + step * change)
        if bool((new > _KEPT * old.clamp_min(0)).all()):
            return step
        step *= 0.5
    return 0.0


def _stalls(history: list[float], window: int) -> bool:
    """Has the distance not become a third smaller within so many steps?"""
    return len(history) > window and min(history[-window:]) > 0.67 * history[-window - 1]


def _in_box(mesh: Mesh, reference: Mesh) -> Tensor:
    """Points of the mesh with its bounding box moved and scaled to the reference's."""
    low, high = mesh.bounding_box()
    low_there, high_there = reference.bounding_box()
    return low_there + (mesh.points - low) * ((high_there - low_there) / (high - low))
