"""Writing .msh files, version 4.1: cell sets as physical groups, fields as views, the rest in `$Meshlearn`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import numpy as np

from meshlearn.errors import MeshWriteError
from meshlearn.io.celltypes import FROM_GMSH, TO_GMSH, reorder
from meshlearn.io.formats.gmsh_own import clean, describe
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh


def write_msh(mesh: Mesh, path: Path, binary: bool) -> list[str]:
    """Write the mesh; raises MeshWriteError for kinds of cells that Gmsh does not have."""
    unknown = [kind for kind in mesh.cells if kind not in TO_GMSH]
    if unknown:
        raise MeshWriteError(f"Gmsh has no element type for {', '.join(unknown)} (mesh cells: {mesh.cell_counts}).")
    groups = _groups(mesh)
    entities = _entities(mesh, groups)
    own, views = describe(mesh)
    points = np.pad(to_numpy(mesh.points).astype(np.float64), ((0, 0), (0, 3 - mesh.dim)))
    with open(path, "wb") as file:
        file.write(f"$MeshFormat\n4.1 {int(binary)} 8\n".encode())
        if binary:
            file.write(np.int32(1).tobytes() + b"\n")
        file.write(b"$EndMeshFormat\n")
        if groups:
            file.write(f"$PhysicalNames\n{len(groups)}\n".encode())
            for (dim, name), tag in sorted(groups.items(), key=lambda item: (item[0][0], item[1])):
                file.write(f'{dim} {tag} "{clean(name)}"\n'.encode())
            file.write(b"$EndPhysicalNames\n")
        out = _Numbers(file, binary)
        _write_entities(out, entities, points)
        _write_nodes(out, entities, points)
        _write_elements(out, entities)
        for where, name, numbers, values in views:
            _write_view(out, where, name, numbers, values)
        file.write(b"$Meshlearn\n" + json.dumps(own, separators=(",", ":")).encode() + b"\n$EndMeshlearn\n")
    return []


def _groups(mesh: Mesh) -> dict[tuple[int, str], int]:
    """A physical group for every set and dimension; `physical_7` gets its number back."""
    groups: dict[tuple[int, str], int] = {}
    used: dict[int, set[int]] = {}
    wanted = [(cell_dim(kind), name) for name, by_kind in mesh.cell_sets.items() for kind in by_kind]
    for dim, name in sorted(set(wanted), key=wanted.index):
        taken = used.setdefault(dim, set())
        number = name.removeprefix("physical_")
        tag = int(number) if name != number and number.isdigit() and int(number) not in taken | {0} else 0
        if not tag:
            tag = next(k for k in range(1, len(wanted) + len(taken) + 2) if k not in taken)
        taken.add(tag)
        groups[dim, name] = tag
    return groups


def _entities(mesh: Mesh, groups: dict[tuple[int, str], int]) -> list[tuple[int, int, list[int], list]]:
    """Cells that share all their groups form an entity: (dimension, tag, groups, [(kind, element numbers, nodes)])."""
    found: dict[tuple[int, tuple[int, ...]], list] = {}
    first = 1
    for kind, table in mesh.cells.items():
        nodes, dim = to_numpy(table), cell_dim(kind)
        member = [
            (groups[dim, name], to_numpy(by_kind[kind])) for name, by_kind in mesh.cell_sets.items() if kind in by_kind
        ]
        inside = np.zeros((len(nodes), len(member)), bool)
        for column, (_, rows) in enumerate(member):
            inside[rows, column] = True
        patterns, which = np.unique(inside, axis=0, return_inverse=True) if len(nodes) else (inside, np.zeros(0, int))
        for index, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.ravel() == index)
            tags = tuple(sorted(member[column][0] for column in np.flatnonzero(pattern)))
            ordered = reorder(kind, nodes[rows], FROM_GMSH, back=True)
            found.setdefault((dim, tags), []).append((kind, first + rows, ordered + 1))
        first += len(nodes)
    counter: dict[int, int] = {}
    entities = []
    for (dim, tags), parts in found.items():
        counter[dim] = counter.get(dim, 0) + 1
        entities.append((dim, counter[dim], list(tags), parts))
    return sorted(entities, key=lambda entity: entity[:2]) or [(0, 1, [], [])]


class _Numbers:
    """Writes numbers as text lines or as bytes."""

    def __init__(self, file: BinaryIO, binary: bool):
        self.file, self.binary = file, binary

    def section(self, name: str) -> None:
        self.file.write(f"${name}\n".encode())

    def end(self, name: str) -> None:
        self.file.write((b"\n" if self.binary else b"") + f"$End{name}\n".encode())

    def row(self, *parts: tuple[str, list | np.ndarray]) -> None:
        """One line made of runs of numbers, each with its binary type."""
        if self.binary:
            for kind, values in parts:
                self.file.write(np.asarray(values, np.dtype("<" + kind)).tobytes())
        else:
            texts = [repr(float(v)) if kind == "f8" else str(int(v)) for kind, values in parts for v in values]
            self.file.write((" ".join(texts) + "\n").encode())

    def table(self, kind: str, values: np.ndarray) -> None:
        if self.binary:
            self.file.write(values.astype("<" + kind).tobytes())
        else:
            form = repr if kind == "f8" else str
            self.file.write("".join(" ".join(map(form, row)) + "\n" for row in values.tolist()).encode())


def _write_entities(out: _Numbers, entities: list, points: np.ndarray) -> None:
    out.section("Entities")
    out.row(("u8", [sum(entity[0] == dim for entity in entities) for dim in range(4)]))
    for dim, tag, groups, parts in entities:
        used = np.unique(np.concatenate([nodes.ravel() for _, _, nodes in parts])) - 1 if parts else np.zeros(1, int)
        low, high = points[used].min(axis=0), points[used].max(axis=0)
        box = low if dim == 0 else np.concatenate([low, high])
        bounding = [("u8", [0])] if dim else []
        out.row(("i4", [tag]), ("f8", box), ("u8", [len(groups)]), ("i4", groups), *bounding)
    out.end("Entities")


def _write_nodes(out: _Numbers, entities: list, points: np.ndarray) -> None:
    dim, tag = entities[-1][:2]
    out.section("Nodes")
    out.row(("u8", [1, len(points), 1, len(points)]))
    out.row(("i4", [dim, tag, 0]), ("u8", [len(points)]))
    out.table("u8", np.arange(1, len(points) + 1).reshape(-1, 1))
    out.table("f8", points)
    out.end("Nodes")


def _write_elements(out: _Numbers, entities: list) -> None:
    blocks = [(dim, tag, *part) for dim, tag, _, parts in entities for part in parts]
    total = sum(len(numbers) for _, _, _, numbers, _ in blocks)
    out.section("Elements")
    out.row(("u8", [len(blocks), total, min(1, total), total]))
    for dim, tag, kind, numbers, nodes in blocks:
        out.row(("i4", [dim, tag, TO_GMSH[kind]]), ("u8", [len(numbers)]))
        out.table("u8", np.column_stack([numbers, nodes]))
    out.end("Elements")


def _write_view(out: _Numbers, where: str, name: str, numbers: np.ndarray, values: np.ndarray) -> None:
    head = f'1\n"{name}"\n1\n0.0\n3\n0\n{values.shape[1]}\n{len(values)}\n'
    out.section(where)
    out.file.write(head.encode())
    if out.binary:
        rows = np.zeros(len(values), [("tag", "<i4"), ("values", "<f8", (values.shape[1],))])
        rows["tag"], rows["values"] = numbers, values
        out.file.write(rows.tobytes())
    else:
        lines = (f"{n} {' '.join(map(repr, row))}\n" for n, row in zip(numbers.tolist(), values.tolist(), strict=True))
        out.file.write("".join(lines).encode())
    out.end(where)
