"""`Morph`, where a morphing takes the points of one mesh, and `Morpher`, what every morphing offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError, TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.renumbering import Renumbering


@dataclass(frozen=True)
class Morph:
    """Where a morphing takes the points of one mesh; the cells are kept.

    points             (n_points, d) float64: positions on the common shape, in its unit
    smallest_jacobian  over all cells and their nodes, the smallest determinant of the morphed cell's map, with the sign
                       of the cell before the morph, divided by the mean of the cells' absolute determinants: no unit,
                       positive if and only if every cell is valid
    flipped            number of cells that are inverted, folded or degenerate after the morph
    rows               for meshes that are the reference's but for their numbering: their rows in its order
    remark             what stood in the way of a closer match of the skins, "" if nothing did
    """

    points: Float[Tensor, "n d"]
    smallest_jacobian: float
    flipped: int
    rows: Renumbering | None = None
    remark: str = ""


class Morpher(ABC):
    """A map from the meshes of one topology to a common shape; made once, for one reference mesh.

    reference  a mesh of the family; it fixes the common shape
    landmarks  names of point sets that every mesh has, of one point each: points that correspond

    After construction `common` is the reference on the common shape, in float64 on the CPU, with the cells, tags and
    row numbers of the reference.
    """

    name: ClassVar[str]
    common: Mesh

    def __init__(self, reference: Mesh, landmarks: Sequence[str] | None = None) -> None:
        self.landmarks = tuple(landmarks or ())
        self.reference = plain(reference)
        for landmark in self.landmarks:
            landmark_point(self.reference, landmark)

    @abstractmethod
    def morph(self, mesh: Mesh) -> Morph:
        """Take the points of `mesh` to the common shape.

        Raises TopologyError, naming both topologies, for a mesh of another topology than the reference.
        """


def plain(mesh: Mesh) -> Mesh:
    """A copy in float64 on the CPU, without fields; tags stay.

    Raises TopologyError for a point cloud, MeshError for points that are not finite.
    """
    if not mesh.domain_types:
        raise TopologyError(
            f"a point cloud ({mesh.n_points} points, no cells) cannot be morphed{of_mesh(mesh.source)}: "
            "morphings move meshes."
        )
    mesh = mesh.detach().cpu().without_data().double()
    if not bool(mesh.points.isfinite().all()):
        bad = int((~mesh.points.isfinite()).any(1).sum())
        raise MeshError(f"{bad} points are not finite{of_mesh(mesh.source)}: repair them first.")
    extent = float((mesh.points.amax(0) - mesh.points.amin(0)).max())
    if not float(mesh.measure()) > 1e-14 * extent**mesh.cell_dim:
        what = ("length", "area", "volume")[mesh.cell_dim - 1]
        raise MeshError(f"the cells have no {what}{of_mesh(mesh.source)}: see ml.check_mesh.")
    return mesh


def is_positive(value: Any) -> bool:
    """Is it a number above zero? True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def check_flag(name: str, value: Any) -> None:
    """Raise ParameterError for an option that is neither True nor False."""
    if not isinstance(value, bool):
        raise ParameterError(f"{name}={value!r} must be True or False.")


def landmark_point(mesh: Mesh, name: str) -> int:
    """Number of the point of a landmark: a point set with one point.

    Raises ParameterError for a set that is missing or has several points.
    """
    if name not in mesh.point_sets or len(mesh.point_sets[name]) != 1:
        single = [key for key, points in mesh.point_sets.items() if len(points) == 1]
        found = f"has {len(mesh.point_sets[name])} points" if name in mesh.point_sets else "is not there"
        raise ParameterError(
            f"landmark {name!r} must be a point set of one point in every mesh, it {found}{of_mesh(mesh.source)}.\n"
            f"  point sets of one point: {', '.join(single) or 'none'}"
        )
    return int(mesh.point_sets[name][0])
