"""Integer references of cells (Medit, MFEM, FreeFem, SU2 ...) as cell sets, and back."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh


def add_refs(builder: MeshBuilder, block: Block, refs: np.ndarray, name: str, prefix: str = "ref_") -> None:
    """Keep references as cell data `name`, and as one cell set per value (`ref_3`) unless all are 0."""
    refs = refs.astype(np.int64)
    builder.add_cell_data(name, block, refs)
    if refs.any():
        for value in np.unique(refs).tolist():
            builder.add_cell_set(f"{prefix}{value}", block, np.flatnonzero(refs == value))


def cell_refs(mesh: Mesh, kind: str, name: str, losses: list[str]) -> np.ndarray:
    """One number per cell: the data `name` if there is one, else numbers of the cell sets (`ref_3` is 3); 0 without."""
    count = len(mesh.cells[kind])
    if kind in mesh.cell_data.get(name, {}):
        return to_numpy(mesh.cell_data[name][kind]).astype(np.int64)
    refs, taken = np.zeros(count, np.int64), set_numbers(mesh)
    for set_name, by_kind in mesh.cell_sets.items():
        if kind in by_kind:
            rows = to_numpy(by_kind[kind])
            if refs[rows].any():
                losses.append(
                    f"cell set {set_name!r} as a whole: its cells are also in others, and a cell has one number"
                )
            refs[rows] = np.where(refs[rows] == 0, taken[set_name], refs[rows])
    return refs


def set_numbers(mesh: Mesh) -> dict[str, int]:
    """A number for every cell set; `ref_3`, `domain_3`, `boundary_3` and `physical_3` get 3."""
    numbers: dict[str, int] = {}
    for name in mesh.cell_sets:
        tail = name.rpartition("_")[2]
        numbers[name] = int(tail) if "_" in name and tail.isdigit() and int(tail) else 0
    used = set(numbers.values())
    for name, number in numbers.items():
        if not number:
            numbers[name] = next(k for k in range(1, len(numbers) + len(used) + 2) if k not in used)
            used.add(numbers[name])
    return numbers


def renamed(mesh: Mesh) -> list[str]:
    """Says which numbers stand for sets whose names the format cannot hold."""
    if not mesh.cell_sets:
        return []
    changed = {n: k for n, k in set_numbers(mesh).items() if not n.endswith(f"_{k}")}
    return (
        [f"names of cell sets (kept as numbers: {', '.join(f'{n!r} = {k}' for n, k in changed.items())})"]
        if changed
        else []
    )
