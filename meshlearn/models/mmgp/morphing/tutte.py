"""Plates without holes to the unit disc, plates with one hole to a ring: boundary first, inner points as means.

W. Tutte, "How to draw a graph", Proc. London Math. Soc. 13 (1963); M. Floater, "Parametrization and smooth
approximation of surface triangulations", Computer Aided Geometric Design 14 (1997), and "Mean value coordinates",
ibid. 20 (2003). Casenave, Staber and Roynard (arXiv 2305.12871) use uniform weights and arc length from the
lexicographically first point; here weights are mean values, and the boundary is anchored at tags and corners, so that
the result depends neither on the numbering nor on which corner comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from meshlearn.errors import ParameterError, TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.correspondence import corresponding_fractions
from meshlearn.models.mmgp.morphing.loop import Loop, common_tags, planar_loops
from meshlearn.models.mmgp.morphing.means import MeanMap, fill_middles
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher, check_flag, landmark_point, plain
from meshlearn.models.mmgp.morphing.repair import repaired
from meshlearn.models.mmgp.morphing.ring import RingMap, face_weights
from meshlearn.models.mmgp.morphing.topology import check_same_topology, signature
from meshlearn.models.mmgp.morphing.validity import assess
from meshlearn.models.mmgp.morphing.weights import WEIGHTS, neighbour_weights


class TutteMorpher(Morpher):
    """Planar meshes of disc or ring topology; any triangles and quads, of first or second order, mixed.

    landmarks  names of point sets of one boundary point each, which all meshes have
    weights    "mean_value", "uniform" or "cotangent": see `neighbour_weights`
    tags       use the ends of boundary tags (cell sets of lines that a mesh shares with the reference) as anchors

    Anchors (landmarks, ends of tagged parts, the reference's corners) go to the reference's angles on the circle, the
    rest by arc length. A circle is strictly convex and the weights are positive, so no cell is inverted on
    triangles, and quads become convex where the mesh is 3-connected (Tutte 1963); `Morph.flipped` checks it. Angles of
    the reference are its arc length, turned so that the disc lies as the reference does.

    Second-order cells become straight. Plates with a hole: see `ring.RingMap`.

    Raises TopologyError for surfaces, solids and plates with two holes or more.

    >>> morph = TutteMorpher(ml.shapes.square(n=4)).morph(ml.shapes.l_shape(n=3))
    >>> morph.flipped, bool(morph.points.norm(dim=1).max() <= 1 + 1e-12)
    (0, True)
    """

    name: ClassVar[str] = "tutte"

    def __init__(
        self,
        reference: Mesh,
        landmarks: Sequence[str] | None = None,
        weights: str = "mean_value",
        tags: Any = True,
    ) -> None:
        if weights not in WEIGHTS:
            raise ParameterError(f"weights={weights!r}: expected one of {', '.join(map(repr, WEIGHTS))}.")
        check_flag("tags", tags)
        _refuse_space(reference)
        super().__init__(reference, landmarks)
        self.weights, self.tags = weights, tags
        self._signature = signature(self.reference)
        if not self._signature.is_plate or self._signature.boundary_loops > 2:
            raise TopologyError(
                f'morphing="tutte" maps plates with one hole or none; the reference is {self._signature}'
                f'{of_mesh(reference.source)}.\n  use "rbf" or "elastic".'
            )
        self._oriented = self.reference.oriented()
        loops = planar_loops(self._oriented)
        for landmark in self.landmarks:
            if not any(landmark_point(self.reference, landmark) in loop.nodes for loop in loops):
                raise TopologyError(
                    f'landmark {landmark!r} is not on the boundary{of_mesh(reference.source)}: morphing="tutte" uses '
                    'points of the boundary only.\n  use "rbf" or "elastic".'
                )
        self._turn = _natural_turn(loops[0])
        self._ring = RingMap(loops) if len(loops) == 2 else None
        self.common = self.reference.replace(points=self._mapped(self.reference))

    def morph(self, mesh: Mesh) -> Morph:
        """Positions in the unit disc, or in the ring between the unit circle and a smaller one.

        Raises TopologyError for another topology than the reference's, and for tags in another order.
        """
        _refuse_space(mesh)
        mesh = plain(mesh)
        check_same_topology(mesh, self.reference, f"morphing={self.name!r}")
        return assess(mesh, self._mapped(mesh))

    def _mapped(self, mesh: Mesh) -> torch.Tensor:
        mesh = mesh.oriented()
        tags = common_tags(mesh, self.reference) if self.tags else []
        loops, others = planar_loops(mesh, tags), planar_loops(self._oriented, tags)
        weights = neighbour_weights(mesh, self.weights)
        angles, anchored = [], False
        for loop, other in zip(loops, others, strict=True):
            pairs = self._landmark_pairs(mesh, loop, other)
            fractions = corresponding_fractions(loop, other, pairs, of_mesh(mesh.source))
            angles.append(2 * np.pi * (fractions + self._turn))
            anchored = RingMap.is_anchored(other, pairs)
        fixed = np.zeros(mesh.n_points, dtype=bool)
        for loop in loops:
            fixed[loop.nodes] = True
        if self._ring is None:
            positions = np.zeros((mesh.n_points, 2))
            positions[loops[0].nodes] = np.stack([np.cos(angles[0]), np.sin(angles[0])], axis=1)
            return torch.from_numpy(fill_middles(mesh, MeanMap(weights, fixed).solve(positions)))
        closed = weights + face_weights(loops[1], mesh.n_points) if self.weights == "mean_value" else weights
        positions = self._ring.positions(closed, loops, angles, anchored)
        return torch.from_numpy(repaired(mesh, positions, weights, fixed))

    def _landmark_pairs(self, mesh: Mesh, loop: Loop, other: Loop) -> list[tuple[int, int]]:
        pairs = []
        for name in self.landmarks:
            there = np.flatnonzero(other.nodes == landmark_point(self.reference, name))
            here = np.flatnonzero(loop.nodes == landmark_point(mesh, name))
            if len(there) != len(here):
                raise TopologyError(
                    f"landmark {name!r} is not on the same part of the boundary as on the reference"
                    f"{of_mesh(mesh.source)}."
                )
            if len(there):
                pairs.append((int(there[0]), int(here[0])))
        return pairs


def _natural_turn(loop: Loop) -> float:
    """Fraction of a turn that lays the unit circle, run through by arc length, best over the loop."""
    z = loop.placed @ np.array([1, 1j])
    step = np.abs(np.roll(z, -1) - z)
    weight = 0.5 * (step + np.roll(step, 1))
    return float(np.angle((weight * z * np.exp(-2j * np.pi * loop.fraction)).sum()) / (2 * np.pi))


def _refuse_space(mesh: Mesh) -> None:
    if mesh.dim != 2 or mesh.cell_dim != 2:
        flat = mesh.dim == 3 and mesh.cell_dim == 2 and not bool((mesh.points[:, 2] - mesh.points[:1, 2]).any())
        hint = (
            "the third coordinate is constant: leave it out, mesh.replace(points=mesh.points[:, :2])"
            if flat
            else 'use "rbf" or "elastic"'
        )
        raise TopologyError(
            f'morphing="tutte" maps planar meshes; this one has cells of dimension {mesh.cell_dim} in {mesh.dim}-D '
            f"space{of_mesh(mesh.source)}.\n  {hint}."
        )
