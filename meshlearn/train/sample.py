"""What a network sees of one mesh, and of several: flat tensors and graphs, made outside `forward`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops import Adjacency

S = TypeVar("S", bound="Sample")


@dataclass(frozen=True)
class Sample:
    """One mesh, or several concatenated, as tensors. Base of `GraphSample` and of a model's own samples.

    Everything in a sample is concatenated by `collate` according to its type, so that a subclass only adds fields:
    tensors along the first axis, `Adjacency` block-diagonally, dictionaries and tuples entry by entry, samples and
    other dataclasses field by field, integers are added up; None stays None. A batch is thus a sample of the same
    class with more than one mesh, and a network works on both.

    counts    {location: (n_meshes,) int64} rows of every mesh, for "point", "cell" and "global" (always 1)
    targets   {location: (rows, width)} true outputs in physical units; {} when predicting
    weights   {location: (rows,)} measure weights that add up to 1 over each mesh

    `features` names the float tensors (rows, width) that the estimator normalises, by channel.
    """

    counts: dict[str, Tensor]
    targets: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    features: ClassVar[tuple[str, ...]] = ()

    @property
    def n_meshes(self) -> int:
        """Number of meshes in the batch (1 for a single sample)."""
        return len(self.counts["global"])

    @property
    def cost(self) -> tuple[int, int]:
        """(points, edges) that count against the budgets of a batch; a subclass with more graphs adds them."""
        return int(self.counts["point"].sum()), 0

    def ptr(self, location: str) -> Int[Tensor, " n_meshes_plus_1"]:
        """Offsets of the meshes in the rows of `location`: mesh i owns rows ptr[i] to ptr[i + 1]."""
        counts = self.counts[location]
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    def mesh_index(self, location: str) -> Int[Tensor, " rows"]:
        """The number of the mesh that every row of `location` belongs to."""
        counts = self.counts[location]
        return torch.repeat_interleave(counts, output_size=self.rows(location))

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch."""
        if location == "global":
            return self.n_meshes
        return int(self.counts[location].sum())

    def feature_tensors(self) -> dict[str, Tensor]:
        """{name: (rows, width)} of everything the estimator normalises; override together with the next method."""
        return {name: getattr(self, name) for name in self.features if getattr(self, name) is not None}

    def with_feature_tensors(self: S, features: dict[str, Tensor]) -> S:
        """A copy with these features in the place of the old ones."""
        return self.replace(**features)

    @classmethod
    def extending(cls: type[S], base: Sample, **more: Any) -> S:
        """A sample of this class from one of its base class and the additional fields."""
        return cls(**{entry.name: getattr(base, entry.name) for entry in dataclasses.fields(base)}, **more)

    def replace(self: S, **changes: Any) -> S:
        """A copy with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def to(self: S, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> S:
        """A copy on another device and / or with floating-point tensors of another dtype."""
        return _convert(self, device, dtype)


@dataclass(frozen=True)
class GraphSample(Sample):
    """The standard sample of graph networks: `graph_sample(mesh, fields)` makes it.

    points         (n_points, dim) coordinates
    point_inputs   (n_points, f) point input fields in the order of the specs, then cell input fields averaged to
                   the points, then the boundary flag (1 on the boundary)
    global_inputs  (n_meshes, g) global input fields
    adjacency      graph of the points: row r holds the neighbours (senders) of point r
    edge_features  (n_edges, dim + 1) per edge of the adjacency: position of the sender relative to the receiver,
                   and its length
    cell_points    row c holds the points of cell c (global cell numbers); None unless a field lives on cells
    cell_inputs    (n_cells, c) cell input fields; None unless a field lives on cells
    """

    points: Float[Tensor, "n_points dim"] = field(kw_only=True)
    point_inputs: Float[Tensor, "n_points f"] = field(kw_only=True)
    global_inputs: Float[Tensor, "n_meshes g"] = field(kw_only=True)
    adjacency: Adjacency = field(kw_only=True)
    edge_features: Float[Tensor, "n_edges k"] = field(kw_only=True)
    cell_points: Adjacency | None = field(default=None, kw_only=True)
    cell_inputs: Float[Tensor, "n_cells c"] | None = field(default=None, kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("point_inputs", "global_inputs", "edge_features", "cell_inputs")

    @property
    def cost(self) -> tuple[int, int]:
        """(points, edges) that count against the budgets of a batch."""
        return len(self.points), self.adjacency.n_edges

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch (from shapes: nothing is read back from a device)."""
        if location == "point":
            return len(self.points)
        if location == "cell" and self.cell_points is not None:
            return self.cell_points.n_rows
        return super().rows(location)


def collate(samples: Sequence[S]) -> S:
    """Concatenate samples of the same class into one (see `Sample` for the rule of every type)."""
    if not samples:
        raise ParameterError("collate needs at least one sample.")
    return samples[0] if len(samples) == 1 else _join(list(samples))


def _join(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values)
    if first is None:
        return None
    if isinstance(first, Adjacency):
        return Adjacency.block_diagonal(values)
    if isinstance(first, dict):
        return {key: _join([value[key] for value in values]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_join(list(entries)) for entries in zip(*values, strict=True))
    if isinstance(first, (int, float)):
        return sum(values)
    if dataclasses.is_dataclass(first):
        fields = [f.name for f in dataclasses.fields(first)]
        make: Any = type(first)
        return make(**{name: _join([getattr(value, name) for value in values]) for name in fields})
    raise ParameterError(
        f"collate does not know how to concatenate a {type(first).__name__}: samples hold tensors, Adjacency, "
        "dictionaries, tuples, integers and dataclasses of these."
    )


def _convert(value: Any, device: torch.device | str | None, dtype: torch.dtype | None) -> Any:
    if isinstance(value, Tensor):
        kind = dtype if dtype is not None and value.is_floating_point() else value.dtype
        to_gpu = device is not None and torch.device(device).type == "cuda"  # the other way it must wait for the copy
        return value.to(device=device or value.device, dtype=kind, non_blocking=to_gpu)
    if isinstance(value, Adjacency):
        return value if device is None else value.to(torch.device(device))
    if isinstance(value, dict):
        return {key: _convert(inner, device, dtype) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_convert(inner, device, dtype) for inner in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: _convert(getattr(value, name), device, dtype) for name in names})  # type: ignore[type-var]
    return value
