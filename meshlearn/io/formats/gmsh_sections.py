"""Nodes, elements and entities of .msh files, one function per section and version."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.io.celltypes import GMSH, NODES
from meshlearn.io.formats.gmsh_text import MshCursor, Walk
from meshlearn.mesh.cells import cell_dim

Found = list[tuple[int, int, np.ndarray, Any, np.ndarray, np.ndarray]]  # the fields of gmsh.Elements


def _nodes_of(kind: int, cursor: MshCursor) -> int:
    if kind not in GMSH:
        raise cursor.builder.fail(f"element type {kind} is not supported")
    return NODES[GMSH[kind]]


# -- version 2 ---------------------------------------------------------------------------------------------------------


def nodes_2(cursor: MshCursor) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, (n, 3) points)."""
    if cursor.binary:
        count = int(cursor.line())
        rows = cursor.records(count, [("tag", "i4"), ("x", "f8", (3,))])
        cursor.end("Nodes")
        return rows["tag"].astype(np.int64), rows["x"].astype(np.float64)
    walk = Walk(cursor, "Nodes")
    (count,) = walk.integers(1)
    if len(walk.values) != 1 + 4 * count:
        raise cursor.builder.fail(f"$Nodes announces {count} nodes, {(len(walk.values) - 1) / 4:g} are present")
    rows = walk.take(4 * count).reshape(count, 4)
    return rows[:, 0].astype(np.int64), np.ascontiguousarray(rows[:, 1:])


def elements_2(cursor: MshCursor) -> Found:
    """Elements in runs of one type."""
    runs = _binary_runs_2(cursor) if cursor.binary else _text_runs_2(cursor)
    found: Found = []
    for kind, n_tags, rows in runs:
        physical = rows[:, 1] if n_tags > 0 else np.zeros(len(rows), np.int64)
        entity = rows[:, 2] if n_tags > 1 else np.zeros(len(rows), np.int64)
        found.append((kind, cell_dim(GMSH[kind]), entity, physical, rows[:, 0], rows[:, 1 + n_tags :]))
    return found


def _binary_runs_2(cursor: MshCursor) -> list[tuple[int, int, np.ndarray]]:
    count, done = int(cursor.line()), 0
    runs = []
    while done < count:
        kind, follow, n_tags = cursor.take(3, "i4").tolist()
        width = 1 + n_tags + _nodes_of(kind, cursor)
        runs.append((kind, n_tags, cursor.take(follow * width, "i4").reshape(follow, width).astype(np.int64)))
        done += max(follow, 1)
    cursor.end("Elements")
    merged: list[tuple[int, int, np.ndarray]] = []
    pending: list[np.ndarray] = []
    for run in runs:  # Gmsh writes every element under a header of its own
        if merged and merged[-1][:2] == run[:2] and len(run[2]) == 1:
            pending.append(run[2])
            continue
        if merged:
            merged[-1] = (*merged[-1][:2], np.concatenate(pending))
        merged.append(run)
        pending = [run[2]]
    if merged:
        merged[-1] = (*merged[-1][:2], np.concatenate(pending))
    return merged


def _text_runs_2(cursor: MshCursor) -> list[tuple[int, int, np.ndarray]]:
    values = cursor.numbers("Elements").astype(np.int64).tolist()
    count, position = values[0] if values else 0, 1
    runs: list[tuple[int, int, list[list[int]]]] = []
    for element in range(count):
        if position + 3 > len(values):
            raise cursor.builder.fail(f"$Elements announces {count} elements, {element} are present")
        kind, n_tags = values[position + 1], values[position + 2]
        end = position + 3 + n_tags + _nodes_of(kind, cursor)
        row = [values[position], *values[position + 3 : end]]
        if end > len(values) or n_tags < 0:
            raise cursor.builder.fail(f"element {values[position]} is cut off")
        if not runs or runs[-1][:2] != (kind, n_tags):
            runs.append((kind, n_tags, []))
        runs[-1][2].append(row)
        position = end
    if position != len(values):
        raise cursor.builder.fail(f"$Elements announces {count} elements and holds more numbers than these need")
    return [(kind, n_tags, np.array(rows, np.int64)) for kind, n_tags, rows in runs]


# -- version 4 ---------------------------------------------------------------------------------------------------------


def entities_4(cursor: MshCursor) -> dict[tuple[int, int], list[int]]:
    """{(dimension, entity): physical groups}."""
    groups: dict[tuple[int, int], list[int]] = {}
    old = cursor.version < 4.1
    if cursor.binary:
        counts = cursor.take(4, "u8").tolist()
        for dim, count in enumerate(counts):
            for _ in range(count):
                tag = int(cursor.take(1, "i4")[0])
                cursor.take(3 if dim == 0 and not old else 6, "f8")
                groups[dim, tag] = cursor.take(int(cursor.take(1, "u8")[0]), "i4").tolist()
                if dim:
                    cursor.take(int(cursor.take(1, "u8")[0]), "i4")
        cursor.end("Entities")
        return groups
    walk = Walk(cursor, "Entities")
    for dim, count in enumerate(walk.integers(4)):
        for _ in range(count):
            (tag,) = walk.integers(1)
            walk.take(3 if dim == 0 and not old else 6)
            groups[dim, tag] = walk.integers(walk.integers(1)[0])
            if dim:
                walk.take(walk.integers(1)[0])
    return groups


def nodes_4(cursor: MshCursor) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, (n, 3) points)."""
    tags, points = [], []
    old = cursor.version < 4.1
    if cursor.binary:
        n_blocks, total = cursor.take(2 if old else 4, "u8").tolist()[:2]
        for _ in range(n_blocks):
            first, second, parametric = cursor.take(3, "i4").tolist()
            (count,) = cursor.take(1, "u8").tolist()
            if old:
                extra = second if parametric else 0
                rows = cursor.records(count, [("tag", "i4"), ("x", "f8", (3 + extra,))])
                tags.append(rows["tag"].astype(np.int64))
                points.append(rows["x"][:, :3].astype(np.float64))
            else:
                extra = first if parametric else 0
                tags.append(cursor.take(count, "u8").astype(np.int64))
                points.append(cursor.take(count * (3 + extra), "f8").reshape(count, 3 + extra)[:, :3])
        cursor.end("Nodes")
    else:
        walk = Walk(cursor, "Nodes")
        n_blocks, total = walk.integers(2 if old else 4)[:2]
        for _ in range(n_blocks):
            first, second, parametric, count = walk.integers(4)
            extra = (second if old else first) if parametric else 0
            if old:
                rows = walk.take(count * (4 + extra)).reshape(count, 4 + extra)
                tags.append(rows[:, 0].astype(np.int64))
                points.append(rows[:, 1:4])
            else:
                tags.append(walk.take(count).astype(np.int64))
                points.append(walk.take(count * (3 + extra)).reshape(count, 3 + extra)[:, :3])
        walk.finish()
    numbers = np.concatenate(tags) if tags else np.zeros(0, np.int64)
    if len(numbers) != total:
        raise cursor.builder.fail(f"$Nodes announces {total} nodes, {len(numbers)} are present")
    return numbers, np.ascontiguousarray(np.concatenate(points)) if points else np.zeros((0, 3))


def elements_4(cursor: MshCursor) -> Found:
    """Elements in blocks of one type and entity."""
    found: Found = []
    old = cursor.version < 4.1
    walk = None if cursor.binary else Walk(cursor, "Elements")
    if walk is None:
        n_blocks, total = cursor.take(2 if old else 4, "u8").tolist()[:2]
    else:
        n_blocks, total = walk.integers(2 if old else 4)[:2]
    for _ in range(n_blocks):
        if walk is None:
            first, second, kind = cursor.take(3, "i4").tolist()
            (count,) = cursor.take(1, "u8").tolist()
            width = 1 + _nodes_of(kind, cursor)
            rows = cursor.take(count * width, "i4" if old else "u8").reshape(count, width).astype(np.int64)
        else:
            first, second, kind, count = walk.integers(4)
            width = 1 + _nodes_of(kind, cursor)
            rows = walk.take(count * width).reshape(count, width).astype(np.int64)
        dim, entity = (second, first) if old else (first, second)
        found.append((kind, dim, np.full(count, entity, np.int64), None, rows[:, 0], rows[:, 1:]))
    if walk is None:
        cursor.end("Elements")
    else:
        walk.finish()
    present = sum(len(entry[4]) for entry in found)
    if present != total:
        raise cursor.builder.fail(f"$Elements announces {total} elements, {present} are present")
    return found
