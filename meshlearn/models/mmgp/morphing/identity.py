"""No morphing at all, for meshes that share their cells: point i corresponds to point i."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from meshlearn.errors import TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher, plain
from meshlearn.models.mmgp.morphing.topology import check_same_topology
from meshlearn.models.mmgp.morphing.validity import assess


class IdentityMorpher(Morpher):
    """Meshes with the cells of the reference, in the same order: every mesh goes to the reference's points.

    The common shape is the reference. Any cells of any dimension; landmarks are not needed and are ignored.

    >>> square = ml.shapes.square(n=2)
    >>> IdentityMorpher(square).morph(square.replace(points=2 * square.points)).points.amax()
    tensor(1., dtype=torch.float64)
    """

    name: ClassVar[str] = "identity"

    def __init__(self, reference: Mesh, landmarks: Sequence[str] | None = None) -> None:
        super().__init__(reference)
        self.common = self.reference

    def morph(self, mesh: Mesh) -> Morph:
        """The reference's points; `smallest_jacobian` and `flipped` compare the cells' signs with the mesh's own.

        Raises TopologyError for other cells than the reference's.
        """
        mesh = plain(mesh)
        if not same_connectivity(mesh, self.reference):
            check_same_topology(mesh, self.reference, "morphing")
            raise TopologyError(
                f"the cells differ from the reference's: {mesh.n_points} points and {mesh.cell_counts}"
                f"{of_mesh(mesh.source)}, against {self.reference.n_points} points and {self.reference.cell_counts}.\n"
                '  morphing="identity" needs the same cells in every mesh: use "tutte", "rbf" or "elastic".'
            )
        return assess(mesh, self.reference.points)


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
