"""A cursor over a .msh file: sections, and numbers as text or bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.text_numbers import plain_numbers
from meshlearn.io.texts import text_of


class MshCursor:
    """Reads section after section; `$MeshFormat` is read at once."""

    def __init__(self, data: bytes, builder: MeshBuilder):
        self.data, self.position, self.builder = data, 0, builder
        self.version, self.binary, self.size = 0.0, False, 8
        self.order: Any = "<"
        section = self.next_section()
        while section == "Comments":
            self.skip(section)
            section = self.next_section()
        if section in ("NOD", "PARA"):
            raise builder.fail(
                "Gmsh's format version 1 is not supported; open the file in Gmsh and save it as version 4"
            )
        if section != "MeshFormat":
            raise builder.fail(f"the first section is {section!r}, expected $MeshFormat")
        self._read_format()

    def _read_format(self) -> None:
        words = self.line().split()
        if len(words) < 3:
            raise self.builder.fail(f"$MeshFormat holds {words}, expected version, file type and data size")
        version = words[0].decode()
        if version not in ("2", "2.0", "2.1", "2.2", "4", "4.0", "4.1"):
            raise self.builder.fail(f"Gmsh format version {version} is not supported; 2.0 to 2.2, 4.0 and 4.1 are")
        self.version, self.binary, self.size = float(version), words[1] == b"1", int(words[2])
        if self.binary:
            mark = self.data[self.position : self.position + 4]
            self.order = "<" if int.from_bytes(mark, "little") == 1 else ">"
            self.position += 4
        self.end("MeshFormat")

    def line(self) -> bytes:
        """The next line without its end."""
        end = self.data.find(b"\n", self.position)
        end = len(self.data) if end < 0 else end
        text = self.data[self.position : end]
        self.position = end + 1
        return text.strip()

    def next_section(self) -> str:
        """The name of the next section, "" at the end of the file."""
        while self.position < len(self.data):
            text = self.line()
            if text.startswith(b"$"):
                return text[1:].decode(errors="replace")
        return ""

    def end(self, section: str) -> None:
        """Move behind `$End...` of a section whose numbers have been read."""
        mark = f"$End{section}".encode()
        found = self.data.find(mark, self.position)
        if found < 0:
            raise self.builder.fail(f"section ${section} is not closed: the file is cut off")
        if self.data[self.position : found].strip():
            raise self.builder.fail(f"section ${section} holds more than it announces")
        self.position = found + len(mark)

    def skip(self, section: str) -> None:
        """Move behind a section without reading it."""
        mark = f"$End{section}".encode()
        found = self.data.find(mark, self.position)
        self.position = len(self.data) if found < 0 else found + len(mark)

    def text_body(self, section: str) -> str:
        """The text of a section."""
        return text_of(self.body(section), self.builder).strip()

    def body(self, section: str) -> bytes:
        """The bytes of a section."""
        mark = f"$End{section}".encode()
        found = self.data.find(mark, self.position)
        if found < 0:
            raise self.builder.fail(f"section ${section} is not closed: the file is cut off")
        text = self.data[self.position : found]
        self.position = found + len(mark)
        return text

    def numbers(self, section: str) -> np.ndarray:
        """All numbers of an ASCII section as float64 (exact for whole numbers below 2**53)."""
        try:
            return plain_numbers(self.body(section), np.dtype(np.float64))
        except ValueError:
            raise self.builder.fail(f"section ${section} holds something that is not a number") from None

    def take(self, count: int, kind: str) -> np.ndarray:
        """`count` numbers of a binary section; kind "i4" | "u8" | "f8"."""
        dtype = np.dtype(self.order + kind)
        length = int(count) * dtype.itemsize
        chunk = self.data[self.position : self.position + length]
        if count < 0 or len(chunk) < length:
            raise self.builder.fail(f"{length} bytes are announced, {len(chunk)} are left: the file is cut off")
        self.position += length
        return np.frombuffer(chunk, dtype).astype(dtype.newbyteorder("="))

    def records(self, count: int, dtype: list) -> np.ndarray:
        """`count` records of a binary section."""
        kind = np.dtype(dtype).newbyteorder(self.order)
        length = int(count) * kind.itemsize
        chunk = self.data[self.position : self.position + length]
        if count < 0 or len(chunk) < length:
            raise self.builder.fail(f"{length} bytes are announced, {len(chunk)} are left: the file is cut off")
        self.position += length
        return np.frombuffer(chunk, kind)


class Walk:
    """Takes numbers one run after the other from an ASCII section."""

    def __init__(self, cursor: MshCursor, section: str):
        self.values, self.position, self.section = cursor.numbers(section), 0, section
        self.fail = cursor.builder.fail

    def take(self, count: int) -> np.ndarray:
        """The next `count` numbers."""
        count = int(count)
        run = self.values[self.position : self.position + count]
        if count < 0 or len(run) < count:
            raise self.fail(f"section ${self.section} announces more than the {len(self.values)} numbers that it holds")
        self.position += count
        return run

    def integers(self, count: int) -> list[int]:
        """The next `count` numbers as integers."""
        return [int(value) for value in self.take(count)]

    def finish(self) -> None:
        """Raise if numbers are left."""
        if self.position != len(self.values):
            raise self.fail(f"section ${self.section} holds {len(self.values) - self.position} numbers too many")
