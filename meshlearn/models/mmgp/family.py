"""A family of meshes on its common mesh: the morphing, the transfer, and shapes as vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float64, Int8
from torch import Tensor

from meshlearn.errors import ConvergenceError, MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing import Morph, Morpher, admissible_morphings, make_morpher, same_topology
from meshlearn.models.mmgp.morphing.morph import plain
from meshlearn.models.mmgp.transfer import CommonMesh, Link
from meshlearn.train.fields import FieldSpec
from meshlearn.train.graph import measure_weights

TANGLED = 0.1  # of the cells


class Family:
    """A morpher with its common mesh.

    others  may meshes that this morpher does not place be placed by other morphings, on the same reference?

    `place(mesh)` morphs a mesh and links it to the common mesh.
    """

    def __init__(self, morpher: Morpher, transfer: str = "recovery", others: bool = False) -> None:
        self.morpher = morpher
        self.common = CommonMesh(morpher.common, transfer)
        self.others = others
        self._others: dict[str, Family] = {}
        # fields live on the reference: its own measures weigh them, not those of a disc
        self._weights = {location: measure_weights(morpher.reference, location) for location in ("point", "cell")}

    def weights(self, location: str, size: int) -> Float64[Tensor, " N"]:
        """Weights of a flattened table (rows, size) on the common mesh; they add up to `size`."""
        return self._weights[location].repeat_interleave(size)

    def roughness(self, flat: Float64[Tensor, " N"], location: str, size: int) -> float:
        """How curved a flattened field of the common mesh is within its cells (`CommonMesh.roughness`)."""
        return 0.0 if location == "global" else self.common.roughness(flat.reshape(-1, size), location)

    def place(self, mesh: Mesh, novelty: Callable[[Placed], float] | None = None) -> Placed:
        """Morph a mesh.

        novelty  if it is given, and `others` allows, a mesh that this morphing does not place, or only by turning many
                 cells over, is placed by the other morphings: by the one that makes it least new

        Raises TopologyError for a mesh of another topology, and what the morphing raises.
        """
        found: list[Placed] = []
        fault: MeshError | ConvergenceError | None = None
        try:
            found.append(Placed(self, mesh, self.morpher.morph(mesh)))
        except (MeshError, ConvergenceError) as error:
            fault = error
        wanting = fault is not None or found[0].is_tangled
        if wanting and novelty is not None and self.others and same_topology(plain(mesh), self.morpher.reference):
            found = self._placed_otherwise(mesh) or found
        if not found:
            assert fault is not None
            raise fault
        return found[0] if novelty is None or len(found) == 1 else min(found, key=novelty)

    def _placed_otherwise(self, mesh: Mesh) -> list[Placed]:
        """By other morphings that take the mesh to the reference without turning many cells over."""
        found: list[Placed] = []
        reference = self.morpher.reference
        for name in admissible_morphings([reference, mesh]):
            if name in ("identity", self.morpher.name) or (name == "elastic" and found):
                continue
            try:
                if name not in self._others:
                    morpher = make_morpher(name, reference, self.morpher.landmarks)
                    self._others[name] = Family(morpher, self.common.method)
                placed = self._others[name].place(mesh)
            except (MeshError, ConvergenceError):
                continue  # the next one; if none does, the error of the first morphing is raised
            if not placed.is_tangled:
                found.append(placed)
        return found


class Placed:
    """A mesh that was morphed: its maps to the common mesh and back, for rows at points and at cells."""

    def __init__(self, family: Family, mesh: Mesh, morph: Morph) -> None:
        self.family, self.mesh, self.morph = family, mesh, morph
        same, rows = family.morpher.name == "identity", morph.rows
        self.morphed = mesh.detach().cpu().without_data().replace(points=morph.points)
        orders = (("point", None if rows is None else rows.points), ("cell", None if rows is None else rows.cells))
        self._links = {location: Link(family.common, self.morphed, location, same, order) for location, order in orders}

    def to_common(self, table: Tensor, location: str, plain: bool = False) -> Float64[Tensor, " N"]:
        """A table (rows, size) of this mesh, carried over and flattened; "global" ones are the same everywhere.

        plain  without slopes (`Map.plain`)
        """
        if location == "global":
            return table.detach().double().cpu().reshape(-1)
        return self._links[location].to_common(table.detach().double().cpu(), plain).reshape(-1)

    def from_common(
        self, flat: Float64[Tensor, "k N"], location: str, size: int, plain: bool = False
    ) -> Float64[Tensor, "k rows size"]:
        """Flattened tables of the common mesh, at the rows of this one; `plain` without slopes."""
        k = len(flat)
        if location == "global":
            return flat.reshape(k, 1, size)
        table = flat.reshape(k, -1, size).permute(1, 0, 2).reshape(-1, k * size)
        back = self._links[location].from_common(table, plain)
        return back.reshape(len(back), k, size).permute(1, 0, 2)

    def fields_from_common(self, flats: Mapping[FieldSpec, Float64[Tensor, " N"]]) -> dict[FieldSpec, Tensor]:
        """Flattened fields of the common mesh as (rows, size) on this one; those of one location go together."""
        found: dict[FieldSpec, Tensor] = {}
        for location in dict.fromkeys(spec.location for spec in flats):
            specs = [spec for spec in flats if spec.location == location]
            if location == "global":
                found |= {spec: flats[spec].reshape(1, -1) for spec in specs}
                continue
            table = torch.cat([flats[spec].reshape(-1, spec.size) for spec in specs], 1)
            back = self._links[location].from_common(table)
            found |= dict(zip(specs, back.split([spec.size for spec in specs], 1), strict=True))
        return found

    def missed_to_common(self, table: Tensor, location: str) -> Float64[Tensor, " N"]:
        """An estimate of what `to_common` loses of the field that has these values on the mesh, flattened."""
        if location == "global":
            return torch.zeros(table.numel(), dtype=torch.float64)
        return self._links[location].missed_to_common(table.detach().double().cpu()).reshape(-1)

    def missed_from_common(self, flat: Float64[Tensor, " N"], location: str, size: int) -> Float64[Tensor, "rows size"]:
        """An estimate of what `from_common` loses of the field that has these values on the common mesh."""
        table = flat.reshape(-1, size)
        return torch.zeros_like(table) if location == "global" else self._links[location].missed_from_common(table)

    def shape(self) -> Float64[Tensor, " N"]:
        """The coordinates of the mesh as a field on the common mesh, flattened."""
        return self.to_common(self.mesh.points, "point")

    def reach(self) -> tuple[Int8[Tensor, " n"], Float64[Tensor, " n"]]:
        """(1 at points outside the common mesh, whose values are clamped, else 0; how far outside, in cell sizes)."""
        return self.family.common.reach(self.morphed)

    @property
    def outside(self) -> float:
        """Largest distance of a common point from the morphed mesh, in cell sizes; values were clamped there."""
        return self._links["point"].outside_

    @property
    def flipped_share(self) -> float:
        """Share of the cells that the morphing turns inside out."""
        return self.morph.flipped / self.mesh.n_cells

    @property
    def is_tangled(self) -> bool:
        """Are so many cells turned inside out that values would be those of other places?

        Not with "identity": values stay at their points there.
        """
        return self.family.morpher.name != "identity" and self.flipped_share > TANGLED
