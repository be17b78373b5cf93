"""Names as files hold them: bytes whose encoding is not stated."""

from __future__ import annotations

import re
from pathlib import Path

from meshlearn.io.builder import MeshBuilder


def decoded(data: bytes) -> str:
    """UTF-8 where the bytes are that, else Latin-1, in which every byte is a character: unlike names stay unlike.

    >>> decoded(b"K\\xc3\\xbchlung"), decoded(b"K\\xfchlung")
    ('Kühlung', 'Kühlung')
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def text_of(data: bytes, builder: MeshBuilder) -> str:
    """`decoded`, with a note where the bytes are not UTF-8."""
    text = decoded(data)
    if not data.isascii() and text.encode() != data:
        builder.note("the file holds text that is not UTF-8; it was read as Latin-1")
    return text


def split_lines(text: str) -> list[str]:
    """Lines as files mean them; `str.splitlines` also breaks at characters that can stand in a name."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def lines_of(path: Path, builder: MeshBuilder) -> list[str]:
    """The lines of a text file."""
    return split_lines(text_of(path.read_bytes(), builder).removeprefix("\ufeff"))
