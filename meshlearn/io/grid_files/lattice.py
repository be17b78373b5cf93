"""Arrays on regular grids as fields on meshes of lines, quads or hexahedra; collections read piece by piece."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshlearnError, MeshReadError, MissingDependencyError, ParameterError
from meshlearn.io.structured import grid_cells
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory

CELLS = {1: "line", 2: "quad", 3: "hexahedron"}


class Collection(Sequence[Any]):
    """Trajectories of a file or a folder by number, each read when it is asked for.

    A subclass writes `_one(index)` and `_count()`; what it raises is told with the name of the file.
    """

    def __init__(self, path: Any) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ParameterError(f"path={path!r}: the path of a file or folder is expected.")
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise MeshReadError(f"{self.path}: there is no such file or folder.")
        self._length = self._told(self._count)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[k] for k in range(*key.indices(len(self)))]
        key = operator.index(key)
        if not -len(self) <= key < len(self):
            raise IndexError(f"{self.path} holds {len(self)} trajectories; number {key} is not among them.")
        return self._told(self._one, key % len(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}): {len(self)} trajectories"

    def _count(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not implement _count.")

    def _one(self, index: int) -> Trajectory | Mesh:
        raise NotImplementedError(f"{type(self).__name__} does not implement _one.")

    def _told(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (MissingDependencyError, ParameterError):
            raise
        except (MeshlearnError, OSError, LookupError, ValueError, TypeError, AttributeError) as error:  # of other files
            if isinstance(error, MeshReadError) and str(self.path) in str(error):
                raise
            layout = type(self).__name__
            raise MeshReadError(f"{self.path}: this is not laid out as {layout} has it: {error}") from error


def lattice(axes: Sequence[Any], **global_data: Any) -> Mesh:
    """The mesh whose points are all combinations of coordinates, the first one running fastest.

    >>> from meshlearn.io.grid_files.lattice import lattice
    >>> lattice([[0.0, 1.0, 3.0], [0.0, 2.0]]).cell_counts
    {'quad': 2}
    """
    axes = [np.asarray(axis, dtype=np.float64).reshape(-1) for axis in axes]
    for name, axis in zip("xyz", axes, strict=False):
        if len(axis) < 2 or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
            raise MeshReadError(f"the coordinates along {name} do not ascend, or are fewer than two: {axis[:5]} …")
    grids = np.meshgrid(*axes, indexing="ij")
    points = np.stack([grid.reshape(-1, order="F") for grid in grids], axis=1)
    table = grid_cells([len(axis) for axis in axes])[1]
    return Mesh(points.astype(np.float32), {CELLS[len(axes)]: table}, global_data=global_data)


def rows(values: Any, dim: int, leading: int = 1) -> np.ndarray:
    """(*leading, n_x[, n_y[, n_z]], ...) values as (*leading, n_points, ...), in the order of `lattice`."""
    values = np.asarray(values)
    space = range(leading, leading + dim)
    order = [*range(leading), *reversed(space), *range(leading + dim, values.ndim)]
    turned = values.transpose(order)
    return turned.reshape(*values.shape[:leading], -1, *values.shape[leading + dim :])


def centres(edges_or_centres: Any, n: int) -> np.ndarray:
    """n coordinates: as they are, or the middles of n + 1 edges."""
    x = np.asarray(edges_or_centres, dtype=np.float64).reshape(-1)
    if len(x) == n + 1:
        return 0.5 * (x[1:] + x[:-1])
    if len(x) != n:
        raise MeshReadError(f"{len(x)} coordinates for {n} values along an axis.")
    return x


def thinned(axis: Any, every: int, name: str) -> np.ndarray:
    """Every so manieth coordinate. Raises ParameterError where that leaves fewer than two."""
    kept = np.asarray(axis)[::every]
    if len(kept) < 2 <= len(axis):
        raise ParameterError(f"every={every} leaves {len(kept)} of {len(axis)} points along {name}: take at most half.")
    return kept


def check_stride(name: str, value: Any) -> int:
    """A whole number of at least 1; ParameterError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name}={value!r}: a whole number of at least 1 is expected.")
    return value
