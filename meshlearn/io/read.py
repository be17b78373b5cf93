"""`ml.read`: one file as a mesh, whatever the format."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshError, MeshlearnError, MeshReadError, MissingDependencyError, ParameterError
from meshlearn.hints import near_names
from meshlearn.io import registry
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.counts import counted
from meshlearn.io.paths import checked_path
from meshlearn.io.told import tell
from meshlearn.mesh.mesh import Mesh


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
    if step is not None and not isinstance(step, int | np.integer):
        raise ParameterError(f"step={step!r}: expected the number of a step, 0 for the first, -1 for the last")
    chosen = registry.by_name(format) if format else None
    if path.is_dir():
        from meshlearn.io.formats import plaid

        result: Any = _guarded(plaid.read, path, "PLAID sample") if plaid.is_sample(path) else _refuse_folder(path)
    else:
        check_exists(path)
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
        tell(f"{path.name}: {text}")
    return result if step is None else _one_step(result, step, path)


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
        name = "" if type(error) is ValueError else f"{type(error).__name__}: "  # its text says it all
        detail = f"{name}{error}" if str(error) else type(error).__name__
        raise MeshReadError(
            f"{path}: cannot be read as {title}; the file is damaged, cut off, or of an unsupported variant.\n"
            f"  cause: {detail}\n  supported are {' '.join(registry.suffixes())}"
        ) from error


def check_exists(path: Path) -> None:
    """Raise MeshReadError for a file that is not there, and for what is no file: reading a pipe would wait for ever."""
    if path.is_file():
        return
    if path.exists():
        raise MeshReadError(f"{path}: this is no file but a pipe, a socket or a device; save its content as a file.")
    folder = path.parent
    if not folder.is_dir():
        raise MeshReadError(f"{path}: no such file; the folder {folder} does not exist either.")
    entries = {entry.name: entry.name.partition(".")[0].lower() for entry in folder.iterdir()}
    stems = near_names(path.name.partition(".")[0].lower(), entries.values(), cutoff=0.7, count=3)
    near = [name for name, stem in entries.items() if stem and stem in stems]
    near.sort(key=lambda name: -difflib.SequenceMatcher(None, name, path.name).ratio())
    hint = (
        f"did you mean {' or '.join(near[:3])}?"
        if near
        else f"the folder {folder} holds {counted(len(entries), 'other entry', 'other entries')}."
    )
    raise MeshReadError(f"{path}: no such file.\n  {hint}")


def _refuse_folder(path: Path) -> Any:
    from meshlearn.io.folders import sorted_entries

    if meshes := sorted_entries(path).meshes:
        hint = f'it holds {counted(len(meshes), "mesh file")}: ml.read_many("{path}")'
    else:
        inner = next(
            (entry for entry in sorted(path.glob("*/*")) if entry.is_file() and registry.of_suffix(entry)), None
        )
        hint = "it holds no mesh file, and it is not a PLAID sample (meshes/*.cgns)"
        if inner is not None:
            hint = f'the meshes are in folders inside it: ml.read_many("{path}/**/*{inner.suffix}")'
        if (path / "model.json").is_file():
            hint = f'it holds a saved model or a checkpoint: ml.load("{path}")'
    raise MeshReadError(f"{path}: this is a folder.\n  {hint}")


def _one_step(result: Any, step: int, path: Path) -> Mesh:
    n_steps = 1 if isinstance(result, Mesh) else len(result)
    if not -n_steps <= step < n_steps:
        raise MeshReadError(f"{path}: step {step} was asked for, the file holds steps 0 to {n_steps - 1}")
    return result if isinstance(result, Mesh) else result[step]
