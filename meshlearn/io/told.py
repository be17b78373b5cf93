"""What readers could not keep, on its way to the user: told at once, or collected and told once for many files."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from meshlearn.errors import MeshReadWarning
from meshlearn.io.counts import counted

_LISTS: ContextVar[tuple[list[str], ...]] = ContextVar("lists", default=())  # innermost last
_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


def tell(text: str, stacklevel: int = 2) -> None:
    """Warn of a loss, "FILE: what", and note it in the lists of `collected_warnings`."""
    for texts in _LISTS.get():
        texts.append(text)
    if not _QUIET.get():
        warnings.warn(text, MeshReadWarning, stacklevel=stacklevel + 1)


@contextmanager
def collected_warnings(quiet: bool = False) -> Iterator[list[str]]:
    """The texts of all losses of this thread's reading, nested files included; they are told as well unless quiet."""
    texts: list[str] = []
    lists, was_quiet = _LISTS.set((*_LISTS.get(), texts)), _QUIET.set(quiet or _QUIET.get())
    try:
        yield texts
    finally:
        _LISTS.reset(lists)
        _QUIET.reset(was_quiet)


def loss(text: str) -> str:
    """A text without the name of its file.

    >>> loss("a.vtu: array 'name' of text")
    "array 'name' of text"
    """
    return text.partition(": ")[2]


def tell_once(per_file: list[list[str]], more: str = "", stacklevel: int = 2) -> None:
    """Tell the losses of many files, each once: for the first file that has it, with the number of such files."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for texts in per_file:
        for text in texts:
            first.setdefault(loss(text), text)
        counts.update({loss(text) for text in texts})
    for what, count in counts.items():
        files = f" (so in {count} of {counted(len(per_file), 'file')})" if len(per_file) > 1 else ""
        tell(first[what] + files + more, stacklevel + 1)
