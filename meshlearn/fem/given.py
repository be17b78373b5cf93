"""Coefficients that were given but are read by no form: misspelt ones, and options in the wrong place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean


def check_read(
    given: Mapping[str, Any], read: Collection[str], settings: Collection[str], options: Collection[str] = ()
) -> None:
    """Raises ParameterError for coefficients that no form asks for.

    read      names that the forms have asked for
    settings  other arguments by name, which may have been misspelt
    options   names that belong into options={...}
    """
    unread = [name for name in given if name not in read]
    if not unread:
        return
    raise ParameterError(
        f"{', '.join(map(repr, unread))} {'was' if len(unread) == 1 else 'were'} given as coefficient"
        f"{'' if len(unread) == 1 else 's'}, but no form reads {' or '.join(f'x.{name}' for name in unread)}"
        f"{_guess(unread[0], read, settings, options)}\n"
        f"  coefficients that are read: {', '.join(f'x.{name}' for name in sorted(read)) or 'none'}"
    )


def _guess(name: str, read: Collection[str], settings: Collection[str], options: Collection[str]) -> str:
    if name in options:
        return f". It is an option of the solver: options={{{name!r}: ...}}."
    for known, words in ((settings, "the argument {}"), (options, "the option {}, in options={{...}}"), (read, "x.{}")):
        guess = did_you_mean(name, known, cutoff=0.7, words=words)
        if guess != ".":
            return guess
    return "."
