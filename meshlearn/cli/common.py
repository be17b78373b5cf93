"""What several commands share: file patterns, lists, values, and folders for results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from meshlearn.errors import MeshlearnError, MeshReadError, MeshWriteError, ParameterError

INTERRUPTED = 130
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


def expand(patterns: Iterable[str]) -> list[Path]:
    """The files that names, quoted patterns and folders stand for, each once, in the order given.

    Raises MeshReadError when one of them stands for nothing.
    """
    from meshlearn.io.dataset import find_files

    files: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if not path.exists() and not any(mark in pattern for mark in "*?["):
            raise MeshReadError(f"{pattern}: there is no such file or folder.")
        files.update(dict.fromkeys(find_files(pattern)))
    return list(files)


def for_each(patterns: Sequence[str], action: Callable[[Path], None]) -> tuple[int, int]:
    """Call `action` for every file that the names stand for: (how many files, how many of them failed).

    Errors, of names that stand for nothing too, are told on stderr, and the others go on. The error of a single file,
    or name, is raised, as everywhere else.
    """
    paths: dict[Path, None] = {}
    failed = 0
    for pattern in patterns:
        try:
            paths.update(dict.fromkeys(expand([pattern])))
        except (MeshlearnError, OSError) as error:
            if len(patterns) == 1:
                raise
            failed += 1
            say("error", str(error))
    n_files = len(paths) + failed
    return n_files, failed + each(list(paths), action, alone=n_files == 1)[1]


def each(paths: Sequence[Path], action: Callable[[Path], None], alone: bool | None = None) -> tuple[int, int]:
    """As `for_each`, for files that are known. The error of the only one, `alone`, is raised."""
    failed = 0
    for path in paths:
        try:
            action(path)
        except (MeshlearnError, OSError) as error:
            if len(paths) == 1 if alone is None else alone:
                raise
            failed += 1
            text = str(error)
            say("error", text if str(path) in text else f"{path}: {text}")
    return len(paths), failed


class Interrupted(Exception):
    """Ends a command that was interrupted, after it has told what became of its work."""


def say(kind: str, text: str) -> None:
    """Tell an "error" or a "note" on stderr."""
    color = {"error": typer.colors.RED, "note": typer.colors.YELLOW}.get(kind)
    typer.secho(f"{kind}{':' if text else ''} ", fg=color, bold=True, err=True, nl=False)
    typer.echo(text, err=True)


def writable(path: Path) -> Path:
    """The path of a mesh file to write; raises ParameterError when its suffix is of no format that can be written."""
    import meshlearn.io  # noqa: F401  (registers the formats)
    from meshlearn.io.registry import for_writing

    try:
        for_writing(path)
    except MeshWriteError as error:
        raise ParameterError(str(error)) from error
    return path


def names(text: str) -> list[str]:
    """A comma-separated list.

    >>> from meshlearn.cli.common import names
    >>> names("load, young")
    ['load', 'young']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def value(text: str) -> Any:
    """A number, true/false, none, a JSON list or a plain word.

    >>> from meshlearn.cli.common import value
    >>> value("64"), value("1e-3"), value("True"), value("none"), value("[1, 2]"), value("mean")
    (64, 0.001, True, None, [1, 2], 'mean')
    """
    plain = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in plain:
        return plain[text.lower()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def settings(pairs: Iterable[str]) -> dict[str, Any]:
    """name=value pairs as a dictionary; raises ParameterError for an argument without '='."""
    found = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise ParameterError(f"--set takes name=value, for example --set hidden=64, not {pair!r}.")
        found[name.strip()] = value(text.strip())
    return found


def bounds(text: str, number: type = float) -> Any:
    """One number or a range "low-high" (or "low,high").

    >>> from meshlearn.cli.common import bounds
    >>> bounds("3", int), bounds("1-3", int), bounds("3.5,5"), bounds("-3")
    (3, (1, 3), (3.5, 5.0), -3.0)
    """
    found = re.fullmatch(rf"\s*({_NUMBER})(?:\s*[-,]\s*({_NUMBER}))?\s*", text)
    try:
        numbers = [number(part) for part in found.groups() if part is not None] if found else []
    except ValueError:
        numbers = []
    if not numbers:
        raise ParameterError(f"a number or a range such as 1-3 is expected, not {text!r}.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def one_time(item: Any, number: int | None, file: Path, option: str) -> tuple[Any, str]:
    """The mesh of a file, or the mesh at one time of a time series; and which, in words."""
    import meshlearn as ml

    if isinstance(item, ml.Mesh):
        if number is not None:
            raise ParameterError(f"{file} is no time series but a single mesh: leave {option} out.")
        return item, ""
    number = -1 if number is None else number
    if not -len(item) <= number < len(item):
        raise ParameterError(f"{file} has frames 0 to {len(item) - 1}; there is no frame {number}.")
    number %= len(item)
    return item[number], f", frame {number} of 0 to {len(item) - 1}, time {float(item.times[number]):g}"


def results_folder(folder: Path) -> Path:
    """The folder, made if need be; raises MeshWriteError when it cannot be."""
    folder = folder.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MeshWriteError(f"{folder}: the folder cannot be made ({error.strerror or error}).") from error
    return folder


@contextmanager
def model_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A folder that a model can be written to, tried before the work; one that was made and stays empty is removed.

    Raises ParameterError for a folder that holds a model which must not be overwritten, CheckpointError for one that
    cannot be written.
    """
    from meshlearn.train import checkpoint

    folder = folder.expanduser()
    if checkpoint.exists(folder) and not overwrite:
        raise ParameterError(
            f"{folder} holds a model already.\n  Choose another folder with -o, or let it be replaced with --overwrite."
        )
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    checkpoint.prepare_folder(folder)
    try:
        yield folder
    finally:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def pair(text: str) -> tuple[float, float]:
    """Two numbers separated by a comma, of any sign.

    >>> from meshlearn.cli.common import pair
    >>> pair("-1,2.5")
    (-1.0, 2.5)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ParameterError(f"two numbers separated by a comma are expected, not {text!r}.") from None
    return low, high
