"""Writing MED 4.0 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import require
from meshlearn.io.components import spelled
from meshlearn.io.formats.med_order import FROM_MED, KINDS
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.mesh import Mesh

_CODES = {kind: code for code, kind in KINDS.items() if kind != "triangle7"}
_NO_STEP = "-0000000000000000001-0000000000000000001"
_PROFILE = b"MED_NO_PROFILE_INTERNAL"
_NAME = "mesh"


def write_med(mesh: Mesh, path: Path) -> list[str]:
    """Write points, elements, groups, and fields as float64."""
    h5py = require("h5py", "formats", "writing MED files")
    losses = unheld(mesh, "MED", _CODES, ("point_data", "cell_data", "point_sets", "cell_sets"))
    kinds = [kind for kind in mesh.cells if kind in _CODES and len(mesh.cells[kind])]
    with h5py.File(path, "w") as file:
        info = file.create_group("INFOS_GENERALES")
        info.attrs.update({"MAJ": 4, "MIN": 0, "REL": 0})
        group = file.create_group(f"ENS_MAA/{_NAME}")
        axes = "".join(f"{axis:<16}" for axis in "XYZ"[: mesh.dim]).encode()
        group.attrs.update({"DIM": mesh.dim, "ESP": mesh.dim, "REP": 0, "SRT": 1, "TYP": 0})
        group.attrs.update({"NOM": np.bytes_(axes), "UNI": np.bytes_(b" " * 16 * mesh.dim)})
        group.attrs.update({"UNT": np.bytes_(b""), "DES": np.bytes_(b"meshlearn")})
        step = group.create_group(_NO_STEP)
        step.attrs.update({"CGT": 1, "NDT": -1, "NOR": -1, "NXI": -1, "NXT": -1, "PDI": -1, "PDT": -1.0})
        nodes = _entity(
            step.create_group("NOE"), mesh.n_points, "COO", to_numpy(mesh.points).astype(np.float64).T.ravel()
        )
        families = file.create_group(f"FAS/{_NAME}")
        families.create_group("FAMILLE_ZERO").attrs["NUM"] = 0
        numbers = _families(
            families, "NOEUD", {n: to_numpy(rows) for n, rows in mesh.point_sets.items()}, mesh.n_points, 1, losses
        )
        if numbers is not None:
            _sized(nodes, "FAM", numbers)
        _put_cells(step, families, mesh, kinds, losses)
        _put_fields(file, mesh, kinds, losses)
    return losses


def _entity(group: Any, count: int, name: str, values: np.ndarray) -> Any:
    group.attrs.update({"CGT": 1, "CGS": 1, "PFL": np.bytes_(_PROFILE)})
    dataset = group.create_dataset(name, data=values)
    dataset.attrs.update({"CGT": 1, "NBR": count})
    return group


def _sized(group: Any, name: str, values: np.ndarray) -> None:
    group.create_dataset(name, data=values).attrs.update({"CGT": 1, "NBR": len(values)})


def _families(
    parent: Any, where: str, sets: dict[str, np.ndarray], count: int, sign: int, losses: list[str]
) -> np.ndarray | None:
    """A family for every combination of groups; returns the family number of every entity."""
    if not sets:
        return None
    inside = np.zeros((count, len(sets)), bool)
    for column, rows in enumerate(sets.values()):
        inside[rows, column] = True
    patterns, which = np.unique(inside, axis=0, return_inverse=True)
    numbers = np.zeros(count, np.int64)
    names = list(sets)
    group = parent.require_group(where)
    for index, pattern in enumerate(patterns):
        if pattern.any():
            numbers[which.ravel() == index] = sign * (index + 1)
            own = [names[column] for column in np.flatnonzero(pattern)]
            family = group.create_group(f"FAM_{sign * (index + 1)}")
            family.attrs["NUM"] = sign * (index + 1)
            texts = family.create_group("GRO")
            texts.attrs["NBR"] = len(own)
            table = np.zeros((len(own), 80), np.int8)
            for row, name in zip(table, own, strict=True):
                code = name.encode()[:80].decode("utf-8", "ignore").encode()  # whole characters
                if code != name.encode():
                    losses.append(f"the name {name!r} beyond 80 bytes")
                row[: len(code)] = np.frombuffer(code, np.int8)
            texts.create_dataset("NOM", data=table)
    return numbers


def _put_cells(step: Any, families: Any, mesh: Mesh, kinds: list[str], losses: list[str]) -> None:
    if not kinds:
        return
    cells = step.create_group("MAI")
    cells.attrs["CGT"] = 1
    sizes = [len(mesh.cells[kind]) for kind in kinds]
    first = dict(zip(kinds, np.cumsum([0, *sizes]).tolist(), strict=False))
    sets = {
        name: np.concatenate(
            [to_numpy(rows) + first[kind] for kind, rows in by_kind.items() if kind in first] or [np.zeros(0, np.int64)]
        )
        for name, by_kind in mesh.cell_sets.items()
    }
    numbers = _families(families, "ELEME", sets, sum(sizes), -1, losses)
    for kind in kinds:
        table = to_numpy(mesh.cells[kind]) + 1
        table = table[:, np.argsort(FROM_MED[kind])] if kind in FROM_MED else table
        part = _entity(cells.create_group(_CODES[kind]), len(table), "NOD", table.T.ravel())
        part.attrs.update({"GEO": 0})
        if numbers is not None:
            _sized(part, "FAM", numbers[first[kind] : first[kind] + len(table)])


def _put_fields(file: Any, mesh: Mesh, kinds: list[str], losses: list[str]) -> None:
    places: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in mesh.point_data.items():
        places[name] = {"NOE": file_array(tensor)[0]}
    for name, by_kind in mesh.cell_data.items():
        if name in places:
            losses.append(f"cell data {name!r} (point data have the same name)")
            continue
        parts = {f"MAI.{_CODES[kind]}": file_array(tensor)[0] for kind, tensor in by_kind.items() if kind in kinds}
        if parts and len({part.shape[1] for part in parts.values()}) == 1:
            places[name] = parts
        elif parts:
            losses.append(f"cell data {name!r} of unlike shapes")
    names = spelled("field", places, lambda name: name.replace("/", "|"), losses)
    for name, parts in places.items():
        width = next(iter(parts.values())).shape[1]
        field = file.create_group(f"CHA/{names[name]}")
        components = "".join(f"{f'C{k}':<16}" for k in range(width)).encode()
        field.attrs.update({"MAI": np.bytes_(_NAME.encode()), "NCO": width, "TYP": 6, "UNT": np.bytes_(b"")})
        field.attrs.update({"NOM": np.bytes_(components), "UNI": np.bytes_(b" " * 16 * width)})
        step = field.create_group(_NO_STEP)
        step.attrs.update({"NDT": -1, "NOR": -1, "PDT": 0.0, "RDT": -1, "ROR": -1})
        for place, values in parts.items():
            group = step.create_group(place)
            group.attrs.update({"GAU": np.bytes_(b""), "PFL": np.bytes_(_PROFILE)})
            profile = group.create_group(_PROFILE.decode())
            profile.attrs.update({"NBR": len(values), "NGA": 1, "GAU": np.bytes_(b""), "PFL": np.bytes_(b"")})
            profile.create_dataset("CO", data=values.astype(np.float64).T.ravel())
