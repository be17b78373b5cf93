"""Names of the columns of a table: which of them are coordinates."""

from __future__ import annotations

import re

_UNIT = r"\s*(?:[\[({].*[\])}]|/\s*\S+)?"  # x [m], x (mm), x / m
_FORMS = (
    "AXIS",  # the axis itself comes first: beside it, "x [m]" is a field
    "points:NUMBER",  # ParaView
    "AXIS" + _UNIT,
    "AXIS[-_ ]?coord(?:inate)?s?" + _UNIT,
    "coord(?:inate)?s?[-_ ]?AXIS" + _UNIT,
)


def axes(names: list[str]) -> list[int]:
    """The numbers of the columns named x, y, z (as far as there are), with or without a unit in brackets.

    >>> axes(["T [K]", "X [m]", "y [m]"]), axes(["T", "u"])
    ([1, 2], [])
    """
    found = []
    for number, axis in enumerate("xyz"):
        for form in _FORMS:
            pattern = re.compile(form.replace("AXIS", axis).replace("NUMBER", str(number)), re.I)
            here = [k for k, name in enumerate(names) if pattern.fullmatch(name)]
            if here:
                found.append(here[0])
                break
    return found


def words(line: str, separator: str | None) -> list[str]:
    """The entries of a line, without quotation marks; between blanks, a unit in brackets belongs to its name.

    >>> words("x [m] y [m] T", None)
    ['x [m]', 'y [m]', 'T']
    """
    if separator is None and not set(line) & set('"[({'):
        parts = line.split()
    elif separator is None:
        parts = re.findall(r'(?:"[^"]*"|[^\s"]+)(?:\s+[\[({][^\])}]*[\])}])?', line)
    else:
        parts = line.split(separator)
    return [part.strip().strip('"').strip() for part in parts]


def heading_in(comment: str, separator: str | None, width: int) -> list[str] | None:
    """The names that a comment above the numbers gives (`numpy.savetxt` writes them so), or None.

    >>> heading_in("# x,y,T", ",", 3), heading_in("# made by hand", None, 3)
    (['x', 'y', 'T'], None)
    """
    text = comment.lstrip("#/%! ").strip()
    for mark in dict.fromkeys((separator, ",", ";", "\t", None)):
        names = words(text, mark)
        if len(names) == width and axes(names):
            return names
    return None
