"""The lexical side of VTK legacy files: lines, and arrays of numbers as text or big-endian bytes."""

from __future__ import annotations

from urllib.parse import unquote

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.text_numbers import plain_numbers
from meshlearn.io.texts import text_of

_TYPES = {
    "bit": "bit", "unsigned_char": "u1", "char": "i1", "signed_char": "i1", "unsigned_short": "u2", "short": "i2",
    "unsigned_int": "u4", "int": "i4", "unsigned_long": "u8", "long": "i8", "long_long": "i8",
    "unsigned_long_long": "u8", "float": "f4", "double": "f8", "vtkidtype": "i4", "vtktypeint64": "i8",
    "vtktypeuint64": "u8", "vtktypeint32": "i4", "vtktypeuint32": "u4", "vtktypeint16": "i2", "vtktypeuint16": "u2",
    "vtktypeint8": "i1", "vtktypeuint8": "u1", "vtktypefloat32": "f4", "vtktypefloat64": "f8",
}  # fmt: skip
_COMPONENTS = {"VECTORS": 3, "NORMALS": 3, "TENSORS": 9, "TENSORS6": 6, "GLOBAL_IDS": 1, "PEDIGREE_IDS": 1}
_SECTIONS = {
    b"POINT_DATA", b"CELL_DATA", b"POINTS", b"CELLS", b"CELL_TYPES", b"SCALARS", b"VECTORS", b"NORMALS", b"TENSORS",
    b"FIELD", b"VERTICES", b"LINES", b"POLYGONS", b"TRIANGLE_STRIPS",
}  # fmt: skip


class LegacyText:
    """A cursor over the bytes of a legacy file."""

    def __init__(self, data: bytes, builder: MeshBuilder):
        self.data, self.position, self.builder = data, 0, builder
        first = self._raw_line()
        if not first.startswith(b"# vtk DataFile Version"):
            raise builder.fail(f"the file starts with {first[:40]!r}, expected '# vtk DataFile Version'")
        self._raw_line()  # title
        words = self.line()
        if not words or words[0].upper() not in ("ASCII", "BINARY"):
            raise builder.fail(f"the third line is {' '.join(words)!r}, expected ASCII or BINARY")
        self.binary = words[0].upper() == "BINARY"

    def _raw_line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        end = len(self.data) if end < 0 else end
        line = self.data[self.position : end]
        self.position = end + 1
        return line

    def line(self) -> list[str]:
        """Words of the next line that is not blank; [] at the end."""
        while self.position < len(self.data):
            words = self._raw_line().split()
            if words:
                return [text_of(word, self.builder) for word in words]
        return []

    def peek(self) -> list[str]:
        """As `line`, without moving on."""
        here = self.position
        words = self.line()
        self.position = here
        return words

    def skip_metadata(self) -> None:
        """Metadata ends with a blank line; some writers leave it out, so a section's keyword ends it too."""
        while self.position < len(self.data):
            here = self.position
            words = self._raw_line().split()
            if not words:
                return
            if words[0].upper() in _SECTIONS:
                self.position = here
                return

    def numbers(self, count: int, kind: str, what: str) -> np.ndarray:
        """The next `count` numbers of a VTK type."""
        code = _TYPES.get(kind.lower())
        if code is None:
            raise self.builder.fail(f"{what} has type {kind!r}, which is not one of VTK's numeric types")
        if count < 0:
            raise self.builder.fail(f"{what} announces {count} numbers")
        return self._bytes(count, code, what) if self.binary else self._text(count, code, what)

    def _bytes(self, count: int, code: str, what: str) -> np.ndarray:
        dtype = np.dtype("u1") if code == "bit" else np.dtype(">" + code)
        length = (count + 7) // 8 if code == "bit" else count * dtype.itemsize
        chunk = self.data[self.position : self.position + length]
        if len(chunk) < length:
            raise self.builder.fail(f"{what} announces {length} bytes, {len(chunk)} are left: the file is cut off")
        self.position += length
        if code == "bit":
            return np.unpackbits(np.frombuffer(chunk, np.uint8))[:count].astype(np.uint8)
        return np.frombuffer(chunk, dtype).astype(dtype.newbyteorder("="))

    def _text(self, count: int, code: str, what: str) -> np.ndarray:
        dtype = np.dtype("u1") if code == "bit" else np.dtype(code)
        if count == 0:
            return np.zeros(0, dtype)
        rest = self.data[self.position :]
        tokens = rest.split(None, count)
        if len(tokens) < count:
            raise self.builder.fail(f"{what} announces {count} numbers, {len(tokens)} are left: the file is cut off")
        tail = tokens[count] if len(tokens) > count else b""
        used = len(rest) - len(tail)
        parse = dtype if dtype.itemsize > 2 else np.dtype(np.int64)
        try:
            values = plain_numbers(rest[:used], parse)
        except (ValueError, OverflowError):
            values = self._slow(tokens[:count], parse, what)
        if len(values) != count:
            values = self._slow(tokens[:count], parse, what)
        self.position += used
        return values.astype(dtype, copy=False)

    def _slow(self, tokens: list[bytes], dtype: np.dtype, what: str) -> np.ndarray:
        try:
            return np.array([float(token) for token in tokens]).astype(dtype)
        except ValueError:
            bad = next(index for index, token in enumerate(tokens) if not _is_number(token))
            raise self.builder.fail(
                f"{what} announces {len(tokens)} numbers; after {bad} comes {tokens[bad].decode(errors='replace')!r}"
            ) from None

    def cells(self, first: int, second: int, what: str) -> tuple[np.ndarray, np.ndarray]:
        """(ends, connectivity) of a section of cells, in the old layout (counts between) or the new one (OFFSETS)."""
        words = self.peek()
        if words and words[0].upper() == "OFFSETS":
            self.line()
            offsets = self.numbers(first, words[1], f"{what} OFFSETS").astype(np.int64)
            words = self.line()
            if not words or words[0].upper() != "CONNECTIVITY":
                raise self.builder.fail(f"{what} has OFFSETS but no CONNECTIVITY")
            members = self.numbers(second, words[1], f"{what} CONNECTIVITY").astype(np.int64)
            if len(offsets) and (offsets[0] != 0 or offsets[-1] != len(members)):
                raise self.builder.fail(f"the offsets of {what} do not fit its {len(members)} entries")
            return offsets[1:], members
        flat = self.numbers(second, "int", what).astype(np.int64)
        return self._old_cells(flat, first, what)

    def _old_cells(self, flat: np.ndarray, count: int, what: str) -> tuple[np.ndarray, np.ndarray]:
        if count and len(flat) % count == 0 and (flat.reshape(count, -1)[:, 0] == len(flat) // count - 1).all():
            table = flat.reshape(count, -1)[:, 1:]
            return np.arange(1, count + 1) * table.shape[1], table.ravel()
        sizes, position, values = np.zeros(count, np.int64), 0, flat.tolist()
        starts = np.zeros(count, np.int64)
        for cell in range(count):
            if position >= len(values) or values[position] < 0 or position + values[position] >= len(values):
                raise self.builder.fail(f"{what} is inconsistent: cell {cell} of {count} is cut off")
            sizes[cell], starts[cell] = values[position], position
            position += values[position] + 1
        keep = np.ones(len(flat), bool)
        keep[starts] = False
        keep[position:] = False
        return sizes.cumsum(), flat[keep]

    def field(self, count: int) -> dict[str, np.ndarray]:
        """The arrays of a FIELD section as (tuples, components)."""
        arrays: dict[str, np.ndarray] = {}
        while len(arrays) < count:
            words = self.line()
            if words and words[0].upper() == "METADATA":
                self.skip_metadata()
                continue
            if len(words) < 4:
                raise self.builder.fail(f"a FIELD announces {count} arrays, {len(arrays)} are present")
            name, components, tuples, kind = unquote(words[0]), int(words[1]), int(words[2]), words[3]
            if kind == "string":
                self._skip_strings(components * tuples)
                self.builder.lost(f"array {name!r} of strings: meshes hold numbers only")
                count -= 1
                continue
            values = self.numbers(components * tuples, kind, f"array {name!r}")
            arrays[name] = values.reshape(tuples, components)
        return arrays

    def _skip_strings(self, count: int) -> None:
        for _ in range(count):
            if not self.binary:
                self._raw_line()
                continue
            first = self.data[self.position]
            width = {3: 1, 2: 2, 1: 4, 0: 8}[first >> 6]
            length = int.from_bytes(self.data[self.position : self.position + width], "big") & (
                (1 << (8 * width - 2)) - 1
            )
            self.position += width + length

    def attribute(self, key: str, words: list[str], rows: int) -> tuple[str, np.ndarray]:
        """A SCALARS, VECTORS, ... section: (name, (rows, components))."""
        if key == "SCALARS":
            name, kind = unquote(words[1]), words[2]
            components = int(words[3]) if len(words) > 3 else 1
            following = self.peek()
            if following and following[0].upper() == "LOOKUP_TABLE":
                self.line()
        elif key == "COLOR_SCALARS":
            name, components, kind = unquote(words[1]), int(words[2]), "unsigned_char" if self.binary else "float"
        elif key == "TEXTURE_COORDINATES":
            name, components, kind = unquote(words[1]), int(words[2]), words[3]
        elif key in _COMPONENTS and len(words) > 2:
            name, components, kind = unquote(words[1]), _COMPONENTS[key], words[2]
        else:
            raise self.builder.fail(
                f"unknown section {' '.join(words)[:60]!r}; is the array before it of another length?"
            )
        return name, self.numbers(rows * components, kind, f"{key} {name!r}").reshape(rows, components)


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True
