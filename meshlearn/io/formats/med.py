"""MED files of Salome and Code_Aster (HDF5, needs h5py): one mesh, its groups, and fields.

Groups of nodes become point sets, groups of elements cell sets. Fields at several times make a trajectory; fields at
Gauss points or at the nodes of elements are named as lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import require
from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.formats.med_order import FROM_MED, KINDS
from meshlearn.io.texts import decoded


def read(path: Path) -> MeshBuilder:
    """Read a MED file with one mesh."""
    builder = MeshBuilder(path, "MED")
    with require("h5py", "formats", "reading MED files").File(path, "r") as file:
        meshes = file.get("ENS_MAA")
        if meshes is None or not len(meshes):
            raise builder.fail(f"there is no mesh (ENS_MAA); the file holds {list(file)}")
        name = next(iter(meshes))
        if len(meshes) > 1:
            builder.lost(f"the meshes {', '.join(list(meshes)[1:])} after {name!r}")
        mesh = meshes[name]
        dim = int(mesh.attrs.get("ESP", 3))
        step = mesh if "NOE" in mesh else mesh[next(iter(mesh))]
        nodes = step.get("NOE")
        if nodes is None:
            raise builder.fail(f"the mesh {name!r} has no unstructured nodes (NOE)")
        count = int(nodes["COO"].attrs.get("NBR", len(nodes["COO"]) // dim))
        if nodes["COO"].size != count * dim:
            raise builder.fail(
                f"{count} nodes of {dim} coordinates are announced, {nodes['COO'].size} numbers are present"
            )
        builder.points = np.ascontiguousarray(nodes["COO"][()].reshape(dim, count).T)
        builder.dim = dim
        description = mesh.attrs.get("DES", b"")
        ours = description == b"meshlearn" or description == "meshlearn"
        builder.keeps_zeros = ours
        families = file.get(f"FAS/{name}")
        groups = {"NOEUD": _groups(families, "NOEUD"), "ELEME": _groups(families, "ELEME")}
        _point_groups(nodes, groups["NOEUD"], builder)
        blocks = _cells(step.get("MAI"), groups["ELEME"], count, ours, builder)
        _fields(file.get("CHA"), blocks, name, builder)
    return builder


def _text(values: np.ndarray) -> str:
    return decoded(np.ravel(values).astype(np.int8).tobytes().split(b"\x00")[0]).strip()


def _groups(families: Any, where: str) -> dict[int, list[str]]:
    """{family number: names of its groups}."""
    found: dict[int, list[str]] = {}
    part = None if families is None else families.get(where)
    for name, family in part.items() if part is not None else ():
        names = family.get("GRO/NOM")
        found[int(family.attrs["NUM"])] = [name] if names is None else [_text(row) for row in names[()]]
    return found


def _members(numbers: np.ndarray, groups: dict[int, list[str]]) -> dict[str, np.ndarray]:
    """Rows of every group, from the family number of every entity."""
    names = dict.fromkeys(name for family in np.unique(numbers).tolist() for name in groups.get(family, []))
    return {
        name: np.flatnonzero(np.isin(numbers, [family for family, own in groups.items() if name in own]))
        for name in names
    }


def _point_groups(nodes: Any, groups: dict[int, list[str]], builder: MeshBuilder) -> None:
    if "FAM" in nodes:
        builder.point_sets |= _members(nodes["FAM"][()], groups)


def _oriented(kind: str, table: np.ndarray, ours: bool, builder: MeshBuilder) -> np.ndarray:
    """Our node order; some programs (meshio) write their own order into MED files, which shows as negative volumes."""
    turned = table[:, FROM_MED[kind]]
    if ours or builder.points is None or builder.points.shape[1] != 3:
        return turned
    last = {"p": 4, "h": 4}.get(kind[0], 3)
    p = [builder.points[turned[:, k]] for k in (0, 1, 2, last)]
    volume = np.einsum("ij,ij->i", np.cross(p[1] - p[0], p[2] - p[0]), p[3] - p[0])
    if (volume < 0).sum() > (volume > 0).sum():
        builder.note(f"{kind} cells are stored in another node order than MED's; they were read as meant")
        return table
    return turned


def _cells(
    parts: Any, groups: dict[int, list[str]], n_points: int, ours: bool, builder: MeshBuilder
) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    for code, part in parts.items() if parts is not None else ():
        if code not in KINDS:
            builder.lost(f"elements of type {code} (polygons and polyhedra of MED are not supported)")
            continue
        kind = KINDS[code]
        flat = part["NOD"][()]
        if flat.size % NODES[kind]:
            raise builder.fail(f"elements {code} hold {flat.size} node numbers, not a multiple of {NODES[kind]}")
        table = flat.reshape(NODES[kind], -1).T.astype(np.int64) - 1
        if table.size and (int(table.min()) < 0 or int(table.max()) >= n_points):
            raise builder.fail(f"elements {code} name a node outside 1 to {n_points}")
        if kind in FROM_MED:
            table = _oriented(kind, table, ours, builder)
        blocks[code] = builder.add_cells(kind, np.ascontiguousarray(table))
        if "FAM" in part:
            for name, rows in _members(part["FAM"][()], groups).items():
                builder.add_cell_set(name, blocks[code], rows)
    return blocks


def _fields(fields: Any, blocks: dict[str, Block], mesh_name: str, builder: MeshBuilder) -> None:
    """Fields; those with several steps at common times become series."""
    found: dict[str, dict[float, dict[str, np.ndarray]]] = {}
    for name, field in fields.items() if fields is not None else ():
        components = int(field.attrs.get("NCO", 1))
        for step in field.values():
            time = float(step.attrs.get("PDT", 0.0))
            for place, values in step.items():
                array = _values(values, components, builder, name, place, mesh_name)
                if array is not None:
                    found.setdefault(name, {}).setdefault(time, {})[place] = array
    times = sorted({time for steps in found.values() for time in steps})
    for name, steps in found.items():
        series = len(times) > 1 and sorted(steps) == times
        if len(steps) > 1 and not series:
            builder.lost(f"steps of field {name!r} before its last (fields have unlike times)")
        chosen = [steps[time] for time in times] if series else [steps[max(steps)]]
        for place in chosen[-1]:
            arrays = np.stack([step[place] for step in chosen])
            if place == "NOE":
                (builder.step_point_data if series else builder.point_data)[name] = arrays if series else arrays[0]
            elif place[4:] in blocks:
                block = blocks[place[4:]]
                if series:
                    builder.step_cell_data.setdefault(name, {})[block.kind] = arrays
                else:
                    builder.add_cell_data(name, block, arrays[0])
            else:
                builder.lost(f"field {name!r} on {place}, which is not in the mesh")
    if len(times) > 1 and (builder.step_point_data or builder.step_cell_data):
        builder.times = np.asarray(times)
    elif len(times) == 1 and times[0] > 0:
        builder.global_data["time"] = np.array(times[0])


def _values(
    step: Any, components: int, builder: MeshBuilder, name: str, place: str, mesh_name: str
) -> np.ndarray | None:
    if place.startswith("NOE."):
        builder.lost(f"field {name!r} at the nodes of elements")
        return None
    profile = step[next(iter(step))]
    if int(profile.attrs.get("NGA", 1)) != 1:
        builder.lost(f"field {name!r} at Gauss points")
        return None
    data = profile["CO"][()].reshape(components, -1).T
    if _text(np.frombuffer(profile.attrs.get("PFL", b"") or b"", np.int8)) not in ("", "MED_NO_PROFILE_INTERNAL"):
        builder.lost(f"field {name!r} on a part of the mesh (profile)")
        return None
    return np.ascontiguousarray(data[:, 0] if components == 1 else data)


def write(mesh, path: Path) -> list[str]:
    """Write a MED 4.0 file."""
    from meshlearn.io.formats.med_write import write_med

    return write_med(mesh, path)
