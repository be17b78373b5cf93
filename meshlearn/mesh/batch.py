"""`MeshBatch`: unlike meshes side by side in one mesh, and back again exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import Adjacency, counts_to_ptr


@dataclass(frozen=True)
class MeshBatch:
    """Meshes of any sizes and cell types (also point clouds) concatenated with offsets.

    mesh       the concatenated Mesh: fields that all meshes have (equal dtype and trailing shape), sets that any has
    point_ptr  (n_meshes + 1,) int64: points of mesh i are rows point_ptr[i] to point_ptr[i + 1]
    cell_ptr   {type: (n_meshes + 1,) int64}: likewise for the cells of each type
    meshes     the meshes as they were given

    >>> batch = ml.MeshBatch.from_meshes([ml.shapes.square(n=1), ml.shapes.square(n=2, cells="quad")])
    >>> batch.n_meshes, batch.mesh.n_points, batch.point_ptr.tolist()
    (2, 13, [0, 4, 13])
    """

    mesh: Mesh
    point_ptr: Int64[Tensor, " n_meshes_plus_1"]
    cell_ptr: Mapping[str, Int64[Tensor, " n_meshes_plus_1"]]
    meshes: tuple[Mesh, ...]

    @staticmethod
    def from_meshes(meshes: Sequence[Mesh]) -> MeshBatch:
        """Concatenate meshes of one space dimension, dtype and device. Raises MeshError naming the odd one out."""
        if isinstance(meshes, Mesh):
            raise MeshError("a batch is made of a list of meshes, got one Mesh: MeshBatch.from_meshes([mesh]).")
        meshes = tuple(meshes)
        for number, mesh in enumerate(meshes):
            if not isinstance(mesh, Mesh):
                raise MeshError(f"a batch is made of meshes, got {type(mesh).__name__} at number {number}.")
        if not meshes:
            raise MeshError("a batch needs at least one mesh.")
        for number, mesh in enumerate(meshes):
            first = meshes[0]
            if (mesh.dim, mesh.dtype, mesh.device) != (first.dim, first.dtype, first.device):
                raise MeshError(
                    f"mesh {number}{of_mesh(mesh.source)} is {mesh.dim}-D {mesh.dtype} on {mesh.device}; the first "
                    f"mesh of the batch is {first.dim}-D {first.dtype} on {first.device}.\n"
                    "  bring them together with mesh.to(...)."
                )
        point_ptr = _pointer([mesh.n_points for mesh in meshes], meshes[0].device)
        kinds = _in_order(kind for mesh in meshes for kind in mesh.cells)
        cell_ptr = {
            kind: _pointer([mesh.cell_counts.get(kind, 0) for mesh in meshes], meshes[0].device) for kind in kinds
        }
        merged = Mesh._adopting(
            torch.cat([mesh.points for mesh in meshes]),
            cells={kind: _shifted_cells(kind, meshes, point_ptr) for kind in kinds},
            point_data=_common([mesh.point_data for mesh in meshes]),
            cell_data=_common_cell_data(meshes),
            point_sets=_shifted_sets([mesh.point_sets for mesh in meshes], point_ptr),
            cell_sets=_shifted_cell_sets(meshes, cell_ptr),
        )
        return MeshBatch(merged, point_ptr, cell_ptr, meshes)

    @property
    def n_meshes(self) -> int:
        """Number of meshes."""
        return len(self.meshes)

    def __len__(self) -> int:
        return self.n_meshes

    @cached_property
    def point_batch(self) -> Int64[Tensor, " {self.mesh.n_points}"]:
        """(n_points,) int64: the number of the mesh each point belongs to."""
        number = torch.arange(self.n_meshes, device=self.point_ptr.device)
        return number.repeat_interleave(self.point_ptr.diff(), output_size=self.mesh.n_points)

    @cached_property
    def global_data(self) -> dict[str, Shaped[Tensor, "{self.n_meshes} ..."]]:
        """{name: (n_meshes, ...)}: global values that all meshes have, stacked."""
        return {
            name: torch.stack([mesh.global_data[name] for mesh in self.meshes])
            for name in _common_names([mesh.global_data for mesh in self.meshes], skip=0)
        }

    @cached_property
    def point_adjacency(self) -> Adjacency:
        """Block-diagonal graph made of the meshes' own cached graphs."""
        return Adjacency.block_diagonal([mesh.point_adjacency for mesh in self.meshes])

    def unbatch(self, mesh: Mesh | None = None) -> list[Mesh]:
        """The meshes again, exactly; or, for a changed copy of `self.mesh`, its points and fields cut apart.

        Fields of `mesh` take the place of fields of the same name in the meshes given; everything else is theirs.
        """
        if mesh is None:
            return list(self.meshes)
        if mesh.n_points != self.mesh.n_points or mesh.cell_counts != self.mesh.cell_counts:
            raise MeshError("unbatch needs a mesh with the points and cells of the batch (batch.mesh.replace(...)).")
        return [self._cut(mesh, number) for number in range(self.n_meshes)]

    def _cut(self, mesh: Mesh, number: int) -> Mesh:
        own = self.meshes[number]
        points = slice(int(self.point_ptr[number]), int(self.point_ptr[number + 1]))
        cell_data = {name: dict(per_type) for name, per_type in own.cell_data.items()}
        for name, per_type in mesh.cell_data.items():
            for kind, values in per_type.items():
                if kind in own.cells:
                    start, stop = (int(n) for n in self.cell_ptr[kind][number : number + 2])
                    cell_data.setdefault(name, {})[kind] = values[start:stop]
        return own.replace(
            points=mesh.points[points],
            point_data={**own.point_data, **{name: values[points] for name, values in mesh.point_data.items()}},
            cell_data=cell_data,
        )


def _pointer(sizes: list[int], device: torch.device) -> Tensor:
    return counts_to_ptr(torch.tensor(sizes, dtype=torch.int64, device=device))


def _in_order(names) -> list[str]:
    return list(dict.fromkeys(names))


def _shifted_cells(kind: str, meshes: Sequence[Mesh], point_ptr: Tensor) -> Tensor:
    tables = [(m.cells[kind], shift) for m, shift in zip(meshes, point_ptr.tolist(), strict=False) if kind in m.cells]
    width = max(table.shape[1] for table, _ in tables)
    parts = []
    for table, shift in tables:
        moved = _shift(kind, table, shift)
        parts.append(torch.nn.functional.pad(moved, (0, width - table.shape[1]), value=-1))
    return torch.cat(parts)


def _shift(kind: str, table: Tensor, shift: int) -> Tensor:
    if kind != "polyhedron":
        return torch.where(table >= 0, table + shift, table)
    table = table.clone()  # a face stream: only the point numbers move, not the counts
    for row in table:
        position = 1
        for _ in range(int(row[0])):
            size = int(row[position])
            row[position + 1 : position + 1 + size] += shift
            position += 1 + size
    return table


def _common_names(dictionaries: Sequence[Mapping[str, Tensor]], skip: int) -> list[str]:
    first = dictionaries[0]
    return [
        name
        for name in first
        if all(
            name in other
            and other[name].dtype == first[name].dtype
            and other[name].shape[skip:] == first[name].shape[skip:]
            for other in dictionaries
        )
    ]


def _common(dictionaries: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([d[name] for d in dictionaries]) for name in _common_names(dictionaries, skip=1)}


def _common_cell_data(meshes: Sequence[Mesh]) -> dict[str, dict[str, Tensor]]:
    """Cell fields that cover, in every mesh, all cells of each type they are given on anywhere."""
    result = {}
    for name in _in_order(name for mesh in meshes for name in mesh.cell_data):
        fields = [mesh.cell_data.get(name, {}) for mesh in meshes]
        kinds = _in_order(kind for field in fields for kind in field)
        columns = {
            kind: [field.get(kind) for field, mesh in zip(fields, meshes, strict=True) if mesh.cell_counts.get(kind)]
            for kind in kinds
        }
        if all(map(_stackable, columns.values())):
            result[name] = {kind: torch.cat([v for v in column if v is not None]) for kind, column in columns.items()}
    return result


def _stackable(column: Sequence[Tensor | None]) -> bool:
    kinds = {None if values is None else (values.dtype, values.shape[1:]) for values in column}
    return len(kinds) == 1 and None not in kinds


def _shifted_sets(sets: Sequence[Mapping[str, Tensor]], ptr: Tensor) -> dict[str, Tensor]:
    shifts = ptr.tolist()
    return {
        name: torch.cat([own[name] + shift for own, shift in zip(sets, shifts, strict=False) if name in own])
        for name in _in_order(name for own in sets for name in own)
    }


def _shifted_cell_sets(meshes: Sequence[Mesh], cell_ptr: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    result: dict[str, dict[str, Tensor]] = {}
    for name in _in_order(name for mesh in meshes for name in mesh.cell_sets):
        own = [mesh.cell_sets.get(name, {}) for mesh in meshes]
        for kind in _in_order(kind for per_type in own for kind in per_type):
            members = [{kind: per_type[kind]} if kind in per_type else {} for per_type in own]
            result.setdefault(name, {})[kind] = _shifted_sets(members, cell_ptr[kind])[kind]
    return result
