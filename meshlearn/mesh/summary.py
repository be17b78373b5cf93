"""A mesh in a few lines that a person can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from meshlearn.mesh.mesh import Mesh


def summary(mesh: Mesh) -> str:
    """The text behind `repr(mesh)`: sizes, fields with their shapes, tags, source and what a reader reported."""
    cells = ", ".join(f"{count} {kind}" for kind, count in mesh.cell_counts.items()) or "point cloud"
    lines = [f"Mesh({mesh.n_points} points in {mesh.dim}-D, {cells})"]
    lines += _row("point_data", [_with_shape(k, v, 1) for k, v in mesh.point_data.items()])
    lines += _row("cell_data", [_cell_field(k, v) for k, v in mesh.cell_data.items()])
    lines += _row("global_data", [_with_shape(k, v, 0) for k, v in mesh.global_data.items()])
    lines += _row("point_sets", [f"{k} [{len(v)}]" for k, v in mesh.point_sets.items()])
    lines += _row("cell_sets", [_cell_set(k, v) for k, v in mesh.cell_sets.items()])
    if mesh.source:
        lines += _row("source", [mesh.source])
    lines += [f"  note         {note}" for note in mesh.report]
    return "\n".join(lines)


def _row(label: str, entries: list[str]) -> list[str]:
    return [f"  {label:<12} {', '.join(entries)}"] if entries else []


def _with_shape(name: str, values: Tensor, skip: int) -> str:
    if not skip and values.ndim == 0 and not values.requires_grad and values.device.type == "cpu":
        return f"{name} = {values.item():.6g}" if values.is_floating_point() else f"{name} = {values.item()}"
    return f"{name} ({', '.join(str(n) for n in values.shape[skip:])})"


def _cell_field(name: str, per_type) -> str:
    shapes = {tuple(values.shape[1:]) for values in per_type.values()}
    shape = f"({', '.join(str(n) for n in shapes.pop())})" if len(shapes) == 1 else "(differs by type)"
    return f"{name} {shape} on {', '.join(per_type)}"


def _cell_set(name: str, per_type) -> str:
    return f"{name} [{', '.join(f'{len(rows)} {kind}' for kind, rows in per_type.items())}]"
