"""The `$Meshlearn` section of our own .msh files: what Gmsh's format lacks, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import TO_GMSH
from meshlearn.io.positions import Positions
from meshlearn.io.tensors import TORCH_TYPES, file_array, restore
from meshlearn.mesh.mesh import Mesh


def describe(mesh: Mesh) -> tuple[dict[str, Any], list[tuple[str, str, np.ndarray, np.ndarray]]]:
    """(the JSON structure, the views (section, name, element or node numbers from 1, rows of values))."""
    first, numbers = 1, {}
    for kind, table in mesh.cells.items():
        numbers[kind] = np.arange(first, first + len(table))
        first += len(table)
    views: list[tuple[str, str, np.ndarray, np.ndarray]] = []
    own: dict[str, Any] = {
        "format": 1,
        "dim": mesh.dim,
        "points": str(mesh.points.dtype).removeprefix("torch."),
        "n_points": mesh.n_points,
        "kinds": {kind: len(table) for kind, table in mesh.cells.items()},
        "point_data": {},
        "cell_data": {},
        "global_data": {name: _plain(tensor) for name, tensor in mesh.global_data.items()},
        "point_sets": {name: rows.tolist() for name, rows in mesh.point_sets.items()},
        "cell_sets": {n: {kind: rows.tolist() for kind, rows in by.items()} for n, by in mesh.cell_sets.items()},
    }
    for name, tensor in mesh.point_data.items():
        own["point_data"][name] = _field("NodeData", name, tensor, np.arange(1, mesh.n_points + 1), views)
    for name, by_kind in mesh.cell_data.items():
        own["cell_data"][name] = {}
        groups: dict[tuple, list[str]] = {}
        for kind, tensor in by_kind.items():
            groups.setdefault((tensor.dtype, tensor.shape[1:]), []).append(kind)
        for kinds in groups.values():
            view = name if len(groups) == 1 else f"{name}:{'+'.join(kinds)}"
            joined = torch.cat([by_kind[kind].detach().cpu() for kind in kinds])
            entry = _field("ElementData", view, joined, np.concatenate([numbers[kind] for kind in kinds]), views)
            if entry.get("inline"):
                own["cell_data"][name] |= {kind: _plain(by_kind[kind]) | {"inline": True} for kind in kinds}
            else:
                own["cell_data"][name] |= dict.fromkeys(kinds, entry)
    return own, views


def clean(name: str) -> str:
    """A name as Gmsh's quoted strings can hold it."""
    return " ".join(name.replace('"', "'").split()) or "unnamed"


def _plain(tensor: torch.Tensor) -> dict[str, Any]:
    """A tensor as JSON (floats are written so that they come back exactly)."""
    values, dtype, _ = file_array(tensor)
    return {"dtype": dtype, "shape": list(tensor.shape), "values": values.ravel().tolist()}


def _field(where: str, view: str, tensor: torch.Tensor, numbers: np.ndarray, views: list) -> dict[str, Any]:
    """Put the field into a view of 1, 3 or 9 components of float64; into the JSON where these cannot hold it."""
    values, dtype, shape = file_array(tensor)
    width = values.shape[1]
    exact = values.dtype.kind == "f" or not values.size or int(np.abs(values.astype(np.float64)).max()) < 2**53
    if not exact or width == 0 or width > 9:
        return _plain(tensor) | {"inline": True}
    view = clean(view)
    while any(view == other and where == section for section, other, *_ in views):
        view += "'"
    room = next(size for size in (1, 3, 9) if size >= width)
    views.append((where, view, numbers, np.pad(values.astype(np.float64), ((0, 0), (0, room - width)))))
    return {"dtype": dtype, "shape": shape, "view": view, "width": width}


def fits(msh: Any) -> bool:
    """Whether the section still describes the file (Gmsh carries it along when it changes and saves a mesh)."""
    own = msh.own
    counts: dict[int, int] = {}
    for elements in msh.elements:
        counts[elements.kind] = counts.get(elements.kind, 0) + len(elements.tags)
    expected = {TO_GMSH[kind]: count for kind, count in own["kinds"].items() if count}
    numbers = np.concatenate([elements.tags for elements in msh.elements] or [np.zeros(0, np.int64)])
    return (
        own["n_points"] == len(msh.tags)
        and counts == expected
        and bool((msh.tags == np.arange(1, len(msh.tags) + 1)).all())
        and np.array_equal(np.sort(numbers), np.arange(1, len(numbers) + 1))
    )


def finish(msh: Any, blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder) -> None:
    """Restore order, types, shapes and sets of a file of ours."""
    own = msh.own
    _sort_cells(own, blocks, builder)
    builder.dim = int(own["dim"])
    builder.keeps_zeros = True
    if own["points"] == "float32" and builder.points is not None:
        builder.points = builder.points.astype(np.float32)
    views: dict[tuple[str, str], list[Any]] = {}
    for view in msh.views:
        views.setdefault((view.where, view.name), []).append(view)
    for name, entry in own["point_data"].items():
        tensor = _tensor(entry, views, "NodeData", np.arange(1, len(msh.tags) + 1))
        if tensor is None:
            builder.lost(f"point data {name!r}: its view is not in the file")
        else:
            builder.point_data[name] = tensor
    first = 1
    for kind, count in own["kinds"].items():
        numbers = np.arange(first, first + count)
        first += count
        for name, by_kind in own["cell_data"].items():
            if kind in by_kind:
                tensor = _tensor(by_kind[kind], views, "ElementData", numbers)
                if tensor is None:
                    builder.lost(f"cell data {name!r}: its view is not in the file")
                else:
                    builder.set_cell_data(name, kind, tensor)
    for name, entry in own["global_data"].items():
        builder.global_data[name] = _from_plain(entry)
    for name, rows in own["point_sets"].items():
        builder.point_sets[name] = np.asarray(rows, np.int64)
    for name, sets in own["cell_sets"].items():
        for kind, rows in sets.items():
            builder.set_cell_set(name, kind, np.asarray(rows, np.int64))


def _sort_cells(own: dict[str, Any], blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder) -> None:
    tables = builder.cells()
    order: dict[str, list[np.ndarray]] = {}
    for block, tags in blocks:
        order.setdefault(block.kind, []).append(tags)
    builder._tables = {kind: [tables[kind][np.argsort(np.concatenate(tags))]] for kind, tags in order.items()}
    builder.keep_kinds_in_order(own["kinds"])


def _from_plain(entry: dict[str, Any]) -> torch.Tensor:
    dtype = TORCH_TYPES[entry["dtype"]]
    kind = np.float64 if dtype.is_floating_point or dtype.is_complex else np.int64
    return restore(np.asarray(entry["values"], kind), entry["dtype"], entry["shape"])


def _tensor(entry: dict[str, Any], views: dict, where: str, numbers: np.ndarray) -> torch.Tensor | None:
    """The field's rows for the given numbers; None if its view is gone."""
    if entry.get("inline"):
        return _from_plain(entry)
    shape = [len(numbers), *entry["shape"]]
    if not len(numbers):
        return restore(np.zeros(0), entry["dtype"], shape)
    for view in views.get((where, entry["view"]), []):
        rows = Positions(view.tags)(numbers)
        if (rows >= 0).all():
            values = np.ascontiguousarray(view.values[rows][:, : entry["width"]])
            if entry["dtype"].startswith(("int", "uint", "bool")):
                values = values.astype(np.int64)
            return restore(values, entry["dtype"], shape)
    return None
