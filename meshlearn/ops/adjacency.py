"""Who sends to whom, as compressed rows sorted by receiver: the one graph type of meshlearn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops.pointers import check_ptr, counts_to_ptr, integer_range, ptr_to_rows


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Directed edges sorted by receiver: row r holds the senders of r.

    - ptr: (n_rows + 1,) int64, starts at 0, never falls, ends at n_edges.
    - index: (n_edges,) int64, senders; `index[ptr[r]:ptr[r + 1]]` send to row r.
    - n_cols: number of possible senders; n_rows when left out.

    Edge tensors (messages, edge features, weights) follow this order. The constructor checks only what costs nothing
    (shapes, dtypes, devices); use `Adjacency.from_edges` or `Adjacency.from_ptr` for data that may be wrong.
    Derived tensors (`receivers`, `transpose()`) are computed once and kept.

    >>> graph = ml.ops.Adjacency.from_edges(torch.tensor([2, 0, 1]), torch.tensor([0, 1, 0]), n_rows=3)
    >>> graph.ptr, graph.index
    (tensor([0, 2, 3, 3]), tensor([1, 2, 0]))
    """

    ptr: Int64[Tensor, " n_offsets"]
    index: Int64[Tensor, " n_edges"]
    n_cols: int = -1
    # kept once computed; plain fields rather than cached properties, so that compilers can follow them
    _receivers: Tensor | None = field(default=None, init=False, repr=False)
    _transposed: tuple[Adjacency, Tensor] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.ptr.dim() != 1 or self.ptr.numel() == 0 or self.index.dim() != 1:
            raise MeshError(
                f"an Adjacency needs ptr (n_rows + 1,) and index (n_edges,), got {tuple(self.ptr.shape)} and "
                f"{tuple(self.index.shape)}; a graph without rows has ptr = [0]"
            )
        if self.ptr.dtype != torch.int64 or self.index.dtype != torch.int64:
            raise MeshError(f"ptr and index must be int64, got {self.ptr.dtype} and {self.index.dtype}: use .long()")
        if self.ptr.device != self.index.device:
            raise MeshError(f"ptr is on {self.ptr.device} and index on {self.index.device}: move both to one device")
        if self.n_cols == -1:
            object.__setattr__(self, "n_cols", self.n_rows)

    @classmethod
    def from_ptr(
        cls,
        ptr: Int64[Tensor, " n_offsets"],
        index: Int64[Tensor, " n_edges"],
        n_cols: int | None = None,
        validate: bool = True,
    ) -> Adjacency:
        """From compressed rows; checks offsets and indices unless `validate` is False.

        The check is one pass that reads back to the host.

        Raises MeshError: ptr does not start at 0, falls, or does not end at n_edges; an index out of range.
        """
        adjacency = cls(ptr, index, -1 if n_cols is None else n_cols)
        return adjacency.validate() if validate else adjacency

    @classmethod
    def from_edges(
        cls,
        senders: Int64[Tensor, " n_edges"],
        receivers: Int64[Tensor, " n_edges"],
        n_rows: int,
        n_cols: int | None = None,
    ) -> Adjacency:
        """From an edge list in any order: sorts by receiver, then sender; repeated edges are kept.

        Raises MeshError for a sender or receiver out of range.
        """
        return cls.from_edges_with_order(senders, receivers, n_rows, n_cols)[0]

    @classmethod
    def from_edges_with_order(
        cls,
        senders: Int64[Tensor, " n_edges"],
        receivers: Int64[Tensor, " n_edges"],
        n_rows: int,
        n_cols: int | None = None,
    ) -> tuple[Adjacency, Int64[Tensor, " n_edges"]]:
        """`from_edges`, and the order: edge e of the adjacency is edge order[e] of the input (for edge features)."""
        n_cols = n_rows if n_cols is None else n_cols
        _check_range("senders", senders, n_cols)
        _check_range("receivers", receivers, n_rows)
        keys, order = torch.sort(receivers * max(n_cols, 1) + senders, stable=True)
        rows = keys // max(n_cols, 1)
        ptr = counts_to_ptr(torch.bincount(rows, minlength=n_rows))
        adjacency = cls(ptr, keys - rows * max(n_cols, 1), n_cols)
        adjacency._keep(receivers=rows)
        return adjacency, order

    @classmethod
    def block_diagonal(cls, parts: Sequence[Adjacency]) -> Adjacency:
        """One graph of many, without edges between them; a cached transpose is kept when all parts have one.

        >>> pair = ml.ops.Adjacency(torch.tensor([0, 1, 2]), torch.tensor([1, 0]))
        >>> ml.ops.Adjacency.block_diagonal([pair, pair]).index
        tensor([1, 0, 3, 2])
        """
        if not parts:
            raise MeshError("Adjacency.block_diagonal needs at least one part, got an empty list")
        if len(parts) == 1:
            return parts[0]
        joined = cls(
            *_concatenate([(p.ptr, p.index) for p in parts], [p.n_cols for p in parts]), sum(p.n_cols for p in parts)
        )
        if all(p._transposed is not None for p in parts):
            halves = [p.transpose() for p in parts]
            ptr, index = _concatenate([(t.ptr, t.index) for t, _ in halves], [p.n_rows for p in parts])
            order = torch.cat([perm + shift for (_, perm), shift in zip(halves, _shifts(parts), strict=True)])
            joined._keep(transposed=(cls(ptr, index, joined.n_rows), order))
        return joined

    @property
    def n_rows(self) -> int:
        """Number of receivers."""
        return self.ptr.shape[0] - 1

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return self.index.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_cols), as of a matrix."""
        return self.n_rows, self.n_cols

    @property
    def device(self) -> torch.device:
        """Device of both tensors."""
        return self.ptr.device

    @property
    def receivers(self) -> Int64[Tensor, " n_edges"]:
        """(n_edges,) int64: the row of every edge, non-decreasing."""
        found = self._receivers
        if found is None:
            found = ptr_to_rows(self.ptr, self.n_edges)
            self._keep(receivers=found)
        return found

    def degree(self) -> Int64[Tensor, " n_rows"]:
        """(n_rows,) int64: number of senders of every row."""
        return self.ptr.diff()

    def edge_index(self) -> Int64[Tensor, "2 n_edges"]:
        """(2, n_edges) int64: [senders, receivers], as PyTorch Geometric has it."""
        return torch.stack([self.index, self.receivers])

    def transpose(self) -> tuple[Adjacency, Int64[Tensor, " n_edges"]]:
        """The reversed edges sorted by sender, and perm: edge e of the transpose is edge perm[e] of this. Cached."""
        found = self._transposed
        if found is None:
            senders, perm = torch.sort(self.index, stable=True)
            ptr = counts_to_ptr(torch.bincount(senders, minlength=self.n_cols))
            other = Adjacency(ptr, self.receivers.index_select(0, perm), self.n_rows)
            other._keep(receivers=senders)
            found = other, perm
            self._keep(transposed=found)
        return found

    @property
    def has_transpose(self) -> bool:
        """Whether `transpose()` has been computed."""
        return self._transposed is not None

    def _keep(self, receivers: Tensor | None = None, transposed: tuple[Adjacency, Tensor] | None = None) -> None:
        if receivers is not None:
            object.__setattr__(self, "_receivers", receivers)
        if transposed is not None:
            object.__setattr__(self, "_transposed", transposed)

    @cached_property
    def symmetric(self) -> bool:
        """Whether every edge has its reverse (with the same multiplicity), order within a row aside."""
        if self.n_rows != self.n_cols:
            return False
        there = torch.sort(self.receivers * self.n_cols + self.index)[0]
        back = torch.sort(self.index * self.n_cols + self.receivers)[0]
        return bool(torch.equal(there, back))

    def to(self, device: torch.device | str) -> Adjacency:
        """This adjacency on another device, with what was cached; itself when it is there already."""
        device = torch.device(device)
        if self.ptr.device == device or (device.index is None and self.ptr.device.type == device.type):
            return self
        moved = Adjacency(self.ptr.to(device), self.index.to(device), self.n_cols)
        if self._receivers is not None:
            moved._keep(receivers=self._receivers.to(device))
        if self._transposed is not None:
            other, perm = self._transposed
            moved._keep(transposed=(other.to(device), perm.to(device)))
        return moved

    def validate(self) -> Adjacency:
        """Return self if offsets and indices are right, else raise MeshError naming the first fault."""
        check_ptr(self.ptr, self.n_edges)
        _check_range("index", self.index, self.n_cols)
        return self

    def __repr__(self) -> str:
        return f"Adjacency(n_rows={self.n_rows}, n_cols={self.n_cols}, n_edges={self.n_edges}, device={self.device})"


def _check_range(name: str, values: Tensor, bound: int) -> None:
    if values.numel() == 0:
        return
    low, high = integer_range(values)
    if low < 0 or high >= bound:
        worst = low if low < 0 else high
        raise MeshError(
            f"{name} holds {worst}, but must lie in [0, {bound}).\n"
            f"  {values.numel()} values from {low} to {high}; is the size right, are the ids 0-based?"
        )


def _shifts(parts: Sequence[Adjacency]) -> list[int]:
    total, shifts = 0, []
    for part in parts:
        shifts.append(total)
        total += part.n_edges
    return shifts


def _concatenate(rows: list[tuple[Tensor, Tensor]], widths: list[int]) -> tuple[Tensor, Tensor]:
    ptrs, indices, edges, columns = [rows[0][0][:1]], [], 0, 0
    for (ptr, index), width in zip(rows, widths, strict=True):
        ptrs.append(ptr[1:] + edges)
        indices.append(index + columns)
        edges += index.shape[0]
        columns += width
    return torch.cat(ptrs), torch.cat(indices)
