"""Numbers of things in messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun in the right form.

    >>> counted(1, "file"), counted(2, "entry", "entries"), counted(0, "cell")
    ('1 file', '2 entries', '0 cells')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
