"""SU2 meshes: cells by VTK's numbers, markers as cell sets of boundary cells."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.celltypes import FROM_VTK, NODES, TO_VTK, VTK, reorder
from meshlearn.io.components import spelled
from meshlearn.io.counts import counted
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import to_numpy
from meshlearn.io.texts import lines_of
from meshlearn.io.wedges import inside_out
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

_KINDS = ("line", "triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid", "vertex")


def read(path: Path) -> MeshBuilder:
    """Read an SU2 mesh of one zone."""
    builder = MeshBuilder(path, "SU2")
    lines = [re.sub(r"%.*", "", line).strip() for line in lines_of(path, builder)]
    lines = [line for line in lines if line]
    dim, position, marker = 0, 0, ""
    announced, markers = 0, {}
    cells: list[tuple[str, np.ndarray, str | None]] = []
    n_cells: int | None = None
    while position < len(lines):
        key, _, value = (part.strip() for part in lines[position].partition("="))
        position += 1
        if key == "NDIME":
            dim = int(value)
        elif key == "NZONE" and int(value) > 1:
            raise builder.fail(f"the file holds {value} zones; one is supported: write the zones to files of their own")
        elif key == "NPOIN":
            count = int(value.split()[0])
            _points(lines[position : position + count], count, dim, builder)
            position += count
        elif key in ("NELEM", "MARKER_ELEMS"):
            count = int(value)
            if key == "NELEM":
                n_cells = count
            else:
                markers[marker] = True
            for kind, table in _cells(lines[position : position + count], count, builder).items():
                cells.append((kind, table, marker if key == "MARKER_ELEMS" else None))
            position += count
        elif key == "MARKER_TAG":
            marker = value
            markers.setdefault(marker, False)
        elif key == "NMARK":
            announced = int(value)
        elif key not in ("NZONE", "IZONE", "SEND_RECV"):
            builder.lost(f"{lines[position - 1][:40]!r}")
    if builder.points is None:
        raise builder.fail("there is no NPOIN section: the file is cut off")
    if n_cells is None:
        raise builder.fail("there is no NELEM section: the file is cut off")
    if len(markers) < announced:
        raise builder.fail(f"NMARK announces {announced} markers, {len(markers)} are present: the file is cut off")
    if empty := [name for name, filled in markers.items() if not filled]:
        raise builder.fail(f"the marker {empty[0]!r} has no MARKER_ELEMS: the file is cut off")
    wedges = [table for kind, table, _ in cells if kind == "wedge"]
    turned = bool(wedges) and inside_out(np.concatenate(wedges), builder.points)
    for kind, table, name in cells:
        block = builder.add_cells(kind, reorder(kind, table, FROM_VTK) if turned else table)
        if name is not None:
            builder.add_cell_set(name, block)
    builder.dim = dim
    return builder


def _points(lines: list[str], count: int, dim: int, builder: MeshBuilder) -> None:
    if dim not in (2, 3):
        raise builder.fail(f"NDIME is {dim or 'missing'}, expected 2 or 3 before NPOIN")
    if len(lines) < count:
        raise builder.fail(f"NPOIN announces {count} points, {len(lines)} lines are left: the file is cut off")
    rows = [line.split() for line in lines]
    if any(len(row) < dim for row in rows):
        raise builder.fail(f"a point line holds fewer than {dim} coordinates")
    builder.points = np.array([row[:dim] for row in rows]).astype(np.float64)


def _cells(lines: list[str], count: int, builder: MeshBuilder) -> dict[str, np.ndarray]:
    """Node numbers by kind of cell."""
    if len(lines) < count:
        raise builder.fail(f"{count} cells are announced, {len(lines)} lines are left: the file is cut off")
    by_kind: dict[str, list[list[str]]] = {}
    for line in lines:
        words = line.split()
        kind = VTK.get(int(words[0]), "")
        if kind not in _KINDS or len(words) <= NODES[kind]:
            raise builder.fail(f"the cell line {line[:60]!r} is not understood")
        by_kind.setdefault(kind, []).append(words[1 : 1 + NODES[kind]])
    return {kind: np.array(rows).astype(np.int64) for kind, rows in by_kind.items()}


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write the cells of the domain and, as markers, the cell sets of its boundary."""
    losses = unheld(mesh, "SU2", _KINDS, ("cell_sets",))
    if mesh.dim == 1:
        losses.append("the dimension 1 (written with y = 0)")
    dim = max(mesh.dim, 2)
    points = to_numpy(mesh.points)
    points = np.pad(points, ((0, 0), (0, dim - points.shape[1])))
    top = mesh.cell_dim
    marked: dict[str, np.ndarray] = {
        kind: np.zeros(len(table), bool)
        for kind, table in mesh.cells.items()
        if cell_dim(kind) < top and kind in _KINDS
    }
    texts = spelled("cell set", mesh.cell_sets, lambda name: "_".join(name.split()), losses)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        domain = [kind for kind in mesh.cells if cell_dim(kind) == top and len(mesh.cells[kind])]
        file.write(f"NDIME= {dim}\nNELEM= {sum(len(mesh.cells[kind]) for kind in domain)}\n")
        for kind in domain:
            rows = reorder(kind, to_numpy(mesh.cells[kind]), FROM_VTK, back=True).tolist()
            file.writelines(f"{TO_VTK[kind]} {' '.join(map(str, row))}\n" for row in rows)
        file.write(f"NPOIN= {len(points)}\n")
        file.writelines(" ".join(map(repr, row)) + "\n" for row in points.tolist())
        markers = {}
        order: dict[str, list[np.ndarray]] = {kind: [] for kind in marked}
        for name, by_kind in mesh.cell_sets.items():
            rows = []
            for kind, members in by_kind.items():
                if kind in marked:
                    free = to_numpy(members)[~marked[kind][to_numpy(members)]]
                    if len(free) < len(members):
                        losses.append(
                            f"cell set {name!r} as a whole: its cells are also in others (markers are disjoint)"
                        )
                    marked[kind][free] = True
                    order[kind].append(free)
                    rows += [(TO_VTK[kind], *nodes) for nodes in to_numpy(mesh.cells[kind])[free].tolist()]
                elif len(members):
                    losses.append(f"cell set {name!r} of {kind} cells (SU2 marks boundaries only)")
            if rows:
                markers[texts[name]] = rows
        for kind, inside in marked.items():
            if not inside.all():
                losses.append(f"{counted(int((~inside).sum()), f'{kind} cell')} in no cell set")
            if order[kind] and (np.diff(np.concatenate(order[kind])) < 0).any():
                losses.append(f"the order of the {kind} cells (they are written set by set)")
        file.write(f"NMARK= {len(markers)}\n")
        for name, rows in markers.items():
            file.write(f"MARKER_TAG= {name}\nMARKER_ELEMS= {len(rows)}\n")
            file.writelines(" ".join(map(str, row)) + "\n" for row in rows)
    return losses
