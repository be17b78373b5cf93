"""`ml.read`: one file as a mesh, whatever the format."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshError, MeshlearnError, MeshReadError, MeshReadWarning, MissingDependencyError
from meshlearn.io import registry
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.counts import counted
from meshlearn.io.paths import checked_path
from meshlearn.mesh.mesh import Mesh

_COLLECTING: ContextVar[list[str] | None] = ContextVar("collecting", default=None)


def read(
    path: str | os.PathLike, *, dim: str | int = "auto", step: int | None = None, format: str | None = None
) -> Any:
    """Read a mesh file: a `Mesh`, or a `Trajectory` if the file holds more than one time.

    path    the file (for a PLAID sample: its folder); the format is told by the content, then by the suffix
    dim     number of coordinates: "auto" keeps the file's, but a file with three coordinates whose z are all 0 and
            whose cells are at most two-dimensional is read as a plane mesh; 3 keeps z
    step    of a time series only this step, as a Mesh (negative numbers count from the end)
    format  a name from `ml.io.supported_formats()` to use instead of looking at the file

    What a reader changed is listed in `mesh.report`; what it could not keep is also a `MeshReadWarning`.
    Raises MeshReadError (missing, empty, damaged or unknown file), MissingDependencyError (optional package).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "square.vtu"
    >>> _ = ml.write(ml.shapes.square(n=2), file)
    >>> ml.read(file).n_cells
    8
    """
    path = checked_path(path, MeshReadError)
    chosen = registry.by_name(format) if format else None
    if path.is_dir():
        from meshlearn.io.formats import plaid

        result: Any = _guarded(plaid.read, path, "PLAID sample") if plaid.is_sample(path) else _refuse_folder(path)
    else:
        _check_exists(path)
        try:
            chosen = chosen or registry.recognise(path)
        except OSError as error:
            raise MeshReadError(f"{path}: cannot be opened ({error.strerror}).") from None
        result = _guarded(chosen.load().read, path, chosen.title)
    losses: list[str] = []
    if isinstance(result, MeshBuilder):
        losses = result.losses
        try:
            result = result.build(dim)
        except MeshReadError:
            raise
        except (MeshError, MeshlearnError, ValueError, TypeError) as error:
            raise MeshReadError(f"{path}: {error}") from error
    for text in losses:
        if (collecting := _COLLECTING.get()) is not None:
            collecting.append(f"{path.name}: {text}")
        warnings.warn(f"{path.name}: {text}", MeshReadWarning, stacklevel=2)
    return result if step is None else _one_step(result, step, path)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """The texts of all MeshReadWarnings of this thread's reading, nested files included; they are given as well."""
    texts: list[str] = []
    token = _COLLECTING.set(texts)
    try:
        yield texts
    finally:
        _COLLECTING.reset(token)


def _guarded(reader, path: Path, title: str) -> Any:
    """Run a reader; whatever goes wrong inside becomes a MeshReadError that names the file."""
    try:
        return reader(path)
    except (MeshReadError, MissingDependencyError):
        raise
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{path}: reading it as {title} needs the package {error.name!r}, which is not installed.\n"
            f"  Install it with: pip install {error.name}"
        ) from error
    except OSError as error:
        raise MeshReadError(f"{path}: cannot be read as {title}: {error}") from error
    # A damaged file can make a parser (ours, h5py's, meshio's: SystemExit) fail in any way; no reader may end the
    # process.
    except (Exception, SystemExit) as error:
        detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise MeshReadError(
            f"{path}: cannot be read as {title}; the file is damaged, cut off, or of an unsupported variant.\n"
            f"  cause: {detail}\n  supported are {' '.join(registry.suffixes())}"
        ) from error


def _check_exists(path: Path) -> None:
    if path.exists():
        return
    folder = path.parent
    if not folder.is_dir():
        raise MeshReadError(f"{path}: no such file; the folder {folder} does not exist either.")
    names = [entry.name for entry in folder.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"the folder {folder} holds {counted(len(names), 'other entry', 'other entries')}."
    )
    raise MeshReadError(f"{path}: no such file.\n  {hint}")


def _refuse_folder(path: Path) -> Any:
    known = [entry for entry in sorted(path.iterdir()) if entry.is_file() and registry.of_suffix(entry)]
    if known:
        hint = f'it holds {counted(len(known), "mesh file")}: ml.read_many("{path}/*{known[0].suffix}")'
    else:
        hint = "it holds no mesh file, and it is not a PLAID sample (meshes/*.cgns)"
    raise MeshReadError(f"{path}: this is a folder.\n  {hint}")


def _one_step(result: Any, step: int, path: Path) -> Mesh:
    n_steps = 1 if isinstance(result, Mesh) else len(result)
    if not -n_steps <= step < n_steps:
        raise MeshReadError(f"{path}: step {step} was asked for, the file holds steps 0 to {n_steps - 1}")
    return result if isinstance(result, Mesh) else result[step]
