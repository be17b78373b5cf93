"""Which fields go into a model and which come out: looked up by name, checked on every mesh, kept with the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.precision import float32_suffices

LOCATIONS = ("point", "cell", "global")

# What can be computed with: means and spreads, squares of lengths, and values a few spreads away are numbers too.
SMALLEST = {torch.float32: 1e-36, torch.float64: 1e-150}
LARGEST = {torch.float32: 1e36, torch.float64: 1e150}


@dataclass(frozen=True)
class FieldSpec:
    """One field of a mesh: its name, where it lives and the shape of one value.

    name      name in `point_data`, `cell_data` or `global_data`
    location  "point", "cell" or "global"
    shape     shape of the value at one point, at one cell, or of the mesh: () for a scalar, (3,) for a vector

    >>> FieldSpec("velocity", "point", (2,)).size
    2
    """

    name: str
    location: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of components of one value."""
        return math.prod(self.shape)

    def values(self, mesh: Mesh, where: str | None = None) -> Num[Tensor, "n size"]:
        """The field on one mesh as a table of numbers: one row per point, per domain cell (in global order), or one.

        Integer and boolean fields become float32; floating-point fields keep their dtype.
        Raises FieldError when the field is missing, has another shape or location, or holds NaN or infinite values.
        """
        where = where or describe(mesh)
        raw = _lookup(mesh, self.name, self.location, where)
        rows = {"point": mesh.n_points, "cell": mesh.n_cells, "global": 1}[self.location]
        shape = tuple(raw.shape) if self.location == "global" else tuple(raw.shape[1:])
        if shape != self.shape:
            raise FieldError(
                f"the {self.location} field {self.name!r} has values of shape {shape} on {where}, "
                f"but shape {self.shape} where the model was set up.\n"
                "  All meshes of a model need the same shape: make the fields agree, or leave this mesh out."
            )
        table = raw.reshape(rows, self.size)
        if not table.is_floating_point():
            table = table.to(torch.float32)
        finite = torch.isfinite(table)
        if not bool(finite.all()):
            bad = int((~finite).any(dim=1).sum())
            raise FieldError(
                f"the {self.location} field {self.name!r} has NaN or infinite values in {bad} of {rows} rows "
                f"on {where}.\n"
                "  Repair them (for example fill or interpolate the missing values) or leave this mesh out."
            )
        return table

    def restore(self, table: Num[Tensor, "n size"]) -> Num[Tensor, "..."]:
        """The inverse of `values`: a table (n, size) as values (n, *shape), or (*shape) for a global field."""
        return table.reshape(self.shape) if self.location == "global" else table.reshape(len(table), *self.shape)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FieldSpec:
        """The inverse of `to_json`."""
        if data["location"] not in LOCATIONS:
            raise FieldError(
                f"field {data['name']!r}: unknown location {data['location']!r}, expected one of {LOCATIONS}."
            )
        name, shape = data["name"], data["shape"]
        numbers = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not isinstance(name, str) or not numbers:
            raise FieldError(f"field {name!r}: a name and a list of sizes are expected, got the shape {shape!r}.")
        return cls(name, str(data["location"]), tuple(shape))


@dataclass(frozen=True)
class FieldSet:
    """The fields of a model: what goes in, what comes out, and the space dimension of its meshes."""

    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    dim: int

    def at(self, role: str, location: str) -> tuple[FieldSpec, ...]:
        """The specs of `role` ("inputs" or "outputs") that live at `location`, in the order the user gave."""
        return tuple(spec for spec in getattr(self, role) if spec.location == location)

    def width(self, role: str, location: str) -> int:
        """Total number of components of the fields of `role` at `location`."""
        return sum(spec.size for spec in self.at(role, location))

    @property
    def output_locations(self) -> tuple[str, ...]:
        """The locations that have at least one output, in the order point, cell, global."""
        return tuple(location for location in LOCATIONS if self.at("outputs", location))

    @property
    def hidden_names(self) -> tuple[str, ...]:
        """Outputs that are not inputs: a model must never see them when it prepares a mesh."""
        inputs = {spec.name for spec in self.inputs}
        return tuple(spec.name for spec in self.outputs if spec.name not in inputs)

    def table(
        self, mesh: Mesh, role: str, location: str, where: str | None = None, exact: bool = False
    ) -> Num[Tensor, "n width"]:
        """All fields of `role` at `location` side by side: (rows, width), in the points' dtype.

        exact  in float64 if a float64 field would lose its spread in float32 points' dtype
        """
        columns = [spec.values(mesh, where) for spec in self.at(role, location)]
        if not (exact and any(not float32_suffices(column) for column in columns)):
            columns = [column.to(mesh.points.dtype) for column in columns]
        if columns:
            return torch.cat(columns, dim=1)
        rows = {"point": mesh.n_points, "cell": mesh.n_cells, "global": 1}[location]
        return mesh.points.new_zeros(rows, 0)

    def targets(self, mesh: Mesh, where: str | None = None) -> dict[str, Tensor]:
        """The true outputs by location: {location: (rows, width)}."""
        return {location: self.table(mesh, "outputs", location, where) for location in self.output_locations}

    def split_outputs(self, tables: dict[str, Tensor]) -> dict[FieldSpec, Tensor]:
        """Tables {location: (rows, width)} cut into fields: {spec: values}."""
        fields = {}
        for location, table in tables.items():
            specs = self.at("outputs", location)
            for spec, part in zip(specs, table.split([spec.size for spec in specs], dim=1), strict=True):
                fields[spec] = spec.restore(part)
        return fields

    def attach(self, mesh: Mesh, fields: dict[FieldSpec, Tensor], suffix: str = "") -> Mesh:
        """The mesh with these fields added (or overwritten), in the dtype and on the device of its points."""
        by_location: dict[str, dict[str, Tensor]] = {location: {} for location in LOCATIONS}
        for spec, values in fields.items():
            by_location[spec.location][spec.name + suffix] = values.to(mesh.points.device, mesh.points.dtype)
        if by_location["point"]:
            mesh = mesh.with_point_data(**by_location["point"])
        if by_location["cell"]:
            mesh = mesh.with_cell_data(**by_location["cell"])
        if by_location["global"]:
            mesh = mesh.with_global_data(**by_location["global"])
        return mesh

    def check(self, mesh: Mesh, where: str | None = None, roles: Sequence[str] = ("inputs", "outputs")) -> None:
        """Raise FieldError or MeshError unless this mesh carries every field as the model expects it."""
        where = where or describe(mesh)
        check_geometry(mesh, where)
        if mesh.dim != self.dim:
            raise MeshError(
                f"{where} is {mesh.dim}-dimensional, but the model was set up for {self.dim} space dimensions.\n"
                "  One model works in one dimension: fit 2-D and 3-D meshes apart. Files of plane surfaces are read in "
                "2-D: among surfaces in space, read all with ml.read_many(…, dim=3)."
            )
        if not mesh.domain_types and (specs := self.at("inputs", "cell") + self.at("outputs", "cell")):
            raise FieldError(f"{where} is a point cloud, but the model has fields on cells: {[s.name for s in specs]}.")
        for role in roles:
            for spec in getattr(self, role):
                resolve_one(mesh, spec.name, where, location=spec.location)
                spec.values(mesh, where)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        roles = {role: [spec.to_json() for spec in getattr(self, role)] for role in ("inputs", "outputs")}
        return {**roles, "dim": self.dim}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FieldSet:
        """The inverse of `to_json`."""
        inputs, outputs = (tuple(FieldSpec.from_json(spec) for spec in data[role]) for role in ("inputs", "outputs"))
        if data["dim"] not in (1, 2, 3) or not outputs:
            raise FieldError(f"dim={data['dim']!r} and {len(outputs)} outputs: 1, 2 or 3, and at least one, expected.")
        return cls(inputs, outputs, int(data["dim"]))


def resolve_fields(mesh: Mesh, inputs: Any, outputs: Any, where: str | None = None) -> FieldSet:
    """Look lists of names up on one mesh (the first of the training set) and remember their locations and shapes.

    Raises ParameterError for names that are not strings or appear twice, FieldError for a field that is missing or
    that exists in more than one of `point_data`, `cell_data` and `global_data`.

    >>> mesh = ml.shapes.rectangle(n=(2, 2)).with_global_data(load=torch.tensor(3.0))
    >>> resolve_fields(mesh, [], ["load"]).outputs
    (FieldSpec(name='load', location='global', shape=()),)
    """
    where = where or describe(mesh)
    check_geometry(mesh, where)
    ins, outs = _names("inputs", inputs), _names("outputs", outputs)
    if not outs:
        raise ParameterError("outputs is empty: name at least one field that the model shall predict.")
    return FieldSet(
        tuple(resolve_one(mesh, name, where) for name in ins),
        tuple(resolve_one(mesh, name, where) for name in outs),
        mesh.dim,
    )


def resolve_one(mesh: Mesh, name: str, where: str | None = None, location: str | None = None) -> FieldSpec:
    """The spec of one field of a mesh; with `location`, the field must live there."""
    where = where or describe(mesh)
    found = [place for place in LOCATIONS if name in _data(mesh, place)]
    if not found:
        known = [other for place in LOCATIONS for other in _data(mesh, place)]
        raise FieldError(f"{where} has no field {name!r}{did_you_mean(name, known)}\n{available(mesh)}")
    if len(found) > 1:
        places = " and ".join(f"{place}_data" for place in found)
        raise FieldError(
            f"the field {name!r} is ambiguous on {where}: it is in {places}.\n"
            "  Rename one of the two (for example with mesh.without_data and mesh.with_point_data)."
        )
    if location is not None and found[0] != location:
        raise FieldError(
            f"the field {name!r} is in {found[0]}_data on {where}, but in {location}_data where the model was set up.\n"
            f"  Move it to {location}_data, or leave this mesh out."
        )
    raw = _lookup(mesh, name, found[0], where)
    if raw.is_complex():
        raise FieldError(f"the field {name!r} on {where} is complex: split it into a real and an imaginary field.")
    spec = FieldSpec(name, found[0], tuple(raw.shape) if found[0] == "global" else tuple(raw.shape[1:]))
    if spec.size == 0:
        raise FieldError(f"the {spec.location} field {name!r} on {where} has values of shape {spec.shape}: no number.")
    return spec


def check_geometry(mesh: Mesh, where: str) -> None:
    """Raise MeshError for a mesh no model can work on: no points, or coordinates that are not finite, or of which
    squares and volumes are not."""
    if mesh.n_points == 0:
        raise MeshError(f"{where} has no points: leave it out.")
    if not bool(torch.isfinite(mesh.points).all()):
        raise MeshError(f"{where} has NaN or infinite coordinates: repair or leave it out.")
    points = mesh.points.detach()
    dtype, power = points.dtype, max(2, mesh.dim)
    largest = float(points.abs().max())
    extent = float((points.amax(0) - points.amin(0)).max())
    if largest > LARGEST[dtype] ** (1 / power) or 0.0 < extent < SMALLEST[dtype] ** 0.5:
        seen = f"coordinates up to {largest:.3g}" if largest > 1.0 else f"an extent of {extent:.3g}"
        raise MeshError(
            f"{where} has {seen}, of which lengths, areas or volumes leave {str(dtype).removeprefix('torch.')}.\n"
            "  Give the points in another unit" + (", or in float64." if dtype == torch.float32 else ".")
        )


def describe(mesh: Any, index: int | None = None) -> str:
    """How errors call a mesh: its position in the list and its source, whichever is known."""
    source = getattr(mesh, "source", None)
    number = f"mesh {index}" if index is not None else "the mesh"
    return f"{number} ({source})" if source else number


def available(mesh: Mesh) -> str:
    """What a mesh offers, for error messages."""
    lines = [f"  {place}_data: {', '.join(map(repr, _data(mesh, place))) or 'nothing'}" for place in LOCATIONS]
    return "  Available are\n" + "\n".join("  " + line for line in lines)


def _data(mesh: Mesh, location: str) -> Any:
    return getattr(mesh, f"{location}_data")


def _lookup(mesh: Mesh, name: str, location: str, where: str) -> Tensor:
    data = _data(mesh, location)
    if name not in data:
        raise FieldError(f"{where} has no {location} field {name!r}{did_you_mean(name, data)}\n{available(mesh)}")
    if location != "cell":
        return data[name]
    parts = data[name]
    missing = [kind for kind in mesh.domain_types if kind not in parts]
    if missing or not mesh.domain_types:
        raise FieldError(
            f"the cell field {name!r} does not cover all cells on {where}: it has {sorted(parts)}, "
            f"the domain has {mesh.domain_types}.\n  Give a value to every cell of the domain (missing: {missing})."
        )
    shapes = {kind: tuple(parts[kind].shape[1:]) for kind in mesh.domain_types}
    if len(set(shapes.values())) > 1:
        raise FieldError(f"the cell field {name!r} has different shapes by cell type on {where}: {shapes}.")
    return torch.cat([parts[kind] for kind in mesh.domain_types])


def _names(role: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ParameterError(f"{role} is the string {names!r}; a list of names is expected: {role}=[{names!r}].")
    if not isinstance(names, Iterable):
        raise ParameterError(f"{role}={names!r} is not allowed: a list of names of fields is expected ([] for none).")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str):
            raise ParameterError(f"{role} holds {name!r}; every entry must be the name of a field.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(f"{role} names {twice} more than once.")
    return names
