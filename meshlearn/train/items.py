"""What `fit`, `predict` and `score` accept, made uniform: meshes, trajectories, lists, lazy sequences, batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.batch import MeshBatch
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory


@runtime_checkable
class Items(Protocol):
    """Meshes and trajectories by number: a list, or anything lazy with a length and indexing."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def is_single(data: Any) -> bool:
    """True for one mesh or one trajectory, False for a collection of them."""
    return isinstance(data, (Mesh, Trajectory))


def as_items(data: Any, role: str = "meshes") -> Items:
    """One mesh, a list, a lazy sequence (anything with `len` and indexing), a MeshBatch or an iterable, as a sequence.

    Sequences are not copied: a lazy one loads a mesh only when it is asked for.
    Raises ParameterError for an empty collection or for something that holds no meshes.
    """
    if is_single(data):
        return [data]
    if isinstance(data, MeshBatch):
        return data.unbatch()
    if isinstance(data, (str, bytes)):
        raise ParameterError(f"{role} is the text {data!r}: read the files first, with ml.read or ml.read_many.")
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, dict):
        if isinstance(data, dict) or not isinstance(data, Iterable):
            raise ParameterError(
                f"{role} must be a Mesh, a Trajectory or a sequence of them, not {type(data).__name__}."
            )
        data = list(data)
    if len(data) == 0:
        raise ParameterError(f"{role} is empty: give at least one mesh (did a file pattern match nothing?).")
    return data


def check_item(item: Any, index: int) -> Any:
    """The item itself; raises MeshError unless it is a Mesh or a Trajectory."""
    if not is_single(item):
        raise MeshError(f"entry {index} of the meshes is a {type(item).__name__}; a Mesh or a Trajectory is expected.")
    return item


def hide_fields(mesh: Mesh, names: Iterable[str]) -> Mesh:
    """A copy without these fields (wherever they are); topology and geometry stay shared with the original."""
    names = set(names)
    changes = {}
    for place in ("point_data", "cell_data", "global_data"):
        data = getattr(mesh, place)
        if names & set(data):
            changes[place] = {name: values for name, values in data.items() if name not in names}
    if not changes:
        return mesh
    _ = mesh.topology  # made before the copy, so that both share what is computed later
    return mesh.replace(**changes)


class Subset(Sequence[Any]):
    """Some entries of a sequence, in the given order, loaded when asked for."""

    def __init__(self, data: Items, indices: Sequence[int]):
        self.data, self.indices = data, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Subset(self.data, self.indices[index])
        return self.data[self.indices[index]]


def split_validation(n: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of training and validation meshes: whole meshes, never points; at least one mesh on each side.

    Raises ParameterError when the fraction is not between 0 and 1 or when there is one mesh only.

    >>> training, validation = split_validation(10, 0.2, seed=0)
    >>> len(training), len(validation)
    (8, 2)
    """
    if not 0.0 < fraction < 1.0:
        raise ParameterError(
            f"validation={fraction!r}: a fraction lies strictly between 0 and 1 (or give meshes, or None)."
        )
    if n < 2:
        raise ParameterError(
            f"validation={fraction!r} needs at least two meshes to split, got {n}.\n"
            "  Validation holds out whole meshes. Give more meshes, a separate list (validation=[mesh, …]) "
            "or validation=None to train without validation."
        )
    n_validation = min(max(1, round(fraction * n)), n - 1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(order[n_validation:]), sorted(order[:n_validation])
