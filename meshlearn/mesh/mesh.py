"""`Mesh`: points, cells of any types, and the fields and tags that live on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh import checks
from meshlearn.mesh.bridge import Bridges
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.frozen import FrozenDict
from meshlearn.mesh.owned import owned, version
from meshlearn.ops import Adjacency

if TYPE_CHECKING:
    from meshlearn.mesh.facets import FacetBlock
    from meshlearn.mesh.topology import Topology

CellTensors = Mapping[str, Tensor]


class Mesh(Bridges):
    """An unstructured mesh or point cloud with fields and tags. Immutable: methods return changed copies.

    points       (n_points, dim) float32 or float64, dim 1, 2 or 3, in any one length unit
    cells        {type: (n, k) int64}, meshio's type names and node order; {} is a point cloud. Types mix freely.
                 Ragged kinds (polygon, polyhedron …) are padded with -1 at the end of each row; a polyhedron's
                 row is VTK's face stream (number of faces, then for each face its size and its points).
    point_data   {name: (n_points, ...)}
    cell_data    {name: {type: (n_cells_of_type, ...)}}; a name need not cover every type
    global_data  {name: (...)}: values of the whole mesh (load, Reynolds number, drag)
    point_sets   {name: (k,) int64} point numbers
    cell_sets    {name: {type: (k,) int64}} row numbers in cells[type]; boundary tags are sets of
                 lower-dimensional cells
    source       where the mesh came from (a path), for messages
    report       what a reader changed or could not keep

    numpy arrays and lists are accepted. Arrays and tensors are copied, so that a buffer may be used again; tensors that
    require a gradient are kept as they are, and meshes made from a mesh share what did not change. Python's numbers get
    torch's default dtype, or float64 where float32 would lose more than 1e-5 of their spread. All tensors live on one
    device.
    The *domain* is made of the cells of the highest dimension; `n_cells` counts those, and "global cell number"
    numbers them type after type in the order of the dictionary. Quantities that depend only on the cells are
    computed once (`mesh.topology`) and shared by copies with other points or fields.

    Raises MeshError (shapes, dtypes, devices, node numbers out of range) and FieldError (a field's length).

    >>> mesh = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 1, 2]]}, point_data={"u": [1, 2, 3]})
    >>> mesh
    Mesh(3 points in 2-D, 1 triangle)
      point_data   u ()
    >>> mesh.cell_measures()
    {'triangle': tensor([0.5000])}
    """

    points: Tensor
    cells: Mapping[str, Tensor]
    point_data: Mapping[str, Tensor]
    cell_data: Mapping[str, Mapping[str, Tensor]]
    global_data: Mapping[str, Tensor]
    point_sets: Mapping[str, Tensor]
    cell_sets: Mapping[str, Mapping[str, Tensor]]
    source: str | None
    report: tuple[str, ...]

    def __init__(
        self,
        points: Any,
        cells: Any = None,
        point_data: Any = None,
        cell_data: Any = None,
        global_data: Any = None,
        point_sets: Any = None,
        cell_sets: Any = None,
        source: str | None = None,
        report: Iterable[str] = (),
    ) -> None:
        self._fill(
            points=owned(points),
            cells=owned(cells),
            point_data=owned(point_data),
            cell_data=owned(cell_data),
            global_data=owned(global_data),
            point_sets=owned(point_sets),
            cell_sets=owned(cell_sets),
            source=source,
            report=report,
        )

    @classmethod
    def _adopting(cls, points: Any, **attributes: Any) -> Mesh:
        """As the constructor, of arrays and tensors that nobody else will change: they are not copied."""
        mesh = object.__new__(cls)
        given: dict[str, Any] = dict.fromkeys(_ATTRIBUTES[1:-1]) | {"report": ()} | attributes
        mesh._fill(points=points, **given)
        return mesh

    def _fill(
        self,
        points: Any,
        cells: Any,
        point_data: Any,
        cell_data: Any,
        global_data: Any,
        point_sets: Any,
        cell_sets: Any,
        source: str | None,
        report: Iterable[str],
    ) -> None:
        """Check everything and keep it."""
        points = checks.points_tensor(points, source)
        cells = checks.cell_tables(cells, len(points), source, points.device)
        self._set(
            points=points,
            cells=cells,
            point_data=checks.point_fields(point_data, points, cells, source),
            cell_data=checks.cell_fields(cell_data, points, cells, source),
            global_data=checks.global_fields(global_data, points),
            point_sets=checks.point_sets(point_sets, points, source),
            cell_sets=checks.cell_sets(cell_sets, points, cells, source),
            source=source,
            report=tuple(report),
        )

    def _set(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise MeshError(
            f"a Mesh is immutable: cannot set {name!r}.\n"
            "  make a changed copy: mesh.replace(points=...), mesh.with_point_data(name=values), ..."
        )

    # -- sizes ---------------------------------------------------------------------------------------------------

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.points.shape[0]

    @property
    def dim(self) -> int:
        """Number of coordinates of a point: 1, 2 or 3."""
        return self.points.shape[1]

    @property
    def cell_dim(self) -> int:
        """Highest topological dimension among the cells; 0 for a point cloud."""
        return max([0, *(cell_dim(kind) for kind, nodes in self.cells.items() if len(nodes))])

    @property
    def domain_types(self) -> list[str]:
        """Cell types of the highest dimension that have cells, in the order of `cells`.

        A point cloud has none, and so has a mesh of vertex cells only: these tag points.
        """
        dim = self.cell_dim
        return [kind for kind, nodes in self.cells.items() if dim and len(nodes) and cell_dim(kind) == dim]

    @property
    def n_cells(self) -> int:
        """Number of cells of the domain (of the highest dimension); `cell_counts` has all types."""
        return sum(len(self.cells[kind]) for kind in self.domain_types)

    @property
    def cell_counts(self) -> dict[str, int]:
        """Number of cells by type, lower-dimensional ones included."""
        return {kind: len(nodes) for kind, nodes in self.cells.items()}

    @property
    def device(self) -> torch.device:
        """The device all tensors live on."""
        return self.points.device

    @property
    def dtype(self) -> torch.dtype:
        """dtype of the points, torch.float32 or torch.float64."""
        return self.points.dtype

    # -- changed copies ------------------------------------------------------------------------------------------

    def replace(self, **changes: Any) -> Mesh:
        """A copy with other attributes, e.g. `mesh.replace(points=..., source=None)`.

        Attributes given are copied and checked as in the constructor, and so are the fields they must fit. What is not
        given is shared, and so is the topology when neither the cells nor the number of points change.
        """
        return self._replaced(**owned(changes))

    def _replaced(self, **changes: Any) -> Mesh:
        """`replace` with values that nobody else will change: they are not copied."""
        unknown = set(changes) - set(_ATTRIBUTES)
        if unknown:
            raise MeshError(
                f"replace: a Mesh has no attribute {sorted(unknown)[0]!r}.\n  attributes: {', '.join(_ATTRIBUTES)}"
            )
        same_cells = "cells" not in changes
        new = {name: changes.get(name, getattr(self, name)) for name in _ATTRIBUTES}
        points = new["points"] = checks.points_tensor(new["points"], new["source"])
        same_shape = same_cells and len(points) == self.n_points and points.device == self.device
        if not same_shape:
            new["cells"] = checks.cell_tables(new["cells"], len(points), new["source"], points.device)
        cells, source = new["cells"], new["source"]
        if "point_data" in changes or not same_shape:
            new["point_data"] = checks.point_fields(new["point_data"], points, cells, source)
        if "cell_data" in changes or not same_shape:
            new["cell_data"] = checks.cell_fields(new["cell_data"], points, cells, source)
        if "global_data" in changes or not same_shape:
            new["global_data"] = checks.global_fields(new["global_data"], points)
        if "point_sets" in changes or not same_shape:
            new["point_sets"] = checks.point_sets(new["point_sets"], points, source)
        if "cell_sets" in changes or not same_shape:
            new["cell_sets"] = checks.cell_sets(new["cell_sets"], points, cells, source)
        new["report"] = tuple(new["report"])
        copy = Mesh._trusted(**new)
        if same_shape:
            copy.__dict__["topology"] = self.topology
        if "points" not in changes and same_shape:
            copy.__dict__.update({k: v for k, v in self.__dict__.items() if k == "_geometry"})
        return copy

    @classmethod
    def _trusted(cls, **attributes: Any) -> Mesh:
        """A Mesh from attributes that were checked already."""
        mesh = object.__new__(cls)
        mesh._set(**attributes)
        return mesh

    def with_point_data(self, **fields: Any) -> Mesh:
        """A copy with point fields (n_points, ...) added or replaced."""
        return self._replaced(point_data={**self.point_data, **owned(fields)})

    def with_cell_data(self, **fields: Any) -> Mesh:
        """A copy with cell fields added or replaced.

        A field is {type: (n_cells_of_type, ...)}, or one (n_cells, ...) array in global cell order.
        """
        per_type = {
            name: value if isinstance(value, Mapping) else self.split_cells(value, name)
            for name, value in owned(fields).items()
        }
        return self._replaced(cell_data={**self.cell_data, **per_type})

    def with_global_data(self, **values: Any) -> Mesh:
        """A copy with values of the whole mesh added or replaced."""
        return self._replaced(global_data={**self.global_data, **owned(values)})

    def without_data(self) -> Mesh:
        """A copy without point, cell and global data; tags stay."""
        return self.replace(point_data={}, cell_data={}, global_data={})

    def split_cells(self, values: Any, name: str = "values") -> dict[str, Shaped[Tensor, "_n ..."]]:
        """Cut (n_cells, ...) values in global cell order into {type: (n_cells_of_type, ...)}."""
        values = checks.tensor(values, repr(name), self.device)
        if values.ndim == 0 or len(values) != self.n_cells:
            raise FieldError(
                f"{name!r} has shape {tuple(values.shape)}, the mesh has {self.n_cells} cells of its own dimension.\n"
                f"  mesh: {self.source or 'made in memory'}, cells {self.cell_counts}\n"
                "  give one row per such cell, or a dictionary {type: values}."
            )
        kinds = self.domain_types
        return dict(zip(kinds, values.split([len(self.cells[kind]) for kind in kinds]), strict=True))

    def join_cells(self, values: Mapping[str, Shaped[Tensor, "_n ..."]]) -> Shaped[Tensor, "{self.n_cells} ..."]:
        """Concatenate {type: (n_cells_of_type, ...)} over the domain's types into global cell order."""
        missing = [kind for kind in self.domain_types if kind not in values]
        if missing or not self.domain_types:
            raise FieldError(
                f"values are needed for every cell type of the domain {self.domain_types}, got {list(values)}."
            )
        return torch.cat([values[kind] for kind in self.domain_types])

    def to(self, target: torch.device | str | torch.dtype) -> Mesh:
        """A copy on another device, or with points and floating-point fields of another dtype.

        >>> ml.shapes.square(n=2).to(torch.float64).dtype
        torch.float64
        """
        if isinstance(target, torch.dtype):
            if target not in (torch.float32, torch.float64):
                raise MeshError(f"points are float32 or float64, not {target}.")

            def move(tensor: Tensor) -> Tensor:
                return tensor.to(target) if tensor.is_floating_point() else tensor
        else:
            checks.available(target)

            def move(tensor: Tensor) -> Tensor:
                return tensor.to(target)

        copy = Mesh._trusted(**self._mapped(move))
        if copy.device == self.device:
            copy.__dict__["topology"] = self.topology
        return copy

    def double(self) -> Mesh:
        """A copy in float64."""
        return self.to(torch.float64)

    def float(self) -> Mesh:
        """A copy in float32."""
        return self.to(torch.float32)

    def cpu(self) -> Mesh:
        """A copy on the CPU."""
        return self.to("cpu")

    def detach(self) -> Mesh:
        """A copy whose tensors carry no gradient history."""
        copy = Mesh._trusted(**self._mapped(Tensor.detach))
        copy.__dict__["topology"] = self.topology
        return copy

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _ATTRIBUTES}
        return {k: _map_tensors(function, v) if isinstance(v, (Tensor, dict)) else v for k, v in values.items()}

    # -- topology (depends on the cells only) --------------------------------------------------------------------

    @cached_property
    def topology(self) -> Topology:
        """Edges, facets, boundary, adjacency, components: see `meshlearn.mesh.topology.Topology`."""
        from meshlearn.mesh.topology import Topology

        return Topology(self.cells, self.n_points, self.device, self.source)

    @property
    def edges(self) -> Int64[Tensor, "n_edges 2"]:
        """(n_edges, 2) int64: every edge of the domain once, corners in ascending order."""
        return self.topology.edges

    @property
    def facets(self) -> Mapping[str, FacetBlock]:
        """{facet type: FacetBlock}: every facet of the domain once, with its cells."""
        return self.topology.facets

    @property
    def boundary_points(self) -> Int64[Tensor, " k"]:
        """(k,) int64, ascending: points of facets that belong to one cell only."""
        return self.topology.boundary_points

    @property
    def point_adjacency(self) -> Adjacency:
        """The symmetric graph of points joined by cell edges (through mid-side nodes)."""
        return self.topology.point_adjacency

    @property
    def is_watertight(self) -> bool:
        """True if a surface in 3-D is closed: every edge belongs to exactly two faces, of opposite direction."""
        return self.dim == 3 and self.topology.is_closed and self.topology.is_oriented

    def oriented(self) -> Mesh:
        """A copy whose cells are consistently oriented; see `meshlearn.mesh.orientation.oriented`."""
        from meshlearn.mesh.orientation import oriented

        return oriented(self)

    def without_unused_points(self) -> Mesh:
        """A copy without points that belong to no cell; see `meshlearn.mesh.compaction.without_unused_points`."""
        from meshlearn.mesh.compaction import without_unused_points

        return without_unused_points(self)

    def boundary_mesh(self) -> Mesh:
        """The boundary as a mesh of its own, outward oriented; see `meshlearn.mesh.boundary.boundary_mesh`."""
        from meshlearn.mesh.boundary import boundary_mesh

        return boundary_mesh(self)

    # -- geometry (differentiable in the points) -----------------------------------------------------------------

    def cell_measures(self) -> dict[str, Float[Tensor, " _"]]:
        """Length, area or volume of every cell; see `meshlearn.mesh.geometry.cell_measures`."""
        return self._cached_geometry("cell_measures")

    def cell_centroids(self) -> dict[str, Float[Tensor, "_ {self.dim}"]]:
        """(n, dim) mean of the corners of every cell, by type; see `meshlearn.mesh.geometry.cell_centroids`."""
        return self._cached_geometry("cell_centroids")

    def cell_normals(self) -> dict[str, Float[Tensor, "_ {self.dim}"]]:
        """(n, dim) unit normals of surface cells; see `meshlearn.mesh.geometry.cell_normals`."""
        return self._cached_geometry("cell_normals")

    def point_normals(self) -> Float[Tensor, "{self.n_points} {self.dim}"]:
        """(n_points, dim) unit normals at the points of a surface; see `meshlearn.mesh.geometry.point_normals`."""
        return self._cached_geometry("point_normals")

    def point_measures(self) -> Float[Tensor, " {self.n_points}"]:
        """(n_points,) lumped measures: each cell's measure shared among its points; they add up to `measure()`."""
        return self._cached_geometry("point_measures")

    def measure(self) -> Float[Tensor, ""]:
        """() total length, area or volume of the domain, in (unit of the points) ** cell_dim."""
        return self._cached_geometry("measure")

    def volume(self) -> Float[Tensor, ""]:
        """() volume of a solid, or enclosed by a watertight surface; see `meshlearn.mesh.geometry.volume`."""
        return self._cached_geometry("volume")

    def quality(self, measure: str = "scaled_jacobian") -> dict[str, Float[Tensor, " _"]]:
        """{type: (n,)} shape quality of the domain's cells: "scaled_jacobian", "aspect_ratio" or "min_angle" (radians).

        Negative scaled Jacobians are cells turned inside out or folded. See `meshlearn.mesh.quality`; counts and
        ranges in one dictionary are in `ml.quality_summary`. Raises ParameterError for other names, TopologyError for
        types without a reference cell.

        >>> ml.shapes.rectangle(2.0, 1.0, n=1, cells="quad").quality("aspect_ratio")
        {'quad': tensor([2.])}
        """
        from meshlearn.mesh.quality import cell_quality

        return cell_quality(self, measure)

    def n_inverted(self) -> int:
        """Number of cells of the domain that are turned inside out, or folded or concave at a corner."""
        from meshlearn.mesh.quality import n_inverted

        return n_inverted(self)

    def bounding_box(self) -> Float[Tensor, "2 {self.dim}"]:
        """(2, dim): smallest and largest coordinates."""
        if not self.n_points:
            raise MeshError("a mesh without points has no bounding box.")
        return torch.stack([self.points.amin(0), self.points.amax(0)])

    def _cached_geometry(self, name: str) -> Any:
        from meshlearn.mesh import geometry

        compute = getattr(geometry, name)
        if self.points.requires_grad:  # a cached graph could be freed by the user's backward
            return compute(self)
        cache = self.__dict__.setdefault("_geometry", {"": version(self.points)})
        if cache[""] != version(self.points):
            raise MeshError(
                "mesh.points was changed in place; a Mesh is immutable, and what it had computed is out of date.\n"
                "  make a changed copy: mesh.replace(points=...)"
            )
        if name not in cache:
            cache[name] = compute(self)
        value = cache[name]
        return dict(value) if isinstance(value, dict) else value

    # -- for people ----------------------------------------------------------------------------------------------

    def plot(self, field: str | None = None, **options: Any) -> Any:
        """Draw the mesh, coloured by a field; see `meshlearn.viz.plot`."""
        from importlib import import_module

        return import_module("meshlearn.viz").plot(self, field, **options)

    def __repr__(self) -> str:
        from meshlearn.mesh.summary import summary

        return summary(self)

    def __len__(self) -> int:
        raise TypeError("the length of a Mesh is ambiguous: use mesh.n_points or mesh.n_cells.")

    def __bool__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _ATTRIBUTES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**state)


_ATTRIBUTES = (
    "points",
    "cells",
    "point_data",
    "cell_data",
    "global_data",
    "point_sets",
    "cell_sets",
    "source",
    "report",
)


def _map_tensors(function, value):
    if isinstance(value, dict):
        return FrozenDict({key: _map_tensors(function, inner) for key, inner in value.items()})
    return function(value)
