"""What the data sets of varied domains share: designs that fill the space of their parameters, and folders of files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from meshlearn.errors import MeshWriteError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.option_checks import whole

Made = TypeVar("Made", Mesh, Trajectory)
SERIES = ".mesh.safetensors"
"""Files of trajectories: one each, with everything that they hold."""


def bounds(name: str, value: Any, lowest: float = -math.inf, highest: float = math.inf) -> tuple[float, float]:
    """(smallest, largest) from a number or a pair. Raises ParameterError for anything else, or outside the limits."""
    pair = list(value) if isinstance(value, (Sequence, np.ndarray)) else [value, value]
    numbers = len(pair) == 2 and all(isinstance(part, Real) and not isinstance(part, bool) for part in pair)
    low, high = pair if numbers else (1.0, 0.0)
    if not (lowest <= low <= high <= highest and math.isfinite(low) and math.isfinite(high)):
        limits = f" from {lowest:g} to {highest:g}" if math.isfinite(lowest) or math.isfinite(highest) else ""
        raise ParameterError(f"{name} is a number or a pair (smallest, largest){limits}, not {value!r}.")
    return float(low), float(high)


def design(n: Any, seed: Any, ranges: Mapping[str, tuple[float, float]]) -> list[dict[str, float]]:
    """`n` points of a scrambled Sobol sequence in a box: {name: value} each.

    They fill the box more evenly than independent draws do. Point i depends on the seed, on i and on the number of
    ranges only, so a larger design begins with the smaller one. Raises ParameterError for a bad number or seed.

    >>> from meshlearn.sim.collection import design
    >>> [sorted(int(p["x"]) for p in design(4, seed, {"x": (0.0, 4.0)})) for seed in (0, 1)]
    [[0, 1, 2, 3], [0, 1, 2, 3]]
    """
    from scipy.stats import qmc

    n, seed = whole(1)("n", n), whole(0)("seed", seed)
    sequence = qmc.Sobol(len(ranges), scramble=True, seed=np.random.default_rng(seed))
    share = sequence.random_base2(math.ceil(math.log2(n)))[:n]
    low, high = np.array(list(ranges.values())).T
    return [dict(zip(ranges, row, strict=True)) for row in (low + (high - low) * share).tolist()]


def mesher_seed(seed: int, i: int) -> int:
    """The seed of the triangulation of mesh i, so that no two meshes have their interior points in common."""
    return int(np.random.default_rng([seed, i]).integers(2**31))


def collect(
    make: Callable[[int], Made],
    n: int,
    folder: str | Path | None,
    prefix: str,
    progress: bool = False,
    suffix: str = ".vtu",
) -> list[Made]:
    """make(0), …, make(n - 1) in float32; written as `<prefix>_0000.vtu` … when a folder is given.

    suffix  of the files: `SERIES` for trajectories

    Raises ParameterError for a folder with meshes of that name that these would not overwrite (two data sets would be
    mixed), MeshWriteError for a folder that cannot be written.
    """
    from rich.console import Console
    from rich.progress import track

    import meshlearn as ml

    names = [f"{prefix}_{i:04d}{suffix}" for i in range(n)]
    if folder is not None:
        _refuse_others(Path(folder), prefix, names, suffix)
        _make_folder(Path(folder))
    console = Console(stderr=True)
    silent = not (progress and console.is_terminal)
    meshes: list[Made] = []
    for i in track(range(n), "making meshes", console=console, disable=silent, transient=True):
        mesh: Any = make(i).to(torch.float32)
        if folder is not None:
            path = Path(folder) / names[i]
            ml.write(mesh, path)
            named: Any = mesh if isinstance(mesh, Mesh) else mesh.mesh
            named = named.replace(source=str(path))
            mesh = named if isinstance(mesh, Mesh) else mesh.replace(mesh=named)
        meshes.append(mesh)
    return meshes


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise MeshWriteError(f"{folder}: the folder cannot be made: {cause.strerror or cause}.") from None


def _refuse_others(folder: Path, prefix: str, names: list[str], suffix: str) -> None:
    others = sorted({path.name for path in folder.glob(f"{prefix}_*{suffix}")} - set(names))
    if others:
        raise ParameterError(
            f"{folder} holds {len(others)} meshes that {len(names)} new ones would not overwrite ({others[0]}"
            f"{', …' if len(others) > 1 else ''}): two data sets would be mixed.\n  Choose an empty folder."
        )
