"""The skin to the reference's skin, and everything inside along with it by radial functions.

A. de Boer, M. van der Schoot, H. Bijl, "Mesh deformation based on radial basis function interpolation", Computers and
Structures 85 (2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.controls import Controls, SkinControls
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher, check_flag, is_positive, plain
from meshlearn.models.mmgp.morphing.repair import repaired
from meshlearn.models.mmgp.morphing.topology import check_same_topology, signature
from meshlearn.models.mmgp.morphing.validity import assess
from meshlearn.models.mmgp.morphing.weights import neighbour_weights
from meshlearn.models.mmgp.morphing.wendland import follow


class RadialMorpher(Morpher):
    """Plates with any holes, solids, and surfaces in 3-D: every mesh takes the shape of the reference.

    landmarks  names of point sets of one point each: points that correspond, on the skin or inside
    radius     of the radial functions, relative to the diagonal of the bounding box
    steps      most steps to divide the way into, a power of 2
    tags       use the boundary tags that a mesh shares with the reference

    The points of the skin go to their counterparts (`controls.SkinControls`), the others follow by Wendland functions
    on top of an affine map, so that affine images of the reference go back to it. Cells that turn over make it start
    again with twice as many steps, each from where the last one ended; if the last division does not help either,
    the best one is taken, and on plates the points of turned-over cells move to means of their neighbours where that
    helps. `Morph.flipped` counts what is left. Holes go to holes with the same tags; if that turns cells over, because
    they have changed places, to those in the same places. On surfaces in 3-D every point is on the skin.

    >>> square = ml.shapes.square(n=4)
    >>> morph = RadialMorpher(square).morph(square.replace(points=2 * square.points + 1))
    >>> bool((morph.points - square.points).abs().max() < 1e-6), morph.flipped
    (True, 0)
    """

    name: ClassVar[str] = "rbf"

    def __init__(
        self,
        reference: Mesh,
        landmarks: Sequence[str] | None = None,
        radius: Any = 1.0,
        steps: Any = 16,
        tags: Any = True,
    ) -> None:
        if not is_positive(radius):
            raise ParameterError(f"radius={radius!r}: expected a positive number.")
        if not is_positive(steps):
            raise ParameterError(f"steps={steps!r}: expected a positive number.")
        check_flag("tags", tags)
        super().__init__(reference, landmarks)
        self.radius, self.steps, self.tags = radius, steps, tags
        self._signature = signature(self.reference)
        self._controls = SkinControls(self.reference.oriented(), self.landmarks, tags)
        self.common = self.reference

    def morph(self, mesh: Mesh) -> Morph:
        """Positions on the reference's shape.

        Raises TopologyError for another topology than the reference's, and for tags that cut the skin otherwise.
        """
        mesh = plain(mesh)
        check_same_topology(mesh, self._signature, f"morphing={self.name!r}")
        found: list[Morph] = []
        for controls in self._controls.candidates(mesh.oriented()):
            found.append(self._best(mesh, controls))
            if not found[-1].flipped:
                break
        return min(found, key=lambda morph: morph.flipped)

    def _best(self, mesh: Mesh, controls: Controls) -> Morph:
        """The morph with as few steps as keep all cells valid, else with the steps that keep most."""
        steps, found = 1, []
        while steps <= self.steps:
            points = follow(mesh.points.numpy(), controls.nodes, controls.targets, self.radius, steps)
            found.append(assess(mesh, torch.from_numpy(points), controls.remark))
            if not found[-1].flipped:
                break
            steps *= 2
        best = min(found, key=lambda morph: morph.flipped)
        if not best.flipped or not self._signature.is_plate:
            return best
        fixed = np.zeros(mesh.n_points, dtype=bool)
        fixed[controls.nodes] = True
        weights = neighbour_weights(mesh, "mean_value")
        mended = assess(mesh, torch.from_numpy(repaired(mesh, best.points.numpy(), weights, fixed)))
        return mended if mended.flipped < best.flipped else best
