"""Many meshes: read on access, through a cache, in parallel if asked; and split for training and testing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshlearnError, MeshReadWarning, ParameterError
from meshlearn.io.cache import default_folder, read_cached
from meshlearn.io.counts import counted
from meshlearn.io.finding import find_files as find_files
from meshlearn.io.read import read
from meshlearn.io.told import collected_warnings, loss, tell_once
from meshlearn.mesh.mesh import Mesh


class MeshDataset(Sequence):
    """A sequence of meshes that are read when they are asked for.

    paths   the files
    cache   a folder of native stores keyed on the files' content, True for the user's cache folder, None for none
    dim     as in `read`

    Indexing gives a Mesh (or Trajectory), slicing and `subset` give a MeshDataset; iteration reads one file at a time
    and keeps none of them. `load` reads all of them at once, in parallel.

    What a reader could not keep is a MeshReadWarning for the first file that has it, not for every file in every pass;
    `losses` counts the files seen with it so far, those of subsets (`ml.split`) included.
    """

    def __init__(self, paths: Sequence[str | os.PathLike], cache: Any = None, dim: str | int = "auto"):
        self.paths = [Path(path) for path in paths]
        self.cache = default_folder() if cache is True else (Path(cache) if cache else None)
        self.dim = dim
        self._lossy: dict[str, set[Path]] = {}  # loss -> files that have it; shared with subsets

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        return self._read(self.paths[index])

    @property
    def losses(self) -> dict[str, int]:
        """What readers could not keep, with the number of files read so far that have it."""
        return {what: len(paths) for what, paths in self._lossy.items()}

    def _read(self, path: Path) -> Any:
        result, texts = self._quietly(path)
        more = "\n  said once; `losses` of the dataset counts the files with it" if len(self) > 1 else ""
        self._tell({path: texts}, more)
        return result

    def _quietly(self, path: Path) -> tuple[Any, list[str]]:
        """The mesh, and what its reader could not keep."""
        with collected_warnings(quiet=True) as texts:
            return (read_cached(path, self.cache, self.dim) if self.cache else read(path, dim=self.dim)), texts

    def _tell(self, per_file: dict[Path, list[str]], more: str = "") -> None:
        """Tell the losses that no file had before."""
        new = [[text for text in texts if loss(text) not in self._lossy] for texts in per_file.values()]
        for path, texts in per_file.items():
            for text in texts:
                self._lossy.setdefault(loss(text), set()).add(path)
        tell_once(new, more, stacklevel=4)

    def __iter__(self) -> Iterator[Any]:
        return (self._read(path) for path in self.paths)

    def subset(self, rows: Sequence[int] | range) -> MeshDataset:
        """The meshes with the given numbers, still unread."""
        part = MeshDataset([self.paths[int(row)] for row in rows], self.cache, self.dim)
        part._lossy = self._lossy
        return part

    def load(self, workers: int | None = None, progress: bool = True, errors: str = "raise") -> list[Any]:
        """Read everything now: a list of meshes.

        workers   threads (default: one per core)
        errors    "raise": the first unreadable file ends it; "skip": unreadable files are left out and named in a
                  warning
        """
        if errors not in ("raise", "skip"):
            raise ParameterError(f"errors={errors!r}: expected 'raise' or 'skip'")

        def attempt(path: Path) -> tuple[Any, list[str]]:
            try:
                return self._quietly(path)
            except MeshlearnError as error:
                return error, []

        loaded, failed, said = [], [], {}
        with ThreadPoolExecutor(max_workers=max(1, workers or os.cpu_count() or 1)) as pool:
            futures = [pool.submit(attempt, path) for path in self.paths]
            try:
                for path, future in _tracked(list(zip(self.paths, futures, strict=True)), progress):
                    result, said[path] = future.result()
                    if not isinstance(result, MeshlearnError):
                        loaded.append(result)
                    elif errors == "raise":
                        raise result
                    else:
                        failed.append((path, result))
            finally:
                for future in futures:
                    future.cancel()
        self._tell(said)
        _warn_skipped(failed, len(self.paths))
        return loaded

    def __repr__(self) -> str:
        names = ", ".join(path.name for path in self.paths[:3]) + (", ..." if len(self) > 3 else "")
        cache = f"; cache {self.cache}" if self.cache else ""
        return f"MeshDataset({counted(len(self), 'file')}: {names}{cache})"


def _tracked(items: list, progress: bool) -> Iterator:
    if not progress or len(items) < 2:
        return iter(items)
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return (
        iter(track(items, description="reading meshes", console=console, transient=True))
        if console.is_terminal
        else iter(items)
    )


def _warn_skipped(failed: list[tuple[Path, MeshlearnError]], total: int) -> None:
    if failed:
        names = "\n  ".join(str(error).splitlines()[0] for _, error in failed)
        warnings.warn(
            f"{len(failed)} of {counted(total, 'file')} {'was' if len(failed) == 1 else 'were'} skipped:\n  {names}",
            MeshReadWarning,
            stacklevel=3,
        )


def read_many(
    files: Any,
    *,
    cache: Any = None,
    workers: int | None = None,
    progress: bool = True,
    errors: str = "raise",
    dim: str | int = "auto",
) -> Any:
    """Meshes of many files: a `MeshDataset` that reads on access, or a list if `workers` is given.

    files     a pattern ("runs/*.vtu", ** reaches into sub-folders), a folder, or a list of paths, patterns and folders;
              patterns are sorted so that run_2 comes before run_10. A pattern takes what it matches; a folder takes its
              mesh files, less those that a .pvd or .pvtu in it names, and of .txt, .csv, .dat and .xml files only those
              whose content shows a mesh (what is left out is named in a MeshReadWarning, README and LICENSE aside)
    cache     True or a folder: each file is parsed once, then loaded from a native store keyed on its content
    workers   read everything now with this many threads and return a list; None: read on access
    progress  show a progress bar while reading (on a terminal)
    errors    "raise", or "skip": unreadable files are left out and named in a MeshReadWarning (this reads everything
              now)

    Raises MeshReadError if nothing matches or a file of a list is missing (errors="raise"), and, when a file is read,
    as `read` does.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for k in (2, 3, 4):
    ...     _ = ml.write(ml.shapes.square(n=k), folder / f"square_{k}.vtu")
    >>> meshes = ml.read_many(folder / "*.vtu")
    >>> len(meshes), meshes[1].n_cells
    (3, 18)
    """
    if errors not in ("raise", "skip"):
        raise ParameterError(f"errors={errors!r}: expected 'raise' or 'skip'")
    dataset = MeshDataset(find_files(files, missing=errors), cache, dim)
    if workers is not None or errors == "skip":
        return dataset.load(workers, progress, errors)
    return dataset


def split(meshes: Sequence[Any], test: float | int = 0.2, seed: int = 0) -> tuple[Any, Any]:
    """(train, test): a random, disjoint and repeatable division of a sequence.

    test  a fraction in (0, 1), or a number of meshes; at least one mesh lands on each side
    A MeshDataset is split without reading a file; any other sequence gives two lists. The order is kept on both sides.

    >>> ml.split(list(range(10)), test=0.3)
    ([0, 1, 3, 5, 7, 8, 9], [2, 4, 6])
    """
    if isinstance(meshes, Mesh):
        raise ParameterError("split needs a sequence of meshes, got one Mesh")
    count = len(meshes)
    if count < 2:
        raise ParameterError(f"split needs at least 2 meshes, got {count}")
    if (
        not isinstance(test, int | float | np.number)
        or isinstance(test, bool)
        or not (0 < test < 1 if isinstance(test, float) else 0 < test < count)
    ):
        raise ParameterError(f"test={test!r}: expected a fraction in (0, 1) or a whole number from 1 to {count - 1}")
    n_test = round(test * count) if isinstance(test, float) else int(test)
    n_test = min(max(n_test, 1), count - 1)
    order = np.random.default_rng(seed).permutation(count)
    chosen = sorted(order[:n_test].tolist())
    rest = sorted(order[n_test:].tolist())
    if isinstance(meshes, MeshDataset):
        return meshes.subset(rest), meshes.subset(chosen)
    return [meshes[row] for row in rest], [meshes[row] for row in chosen]
