"""A family of meshes on its common mesh: the morphing, the transfer, and shapes as vectors."""

from __future__ import annotations

from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing import Morph, Morpher
from meshlearn.models.mmgp.transfer import CommonMesh, Link
from meshlearn.train.graph import measure_weights


class Family:
    """A morpher with its common mesh.

    `place(mesh)` morphs a mesh and links it to the common mesh.
    """

    def __init__(self, morpher: Morpher, transfer: str = "interpolation") -> None:
        self.morpher = morpher
        self.common = CommonMesh(morpher.common, transfer)
        # fields live on the reference: its own measures weigh them, not those of a disc
        self._weights = {location: measure_weights(morpher.reference, location) for location in ("point", "cell")}

    def weights(self, location: str, size: int) -> Float64[Tensor, " N"]:
        """Weights of a flattened table (rows, size) on the common mesh; they add up to `size`."""
        return self._weights[location].repeat_interleave(size)

    def place(self, mesh: Mesh) -> Placed:
        """Morph a mesh; raises TopologyError for one of another topology."""
        return Placed(self, mesh, self.morpher.morph(mesh))


class Placed:
    """A mesh that was morphed: its maps to the common mesh and back, for rows at points and at cells."""

    def __init__(self, family: Family, mesh: Mesh, morph: Morph) -> None:
        self.mesh, self.morph = mesh, morph
        same = family.morpher.name == "identity"
        morphed = mesh.detach().cpu().without_data().replace(points=morph.points)
        self._links = {location: Link(family.common, morphed, location, same) for location in ("point", "cell")}

    def to_common(self, table: Tensor, location: str) -> Float64[Tensor, " N"]:
        """A table (rows, size) of this mesh, carried over and flattened."""
        return self._links[location].to_common(table.detach().double().cpu()).reshape(-1)

    def from_common(self, flat: Float64[Tensor, "k N"], location: str, size: int) -> Float64[Tensor, "k rows size"]:
        """Flattened tables of the common mesh, at the rows of this one."""
        k = len(flat)
        table = flat.reshape(k, -1, size).permute(1, 0, 2).reshape(-1, k * size)
        back = self._links[location].from_common(table)
        return back.reshape(len(back), k, size).permute(1, 0, 2)

    def shape(self) -> Float64[Tensor, " N"]:
        """The coordinates of the mesh as a field on the common mesh, flattened."""
        return self.to_common(self.mesh.points, "point")

    @property
    def outside(self) -> float:
        """Share of the common points that lie outside the morphed mesh, where values were clamped."""
        return self._links["point"].outside_
