"""Formats of several files: the numbers are written under a new name first, the leading file is renamed last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from meshlearn.errors import MeshWriteError

MARK = "<!-- written by meshlearn, with its numbers in: {} -->"
_START, _END = MARK.encode().split(b"{}")


@contextmanager
def claimed(stem: Path, suffix: str, make: Callable[[Path], None], remove: Callable[[Path], None]) -> Iterator[Path]:
    """A path that did not exist, made by `make`: STEM + SUFFIX, else STEM_1 + SUFFIX, STEM_2 ...; removed on
    failure."""
    if not os.access(stem.parent, os.W_OK):
        raise MeshWriteError(f"{stem}: the folder {stem.parent} is not writable.")
    for k in count():
        path = stem.with_name(f"{stem.name}{f'_{k}' if k else ''}{suffix}")
        try:
            make(path)
        except FileExistsError:
            continue
        break
    try:
        yield path
    except BaseException:
        remove(path)
        raise


def new_file(path: Path) -> None:
    """Make an empty file; FileExistsError if there is one."""
    with open(path, "xb"):
        pass


def mark(heavy: Path) -> str:
    """The comment in a leading file by which a later writing knows the numbers to be ours."""
    return MARK.format(heavy.name.replace("--", "&#45;&#45;"))


def previous(path: Path) -> Path | None:
    """Where the version of a leading file that is about to be replaced has its numbers; None if we did not write it."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(4096)
    start = head.find(_START)
    end = head.find(_END, start)
    if start < 0 or end < 0:
        return None
    name = head[start + len(_START) : end].decode("utf-8", "replace").replace("&#45;", "-")
    return path.parent / name if name and Path(name).name == name else None
