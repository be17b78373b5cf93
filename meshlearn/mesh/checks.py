"""What a Mesh accepts: every attribute is turned into tensors and checked here, with errors that teach."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh.cells import CELL_TYPES, NAMED_KINDS, RAGGED
from meshlearn.mesh.frozen import FrozenDict
from meshlearn.mesh.kinds import is_known, meant, width
from meshlearn.mesh.precision import single_holds
from meshlearn.ops.pointers import integer_range


def tensor(values: Any, what: str, device: torch.device | None = None) -> Tensor:
    """`values` as a tensor: numpy is shared when it is writable and native-endian, anything else is copied.

    Meshes copy before (`meshlearn.mesh.owned`)."""
    if isinstance(values, Tensor):
        return values
    try:
        if np.ma.is_masked(values):
            raise MeshError(
                f"{what} has {np.ma.count_masked(values)} masked values, which a mesh has no place for.\n"
                "  values.filled(numpy.nan) marks them as missing; or leave them out."
            )
        array = np.asarray(values)
        if array.dtype.kind not in "biufc":
            raise MeshError(f"{what} {_no_numbers(array)}")
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            raise MeshError(f"{what} holds {array.max()}, more than int64 can hold: convert it to float64.")
        if array.dtype.byteorder not in "=|" or not array.flags.writeable or any(s < 0 for s in array.strides):
            array = array.astype(array.dtype.newbyteorder("="))  # copies, contiguous
        if array.dtype in (np.uint16, np.uint32, np.uint64):
            array = array.astype(np.int64)
        if isinstance(values, np.ndarray):
            result = torch.from_numpy(array)
        else:  # Python's numbers have torch's default dtype; what else numpy can read keeps its own
            plain = isinstance(values, (list, tuple, Number, np.generic))
            result = torch.as_tensor(values) if plain else torch.from_numpy(np.array(array))
            if result.dtype == torch.float32 and array.dtype == np.float64 and not single_holds(array):
                result = torch.from_numpy(array)
    except MeshError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise MeshError(f"{what} cannot be made a tensor: {error}.") from None
    return result if device is None else result.to(device)


def _no_numbers(array: np.ndarray) -> str:
    """What is wrong with values that are texts, dates or objects."""
    example = repr(array.reshape(-1)[:1].tolist()[0])[:60] if array.size else "nothing"
    if array.dtype.kind in "US":
        return (
            f"holds text ({example}); a mesh holds numbers.\n"
            "  number the labels: numpy.unique(labels, return_inverse=True); or make sets of them."
        )
    return f"holds {array.dtype} values ({example}); a mesh holds numbers: convert them first."


def points_tensor(points: Any, source: str | None) -> Tensor:
    """Points as a (n_points, dim) float32 or float64 tensor."""
    points = tensor(points, "points")
    if points.ndim != 2 or not 1 <= points.shape[1] <= 3:
        raise MeshError(
            f"points must have shape (n_points, dim) with dim 1, 2 or 3, got {tuple(points.shape)}{of_mesh(source)}."
        )
    if points.is_complex() or points.dtype in (torch.float16, torch.bfloat16):
        raise MeshError(f"points must be float32 or float64, got {points.dtype}{of_mesh(source)}: convert them first.")
    if points.is_floating_point():
        return points
    rounded = points.to(torch.get_default_dtype())
    return rounded if torch.equal(rounded.to(points.dtype), points) else points.double()


def cell_tables(cells: Any, n_points: int, source: str | None, device: torch.device) -> FrozenDict[str, Tensor]:
    """Cells as {type: (n, k) int64}, with the right k and with node numbers in range; None is a point cloud."""
    cells = {} if cells is None else cells
    if not isinstance(cells, Mapping):
        raise MeshError(
            f"cells must be a dictionary {{type: (n, k) node numbers}}, got {_described(cells)}{of_mesh(source)}.\n"
            f'  name the type of the cells, for instance {{"{_GUESSES.get(_columns(cells), "triangle")}": cells}}; '
            "{} is a point cloud."
        )
    tables = {}
    for kind, values in cells.items():
        _refuse_unknown(kind, source)
        nodes = tensor(values, f"cells[{kind!r}]", device)
        if nodes.is_floating_point() or nodes.is_complex() or nodes.dtype == torch.bool:
            if nodes.numel():
                raise MeshError(
                    f"cells[{kind!r}] must hold integers (point numbers), got {nodes.dtype}{of_mesh(source)}."
                )
            nodes = nodes.to(torch.int64)
        expected = width(kind)
        if nodes.numel() == 0 and nodes.ndim != 2:
            nodes = nodes.reshape(0, expected or 0)
        if nodes.ndim != 2 or (expected is not None and nodes.shape[1] != expected):
            raise MeshError(
                f"cells[{kind!r}] must have shape (n, {expected or 'k'}), got {tuple(nodes.shape)}{of_mesh(source)}."
            )
        nodes = nodes.to(device=device, dtype=torch.int64)
        _check_range(kind, nodes, n_points, source)
        tables[str(kind)] = nodes
    return FrozenDict(tables)


# the likeliest type of cells by their number of nodes
_GUESSES = {1: "vertex", 2: "line", 3: "triangle", 4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron"}


def _columns(cells: Any) -> int:
    shape: Any = getattr(cells, "shape", ())
    return int(shape[1]) if len(shape) == 2 else 0


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")


def _refuse_unknown(kind: Any, source: str | None) -> None:
    """A kind without a known dimension would turn the mesh into a point cloud, silently."""
    if isinstance(kind, str) and is_known(kind):
        return
    near = meant(str(kind))
    hint = f"did you mean {near!r}?" if near else f"known types: {', '.join([*CELL_TYPES, *NAMED_KINDS])}"
    raise MeshError(f"cells[{kind!r}] is no type of cell{of_mesh(source)}: {hint}")


def _check_range(kind: str, nodes: Tensor, n_points: int, source: str | None) -> None:
    if not nodes.numel() or kind == "polyhedron":  # a face stream mixes counts with point numbers
        return
    smallest, largest = integer_range(nodes)
    if smallest < (-1 if kind in RAGGED else 0) or largest >= n_points:
        wrong = smallest if smallest < 0 else largest
        cell = int((nodes == wrong).any(1).nonzero()[0, 0])
        raise MeshError(
            f"cells[{kind!r}] names point {wrong} (in cell {cell}), but the mesh has points 0 to {n_points - 1}"
            f"{of_mesh(source)}.\n"
            "  node numbers count from 0: subtract 1 if they come from a format that counts from 1."
        )


def point_fields(
    fields: Any, points: Tensor, cells: Mapping[str, Tensor], source: str | None
) -> FrozenDict[str, Tensor]:
    """Point fields as {name: (n_points, ...)}."""
    result = {}
    for name, values in mapping(fields, "point_data").items():
        values = field_tensor(values, f"point_data[{name!r}]", points.device)
        if values.ndim == 0 or len(values) != len(points):
            rows = len(values) if values.ndim else "no"
            counts = {kind: len(nodes) for kind, nodes in cells.items()}
            if not values.ndim:
                hint = "a single value of the whole mesh belongs to global_data: use with_global_data."
            elif len(values) in (*counts.values(), sum(counts.values())):
                hint = f"{rows} is a number of its cells: use with_cell_data."
            else:
                hint = f"{rows} is neither its point nor a cell count."
            raise FieldError(
                f"point_data[{name!r}] has {rows} rows, the mesh has {len(points)} points.\n"
                f"  mesh: {source or 'made in memory'}, cells {counts}\n  {hint}"
            )
        result[str(name)] = values
    return FrozenDict(result)


def mapping(values: Any, what: str) -> Mapping[str, Any]:
    """A dictionary with texts as names; None is an empty one."""
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise FieldError(f"{what} must be a dictionary {{name: values}}, got {_described(values)}.")
    for name in values:
        if not isinstance(name, str):
            raise FieldError(
                f"{what}: the name {name!r} is no text but {type(name).__name__}; names are texts: {str(name)!r}."
            )
    return values


def cell_fields(
    fields: Any, points: Tensor, cells: Mapping[str, Tensor], source: str | None
) -> FrozenDict[str, FrozenDict[str, Tensor]]:
    """Cell fields as {name: {type: (n_cells_of_type, ...)}}."""
    result = {}
    for name, per_type in mapping(fields, "cell_data").items():
        if not isinstance(per_type, Mapping):
            raise FieldError(
                f"cell_data[{name!r}] must be a dictionary {{cell type: values}}, got {type(per_type).__name__}.\n"
                "  for one array in global cell order use mesh.with_cell_data(name=values)."
            )
        blocks = {}
        for kind, values in per_type.items():
            values = field_tensor(values, f"cell_data[{name!r}][{kind!r}]", points.device)
            _known_kind(f"cell_data[{name!r}]", kind, cells, source)
            if values.ndim == 0 or len(values) != len(cells[kind]):
                rows = len(values) if values.ndim else "no"
                raise FieldError(
                    f"cell_data[{name!r}][{kind!r}] has {rows} rows, the mesh has {len(cells[kind])} such cells"
                    f"{of_mesh(source)}."
                )
            blocks[str(kind)] = values
        result[str(name)] = FrozenDict(blocks)
    return FrozenDict(result)


def global_fields(fields: Any, points: Tensor) -> FrozenDict[str, Tensor]:
    """Values of the whole mesh as tensors of any shape."""
    return FrozenDict(
        {
            str(name): field_tensor(v, f"global_data[{name!r}]", points.device)
            for name, v in mapping(fields, "global_data").items()
        }
    )


def point_sets(sets: Any, points: Tensor, source: str | None) -> FrozenDict[str, Tensor]:
    """Point sets as {name: (k,) int64}."""
    return FrozenDict(
        {
            str(name): _members(f"point_sets[{name!r}]", v, len(points), points, source)
            for name, v in mapping(sets, "point_sets").items()
        }
    )


def cell_sets(
    sets: Any, points: Tensor, cells: Mapping[str, Tensor], source: str | None
) -> FrozenDict[str, FrozenDict[str, Tensor]]:
    """Cell sets as {name: {type: (k,) int64 row numbers}}."""
    result = {}
    for name, per_type in mapping(sets, "cell_sets").items():
        if not isinstance(per_type, Mapping):
            raise MeshError(f"cell_sets[{name!r}] must be a dictionary {{cell type: row numbers}}{of_mesh(source)}.")
        members = {}
        for kind, values in per_type.items():
            _known_kind(f"cell_sets[{name!r}]", kind, cells, source)
            members[str(kind)] = _members(f"cell_sets[{name!r}][{kind!r}]", values, len(cells[kind]), points, source)
        result[str(name)] = FrozenDict(members)
    return FrozenDict(result)


def field_tensor(values: Any, what: str, device: torch.device) -> Tensor:
    """A field's values; tensors must live on `device`, arrays and lists are brought there."""
    values = tensor(values, what, device)
    if values.device != device:
        raise FieldError(f"{what} is on {values.device}, the points are on {device}: move one of them.")
    return values


def _known_kind(what: str, kind: str, cells: Mapping[str, Tensor], source: str | None) -> None:
    if kind not in cells:
        raise FieldError(f"{what} names cell type {kind!r}, the mesh has {list(cells) or 'no cells'}{of_mesh(source)}.")


def _members(what: str, values: Any, count: int, points: Tensor, source: str | None) -> Tensor:
    members = tensor(values, what)
    if members.numel() == 0:
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    if members.ndim != 1 or members.is_floating_point() or members.dtype == torch.bool:
        raise MeshError(
            f"{what} must be a list of numbers (k,) int64, got {members.dtype} of shape {tuple(members.shape)}"
            f"{of_mesh(source)}.\n  turn a mask into numbers with mask.nonzero().squeeze(1)."
        )
    members = members.to(points.device, torch.int64)
    smallest, largest = integer_range(members)
    if smallest < 0 or largest >= count:
        raise MeshError(
            f"{what} names {smallest if smallest < 0 else largest}, valid are 0 to {count - 1}{of_mesh(source)}."
        )
    return members


def available(device: torch.device | str) -> None:
    """Raise MeshError for a CUDA device where torch has none."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise MeshError(f"cannot move to {str(device)!r}: torch finds no CUDA device on this machine.")


def of_mesh(source: str | None) -> str:
    """Which mesh, for the end of a message: nothing for one made in memory."""
    return f" (mesh {source})" if source else ""
