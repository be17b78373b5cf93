"""What a reader has found so far, and the mesh made from it.

Readers know files, not meshes: they add points, blocks of cells, arrays and sets to a `MeshBuilder` as they meet
them, and say what they changed (`note`) or could not keep (`lost`). `build` puts everything in place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from meshlearn.errors import MeshReadError
from meshlearn.io.celltypes import RAGGED
from meshlearn.io.tensors import plain_array, squeeze_components, to_tensor
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

if TYPE_CHECKING:
    from meshlearn.mesh.trajectory import Trajectory


@dataclass(frozen=True)
class Block:
    """A run of cells of one kind, as added: rows start .. start + count of the kind's table."""

    kind: str
    start: int
    count: int


class MeshBuilder:
    """Collects the contents of one file."""

    def __init__(self, path: Path | str, format_name: str):
        self.path = Path(path)
        self.format_name = format_name
        self.points: np.ndarray | None = None
        self.point_data: dict[str, np.ndarray | torch.Tensor] = {}
        self.global_data: dict[str, np.ndarray | torch.Tensor] = {}
        self.point_sets: dict[str, np.ndarray] = {}
        self.dim: int | None = None  # the dimension that the file itself states; None: unknown
        self.keeps_zeros = False  # the dimension is that of a mesh of ours: 3 stays 3 where all z are 0
        self.owns_arrays = True  # no caller has them: the mesh takes them without a copy
        self.times: np.ndarray | None = None  # (n_times,): the file is a time series
        self.step_point_data: dict[str, np.ndarray] = {}  # (n_times, n_points, ...)
        self.step_cell_data: dict[str, dict[str, np.ndarray]] = {}  # {type: (n_times, n_cells, ...)}
        self.step_global_data: dict[str, np.ndarray] = {}  # (n_times, ...)
        self.step_points: np.ndarray | None = None  # (n_times, n_points, dim)
        self.notes: list[str] = []
        self.losses: list[str] = []
        self._tables: dict[str, list[np.ndarray]] = {}
        self._counts: dict[str, int] = {}
        self._cell_data: dict[str, dict[str, list[tuple[int, np.ndarray]]]] = {}
        self._cell_sets: dict[str, dict[str, list[np.ndarray]]] = {}
        self._whole_cell_data: dict[str, dict[str, torch.Tensor]] = {}

    # -- what a reader says -------------------------------------------------------------------------------------------
    def note(self, text: str) -> None:
        """Something was read in another form than the file has it; nothing is missing."""
        if text not in self.notes:
            self.notes.append(text)

    def lost(self, text: str) -> None:
        """Something in the file is not in the mesh."""
        if text not in self.losses:
            self.losses.append(text)

    def fail(self, text: str) -> MeshReadError:
        """The error to raise: `raise builder.fail("...")`."""
        return MeshReadError(f"{self.path}: {text}\n  read as: {self.format_name}")

    # -- cells --------------------------------------------------------------------------------------------------------
    def add_cells(self, kind: str, table: np.ndarray) -> Block:
        """Append rows of 0-based node numbers, in our node order."""
        table = np.asarray(table)
        start = self._counts.get(kind, 0)
        self._tables.setdefault(kind, []).append(table)
        self._counts[kind] = start + len(table)
        return Block(kind, start, len(table))

    def add_cell_data(self, name: str, block: Block, values: np.ndarray) -> None:
        """Values of the cells of one block."""
        if len(values) != block.count:
            raise self.fail(f"cell data {name!r} has {len(values)} rows for {block.count} {block.kind} cells")
        self._cell_data.setdefault(name, {}).setdefault(block.kind, []).append(
            (block.start, squeeze_components(np.asarray(values)))
        )

    def set_cell_data(self, name: str, kind: str, values: torch.Tensor) -> None:
        """Values of all cells of a kind, as they are to appear in the mesh."""
        self._whole_cell_data.setdefault(name, {})[kind] = values

    def add_cell_set(self, name: str, block: Block, rows: np.ndarray | None = None) -> None:
        """Put cells of a block (all, or the given rows of it) into a set."""
        rows = np.arange(block.count) if rows is None else np.asarray(rows)
        self._cell_sets.setdefault(name, {}).setdefault(block.kind, []).append(rows.astype(np.int64) + block.start)

    def set_cell_set(self, name: str, kind: str, rows: np.ndarray) -> None:
        """Rows of the kind's whole table."""
        self._cell_sets.setdefault(name, {}).setdefault(kind, []).append(np.asarray(rows).astype(np.int64))

    def cell_set_names(self) -> list[tuple[str, str]]:
        """(set, kind) of all cell sets so far."""
        return [(name, kind) for name, by_kind in self._cell_sets.items() for kind in by_kind]

    def count(self, kind: str) -> int:
        """Cells of a kind so far."""
        return self._counts.get(kind, 0)

    def keep_kinds_in_order(self, kinds: Iterable[str]) -> None:
        """The dictionary order of the kinds of cells; kinds without cells are kept too."""
        from meshlearn.io.celltypes import NODES

        ordered = {kind: self._tables.get(kind, [np.zeros((0, NODES.get(kind, 1)), np.int64)]) for kind in kinds}
        self._tables = ordered | {kind: tables for kind, tables in self._tables.items() if kind not in ordered}

    # -- the mesh -----------------------------------------------------------------------------------------------------
    def cells(self) -> dict[str, np.ndarray]:
        """One table per kind."""
        return {kind: _join(tables, kind in RAGGED) for kind, tables in self._tables.items()}

    def build(self, dim: str | int = "auto") -> "Mesh | Trajectory":
        """The mesh, or the trajectory where the file holds more than one time."""
        if self.points is None:
            raise self.fail("no points were found")
        points = plain_array(self.points)
        if points.ndim != 2:
            raise self.fail(f"points have shape {points.shape}, expected (n_points, dim)")
        if points.dtype not in (np.float32, np.float64):
            points = points.astype(np.float64)
        cells = self.cells()
        if len(points) == 0:
            raise self.fail("the file holds no points")
        columns = self._columns(points, cells, dim)
        global_data = {name: _tensor(values) for name, values in self.global_data.items()}
        point_data = {name: self._point_field(name, values, len(points)) for name, values in self.point_data.items()}
        cell_data = self._joined_cell_data(cells)
        n_times = 0 if self.times is None else len(self.times)
        if n_times == 1:
            point_data |= {name: _tensor(values[0]) for name, values in self.step_point_data.items()}
            for name, by_kind in self.step_cell_data.items():
                cell_data.setdefault(name, {}).update({kind: _tensor(values[0]) for kind, values in by_kind.items()})
            global_data |= {name: _tensor(np.asarray(values[0])) for name, values in self.step_global_data.items()}
            if self.times is not None and "time" not in global_data:
                global_data["time"] = torch.tensor(float(self.times[0]), dtype=torch.float64)
            if self.step_points is not None:
                points = plain_array(self.step_points[0])
        make = Mesh._adopting if self.owns_arrays else Mesh
        mesh = make(
            points=to_tensor(_fit_columns(points, columns)),
            cells={kind: to_tensor(table.astype(np.int64, copy=False)) for kind, table in cells.items()},
            point_data=point_data,
            cell_data=cell_data,
            global_data=global_data,
            point_sets={name: to_tensor(np.asarray(rows, np.int64)) for name, rows in self.point_sets.items()},
            cell_sets={
                name: {kind: to_tensor(np.concatenate(rows)) for kind, rows in by_kind.items()}
                for name, by_kind in self._cell_sets.items()
            },
            source=str(self.path),
            report=(*self.notes, *self.losses),
        )
        return mesh if n_times < 2 else self._trajectory(mesh, columns)

    def _trajectory(self, mesh: Mesh, columns: int) -> "Trajectory":
        from meshlearn.mesh.trajectory import Trajectory

        moving = self.step_points
        return Trajectory._adopting(
            mesh,
            to_tensor(np.asarray(self.times, np.float64)),
            point_data={name: to_tensor(values) for name, values in self.step_point_data.items()},
            cell_data={
                name: {kind: to_tensor(values) for kind, values in by_kind.items()}
                for name, by_kind in self.step_cell_data.items()
            },
            global_data={name: to_tensor(values) for name, values in self.step_global_data.items()},
            moving_points=None if moving is None else to_tensor(np.stack([_fit_columns(p, columns) for p in moving])),
        )

    def _columns(self, points: np.ndarray, cells: dict[str, np.ndarray], dim: str | int) -> int:
        """How many coordinates the mesh gets."""
        have = points.shape[1]
        if dim != "auto":
            wanted = int(dim)
            if wanted not in (1, 2, 3):
                raise self.fail(f"dim={dim!r} was asked for; it must be 'auto', 1, 2 or 3")
            if wanted < have and not self._zero_beyond(points, wanted):
                raise self.fail(
                    f"dim={wanted} was asked for, but the file has non-zero coordinates beyond the {wanted}."
                )
            return wanted
        if self.dim is not None and self.dim < have and self._zero_beyond(points, self.dim):
            return self.dim
        if self.dim is not None and (self.keeps_zeros or self.dim > have or have < 3):
            return max(self.dim, have)
        highest = max((cell_dim(kind) for kind, table in cells.items() if len(table)), default=-1)
        known = all(cell_dim(kind) >= 0 for kind in cells)
        if have == 3 and known and highest in (1, 2) and self._zero_beyond(points, 2):
            self.note("all z are 0 and no cell is three-dimensional: read as a plane mesh (dim=3 keeps z)")
            return 2
        return have

    def _zero_beyond(self, points: np.ndarray, columns: int) -> bool:
        moving = self.step_points
        return not points[:, columns:].any() and (moving is None or not moving[..., columns:].any())

    def _point_field(self, name: str, values: np.ndarray | torch.Tensor, n_points: int) -> torch.Tensor:
        if len(values) != n_points:
            raise self.fail(f"point data {name!r} has {len(values)} values for {n_points} points")
        return _tensor(values)

    def _joined_cell_data(self, cells: dict[str, np.ndarray]) -> dict[str, dict[str, torch.Tensor]]:
        joined: dict[str, dict[str, torch.Tensor]] = {}
        for name, by_kind in self._cell_data.items():
            joined[name] = {
                kind: to_tensor(self._fill(name, kind, parts, len(cells[kind]))) for kind, parts in by_kind.items()
            }
        for name, whole in self._whole_cell_data.items():
            joined.setdefault(name, {}).update(whole)
        return joined

    def _fill(self, name: str, kind: str, parts: list[tuple[int, np.ndarray]], n_cells: int) -> np.ndarray:
        """One array per kind; cells without a value get NaN (0 where numbers are whole), and that is noted."""
        shapes = {part.shape[1:] for _, part in parts}
        if len(shapes) > 1:
            raise self.fail(f"cell data {name!r} of {kind} cells has parts of unlike shapes {sorted(map(str, shapes))}")
        if len(parts) == 1 and len(parts[0][1]) == n_cells:
            return parts[0][1]
        dtype = np.result_type(*(part.dtype for _, part in parts))
        given = np.zeros(n_cells, bool)
        values = np.full((n_cells, *shapes.pop()), np.nan if dtype.kind in "fc" else 0, dtype)
        for start, part in parts:
            values[start : start + len(part)] = part
            given[start : start + len(part)] = True
        if not given.all():
            filler = "NaN" if dtype.kind in "fc" else "0"
            self.note(
                f"cell data {name!r} is given for {given.sum()} of {n_cells} {kind} cells; the others hold {filler}"
            )
        return values


def _tensor(values: np.ndarray | torch.Tensor) -> torch.Tensor:
    return values if isinstance(values, torch.Tensor) else to_tensor(squeeze_components(np.asarray(values)))


def _fit_columns(points: np.ndarray, columns: int) -> np.ndarray:
    have = points.shape[1]
    if have == columns:
        return points
    if have > columns:
        return np.ascontiguousarray(points[:, :columns])
    return np.hstack([points, np.zeros((len(points), columns - have), points.dtype)])


def _join(tables: list[np.ndarray], ragged: bool) -> np.ndarray:
    if len(tables) == 1:
        return tables[0]
    if not ragged:
        return np.concatenate(tables)
    width = max(table.shape[1] for table in tables)
    return np.concatenate(
        [np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=-1) for table in tables]
    )
