"""No morphing at all, for meshes that share their cells: point i corresponds to point i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch

from meshlearn.errors import TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher, landmark_point, plain
from meshlearn.models.mmgp.morphing.renumbering import Renumbering, renumbering, same_counts
from meshlearn.models.mmgp.morphing.topology import check_same_topology
from meshlearn.models.mmgp.morphing.validity import assess


class IdentityMorpher(Morpher):
    """Meshes with the cells of the reference: every mesh goes to the reference's points.

    landmarks  names of point sets of one point each: they must be the reference's points already

    The common shape is the reference. Any cells of any dimension. In the same order, point i is point i; meshes in
    another order, or with cells turned round, are matched by their cells (`renumbering`).

    >>> square = ml.shapes.square(n=2)
    >>> IdentityMorpher(square).morph(square.replace(points=2 * square.points)).points.amax()
    tensor(1., dtype=torch.float64)
    """

    name: ClassVar[str] = "identity"

    def __init__(self, reference: Mesh, landmarks: Sequence[str] | None = None) -> None:
        super().__init__(reference, landmarks)
        self.common = self.reference

    def morph(self, mesh: Mesh) -> Morph:
        """The reference's points; `smallest_jacobian` and `flipped` compare the cells' signs with the mesh's own.

        Raises TopologyError for other cells than the reference's, and for landmarks at other points.
        """
        mesh = plain(mesh)
        if same_connectivity(mesh, self.reference):
            self._check_landmarks(mesh, None)
            return assess(mesh, self.reference.points)
        rows = renumbering(mesh, self.reference)
        if rows is None:
            check_same_topology(mesh, self.reference, "morphing")
            counts = (
                f"{mesh.n_points} points and {_counts(mesh)}{of_mesh(mesh.source)}, against {self.reference.n_points} "
                f"points and {_counts(self.reference)}"
            )
            if same_counts(mesh, self.reference):
                counts += ", joined in another way, which is more than another numbering"
            raise TopologyError(
                f"the cells differ from the reference's: {counts}.\n"
                '  morphing="identity" needs the same cells in every mesh: use "tutte", "rbf" or "elastic".'
            )
        self._check_landmarks(mesh, rows)
        points = torch.empty_like(mesh.points)
        points[rows.points] = self.reference.points
        return replace(assess(mesh, points), rows=rows)

    def _check_landmarks(self, mesh: Mesh, rows: Renumbering | None) -> None:
        for name in self.landmarks:
            here, there = landmark_point(mesh, name), landmark_point(self.reference, name)
            wanted = there if rows is None else int(rows.points[there])
            if here != wanted:
                raise TopologyError(
                    f"landmark {name!r} is point {here}{of_mesh(mesh.source)}, but the reference's is point {wanted} "
                    'there, and morphing="identity" moves no points.\n  use "rbf" or "elastic".'
                )


def same_connectivity(mesh: Mesh, other: Mesh) -> bool:
    """True if two meshes have the same number of points and the same cells of the domain, in the same order.

    Lower-dimensional cells (boundary tags) may differ.
    """
    kinds = mesh.domain_types
    return (
        mesh.n_points == other.n_points
        and mesh.dim == other.dim
        and kinds == other.domain_types
        and all(bool(mesh.cells[k].shape == other.cells[k].shape) for k in kinds)
        and all(bool((mesh.cells[k].cpu() == other.cells[k].cpu()).all()) for k in kinds)
    )


def _counts(mesh: Mesh) -> dict[str, int]:
    return {kind: len(mesh.cells[kind]) for kind in mesh.domain_types}
