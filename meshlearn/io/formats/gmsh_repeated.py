"""Elements of .msh files, and those of version 2 that are written once for each of their physical groups."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshlearn.io.builder import MeshBuilder


@dataclass
class Elements:
    """Elements of one type on one entity: their numbers, groups and nodes (numbers as in the file)."""

    kind: int
    dim: int
    entity: np.ndarray  # (n,)
    physical: np.ndarray | None  # (n,) in version 2; None: by entity
    tags: np.ndarray  # (n,)
    nodes: np.ndarray  # (n, k)
    more: list[tuple[int, np.ndarray]] = field(default_factory=list)  # (group, rows) beside `physical`

    def members(self) -> list[tuple[int, np.ndarray]]:
        """(group, its rows) of version 2, in ascending order."""
        rows: dict[int, list[np.ndarray]] = {}
        physical = np.zeros(0, np.int64) if self.physical is None else self.physical
        for group in np.unique(physical[physical != 0]).tolist():
            rows[group] = [np.flatnonzero(physical == group)]
        for group, found in self.more:
            rows.setdefault(group, []).append(found)
        return [(group, np.unique(np.concatenate(rows[group]))) for group in sorted(rows)]


def merge_repeated(elements: list[Elements], builder: MeshBuilder) -> list[Elements]:
    """Version 2 has room for one group per record, so an element of two groups is written twice: one cell of both."""
    by_kind: dict[int, list[Elements]] = {}
    for part in elements:
        by_kind.setdefault(part.kind, []).append(part)
    merged, dropped = [], 0
    for kind, parts in by_kind.items():
        if any(part.physical is None for part in parts):
            merged += parts
            continue
        physical = np.concatenate([part.physical for part in parts if part.physical is not None])
        entity, tags, nodes = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("entity", "tags", "nodes")
        )
        first = _first_alike(np.column_stack([entity, nodes]))
        kept = first == np.arange(len(first))
        row = np.cumsum(kept) - 1
        again = np.flatnonzero(~kept)
        more = [
            (group, row[first[again[physical[again] == group]]])
            for group in np.unique(physical[again]).tolist()
            if group
        ]
        dropped += len(again)
        merged.append(Elements(kind, parts[0].dim, entity[kept], physical[kept], tags[kept], nodes[kept], more))
    if dropped:
        builder.note(
            f"{dropped} elements that the file repeats (once for each of their physical groups) are one cell each"
        )
    return merged


def _first_alike(rows: np.ndarray) -> np.ndarray:
    """For every row the number of the first row that equals it."""
    n_rows = len(rows)
    own = np.arange(n_rows)
    weights = np.random.default_rng(0).integers(1, 2**62, rows.shape[1])
    with np.errstate(over="ignore"):
        mixed = (rows * weights).sum(1)  # equal rows have equal sums; unlike rows hardly ever
    if len(np.unique(mixed)) == n_rows:
        return own
    order = np.lexsort((own, *rows.T))
    new = np.ones(n_rows, bool)
    new[1:] = (rows[order[1:]] != rows[order[:-1]]).any(1)
    first = np.empty(n_rows, np.int64)
    first[order] = order[new][np.cumsum(new) - 1]
    return first
