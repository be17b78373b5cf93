"""Which formats there are, and which of them a file is: by its content first, by its suffix second."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from meshlearn.errors import MeshReadError, MeshWriteError, ParameterError
from meshlearn.io.foreign import refuse_foreign, refuse_suffix

HEAD_BYTES = 8192


@dataclass(frozen=True)
class Format:
    """A file format. Its module has `read(path) -> MeshBuilder | Mesh | Trajectory` and/or `write(mesh, path,
    **options)`.

    `write` returns the list of what the format could not hold. `recognises(head)` looks at the first bytes of a file
    and says whether they are certainly of this format.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    module: str
    reads: bool = True
    writes: bool = True
    series: bool = False  # `write` takes a Trajectory
    recognises: Callable[[bytes], bool] | None = None

    def load(self) -> ModuleType:
        """The module with the reader and writer."""
        return import_module(self.module)


_FORMATS: dict[str, Format] = {}


def register_format(new: Format) -> None:
    """Add a format (an adapter to a library or a program of your own); its name must be new."""
    if new.name in _FORMATS:
        raise ParameterError(f"a format named {new.name!r} is registered already: {_FORMATS[new.name].title}")
    _FORMATS[new.name] = new


def supported_formats() -> tuple[Format, ...]:
    """All registered formats.

    >>> sorted(f.name for f in ml.io.supported_formats() if ".vtu" in f.suffixes)
    ['vtu']
    """
    return tuple(_FORMATS.values())


def suffixes(reading: bool = True) -> list[str]:
    """Suffixes that can be read (or written)."""
    return sorted({suffix for f in _FORMATS.values() if (f.reads if reading else f.writes) for suffix in f.suffixes})


def by_name(name: str) -> Format:
    """The format with a name; raises ParameterError listing the names."""
    if name not in _FORMATS:
        raise ParameterError(f"format={name!r} is not known; formats are {', '.join(sorted(_FORMATS))}")
    return _FORMATS[name]


def of_suffix(path: Path) -> list[Format]:
    """Formats whose suffix the path ends in; the longest suffix wins (.mesh.safetensors before .safetensors)."""
    name = path.name.lower()
    name = re.sub(r"(\.e|\.exo)-s\.?\d+$", r"\1", name)
    matches = [(len(suffix), f) for f in _FORMATS.values() for suffix in f.suffixes if name.endswith(suffix)]
    longest = max((length for length, _ in matches), default=0)
    return [f for length, f in matches if length == longest]


def recognise(path: Path) -> Format:
    """The format of an existing file; raises MeshReadError if none fits."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip():
        raise MeshReadError(f"{path}: the file is empty ({path.stat().st_size} bytes).")
    refuse_foreign(path, head)
    by_suffix = [f for f in of_suffix(path) if f.reads]
    by_content = [f for f in _FORMATS.values() if f.reads and f.recognises is not None and f.recognises(head)]
    both = [f for f in by_suffix if f in by_content]
    if both:
        return both[0]
    if by_content:
        return by_content[0]
    without_mark = [f for f in by_suffix if f.recognises is None]
    if without_mark or by_suffix:
        return (without_mark or by_suffix)[0]
    refuse_suffix(path)
    raise MeshReadError(
        f"{path}: neither the suffix {path.suffix!r} nor the content belongs to a format that can be read.\n"
        f"  the file starts with {head[:40]!r}\n"
        f"  supported are {' '.join(suffixes())}"
    )


def for_writing(path: Path) -> Format:
    """The format that a path asks for by its suffix; raises MeshWriteError listing the suffixes."""
    for candidate in of_suffix(path):
        if candidate.writes:
            return candidate
    readable = " (it can be read, not written)" if of_suffix(path) else ""
    raise MeshWriteError(
        f"{path}: no format for writing has the suffix {path.suffix!r}{readable}.\n"
        f"  suffixes that can be written: {' '.join(suffixes(reading=False))}"
    )
