"""Tags, exact shapes and types of our own VTK files, kept as JSON in `FieldData` (see `vtk_model`)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.tensors import TORCH_TYPES, restore

TAGS = "meshlearn"


def parse_tags(
    field_data: dict[str, np.ndarray], n_points: int, n_cells: int, builder: MeshBuilder
) -> dict[str, Any] | None:
    """Our JSON block if there is one and it still fits the data; it is taken out of `field_data`."""
    raw = field_data.pop(TAGS, None)
    if raw is None:
        return None
    try:
        tags = json.loads(np.asarray(raw).astype(np.uint8).tobytes().decode())
        blocks = [(str(kind), int(count)) for kind, count in tags["blocks"]]
        fits = tags["n_points"] == n_points and sum(count for _, count in blocks) == n_cells
        tags["blocks"], tags["dim"] = blocks, int(tags["dim"])
        for key in ("kinds", "point_data", "cell_data", "global_data", "point_sets", "cell_sets"):
            len(tags[key])
    except (ValueError, KeyError, TypeError):  # not ours, or edited: the plain arrays remain
        tags, fits = None, False
    if not fits:
        named = [name for name in field_data if name.startswith(("point_set:", "cell_set:"))]
        for name in named:
            del field_data[name]
        builder.lost(
            "points or cells were changed after meshlearn wrote the file, so its tags no longer fit"
            + (f": {', '.join(named)}" if named else "")
        )
        return None
    builder.dim = tags["dim"]
    builder.keeps_zeros = True
    return tags


def apply_tags(
    point_data: dict[str, np.ndarray],
    cell_data: dict[str, np.ndarray],
    field_data: dict[str, np.ndarray],
    blocks: list[tuple[Block, np.ndarray | slice]],
    tags: dict[str, Any] | None,
    builder: MeshBuilder,
) -> None:
    """Hand all arrays to the builder, with exact shapes and types where the tags tell them."""
    n_points = len(builder.points) if builder.points is not None else 0
    parts = ("point_data", "cell_data", "global_data", "point_sets", "cell_sets")
    ours: dict[str, Any] = tags or {part: {} for part in parts}
    for name, values in point_data.items():
        exact = ours["point_data"].get(name)
        if exact and _fits(values, exact):
            builder.point_data[name] = restore(values, exact["dtype"], [n_points, *exact["shape"]])
        else:
            builder.point_data[name] = values
    of_array = {entry["array"]: (name, entry) for name, entries in ours["cell_data"].items() for entry in entries}
    for array_name, values in cell_data.items():
        name, entry = of_array.get(array_name, (array_name, None))
        for block, rows in blocks:
            if entry is None:
                builder.add_cell_data(name, block, values[rows])
            elif block.kind in entry["kinds"] and _fits(values, entry):
                part = restore(np.ascontiguousarray(values[rows]), entry["dtype"], [block.count, *entry["shape"]])
                builder.set_cell_data(name, block.kind, part)
    _empty_cell_data(ours["cell_data"], blocks, builder)
    for name, rows in ours["point_sets"].items():
        builder.point_sets[name] = field_data.pop(rows, np.zeros(0, np.int64)).ravel().astype(np.int64)
    for name, kinds in ours["cell_sets"].items():
        for kind, array_name in kinds.items():
            builder.set_cell_set(name, kind, field_data.pop(array_name, np.zeros(0, np.int64)).ravel())
    for name, entry in ours["global_data"].items():
        if entry.get("array", name) in field_data:
            values = field_data.pop(entry.get("array", name))
            builder.global_data[name] = restore(values, entry["dtype"], entry["shape"])
        elif 0 in entry["shape"]:
            builder.global_data[name] = restore(np.zeros(0), entry["dtype"], entry["shape"])
    for name, values in field_data.items():
        single = values.size == 1
        builder.global_data[name] = values.reshape(()) if single else values


def _fits(values: np.ndarray, entry: dict[str, Any]) -> bool:
    width = int(np.prod(entry["shape"])) * (2 if entry["dtype"].startswith("complex") else 1)
    return values.size == len(values) * width and entry["dtype"] in TORCH_TYPES


def _empty_cell_data(
    entries: dict[str, Any], blocks: list[tuple[Block, np.ndarray | slice]], builder: MeshBuilder
) -> None:
    """Fields on kinds without cells have no rows in the file."""
    filled = {block.kind for block, _ in blocks if block.count}
    for name, parts in entries.items():
        for entry in parts:
            for kind in entry["kinds"]:
                if kind not in filled:
                    builder.set_cell_data(name, kind, restore(np.zeros(0), entry["dtype"], [0, *entry["shape"]]))
