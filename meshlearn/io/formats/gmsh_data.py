"""Views of .msh files: $NodeData and $ElementData."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.formats.gmsh_text import MshCursor
from meshlearn.io.positions import Positions
from meshlearn.io.texts import text_of


@dataclass
class View:
    """One step of one view."""

    where: str  # "NodeData" | "ElementData"
    name: str
    time: float
    step: int
    tags: np.ndarray  # (n,)
    values: np.ndarray  # (n, components)


def read_view(cursor: MshCursor, section: str) -> View:
    """Read a view; the cursor stands behind the section's name."""
    strings = [text_of(cursor.line(), cursor.builder).strip().strip('"') for _ in range(int(cursor.line()))]
    reals = [float(cursor.line()) for _ in range(int(cursor.line()))]
    integers = [int(cursor.line()) for _ in range(int(cursor.line()))]
    if len(integers) < 3:
        raise cursor.builder.fail(f"a ${section} section has {len(integers)} integer tags, expected 3")
    components, count = integers[1], integers[2]
    if cursor.binary:
        rows = cursor.records(count, [("tag", "i4"), ("values", "f8", (components,))])
        tags, values = rows["tag"].astype(np.int64), rows["values"].astype(np.float64)
        cursor.end(section)
    else:
        flat = cursor.numbers(section)
        if len(flat) != count * (1 + components):
            raise cursor.builder.fail(
                f"view {strings[0] if strings else ''!r} announces {count} rows of {components} values, "
                f"it holds {len(flat)} numbers"
            )
        table = flat.reshape(count, 1 + components)
        tags, values = table[:, 0].astype(np.int64), table[:, 1:]
    return View(section, strings[0] if strings else section, reals[0] if reals else 0.0, integers[0], tags, values)


def add_views(
    views: list[View], node_tags: np.ndarray, blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder
) -> None:
    """Hand the views to the builder, as fields, or as series where a view has several steps."""
    steps: dict[tuple[str, str], list[View]] = {}
    for view in views:
        steps.setdefault((view.where, view.name), []).append(view)
    series = {key: found for key, found in steps.items() if len(found) > 1}
    times = sorted({view.time for found in series.values() for view in found})
    if series and any([view.time for view in found] != times for found in series.values()):
        steps = {(where, f"{name}_step{view.step}"): [view] for (where, name), f in steps.items() for view in f}
        builder.note("views have steps at unlike times; every step became a field of its own")
        series = {}
    if series:
        builder.times = np.asarray(times)
    for (where, name), found in steps.items():
        if where == "NodeData":
            arrays = np.stack([_on_nodes(view, node_tags, builder) for view in found])
            if len(found) > 1:
                builder.step_point_data[name] = arrays
            else:
                builder.point_data[name] = arrays[0]
        else:
            _on_elements(name, found, blocks, builder)


def _place(view: View, numbers: np.ndarray, what: str, builder: MeshBuilder) -> np.ndarray:
    """The view's values at the given numbers, NaN where it has none."""
    where = Positions(view.tags)(numbers)
    values = view.values[:, 0] if view.values.shape[1] == 1 else view.values
    if len(values) and (where >= 0).all():
        return values[where]
    placed = np.full((len(numbers), *values.shape[1:]), np.nan)
    placed[where >= 0] = values[where[where >= 0]]
    builder.note(
        f"view {view.name!r} has values for {int((where >= 0).sum())} of {len(numbers)} {what}; the others hold NaN"
    )
    return placed


def _on_nodes(view: View, node_tags: np.ndarray, builder: MeshBuilder) -> np.ndarray:
    return _place(view, node_tags, "nodes", builder)


def _on_elements(name: str, found: list[View], blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder) -> None:
    by_kind: dict[str, list[np.ndarray]] = {}
    for block, tags in blocks:
        by_kind.setdefault(block.kind, []).append(tags)
    for kind, parts in by_kind.items():
        numbers = np.concatenate(parts)
        if not any(np.isin(numbers, view.tags).any() for view in found):
            continue
        arrays = np.stack([_place(view, numbers, f"{kind} elements", builder) for view in found])
        if len(found) > 1:
            builder.step_cell_data.setdefault(name, {})[kind] = arrays
        else:
            import torch

            builder.set_cell_data(name, kind, torch.from_numpy(np.ascontiguousarray(arrays[0])))
