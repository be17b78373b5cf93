"""Writing VTK XML files (.vtu, .vtp)."""

from __future__ import annotations

import base64
import lzma
import zlib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.io.vtk_model import VtkArrays

_NAMES = {
    "i1": "Int8", "u1": "UInt8", "i2": "Int16", "u2": "UInt16", "i4": "Int32", "u4": "UInt32", "i8": "Int64",
    "u8": "UInt64", "f4": "Float32", "f8": "Float64",
}  # fmt: skip
_COMPRESSORS: dict[str, tuple[str, Any]] = {
    "zlib": ("vtkZLibDataCompressor", zlib.compress),
    "lzma": ("vtkLZMADataCompressor", lzma.compress),
}
_BLOCK = 1 << 16


class _Sink:
    """Collects the arrays: inline text, or bytes to append."""

    def __init__(self, encoding: str, compression: str | None):
        if encoding not in ("raw", "base64", "ascii"):
            raise ParameterError(f"encoding={encoding!r}: expected 'raw', 'base64' or 'ascii'")
        if compression is not None and compression not in _COMPRESSORS:
            raise ParameterError(f"compression={compression!r}: expected None, 'zlib' or 'lzma'")
        self.encoding, self.compression = encoding, compression
        self.appended: list[bytes | memoryview] = []
        self.offset = 0

    def element(self, name: str, array: np.ndarray, tuples: bool = False) -> bytes:
        array = np.ascontiguousarray(array)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        head = f"<DataArray type={quoteattr(_NAMES[array.dtype.str[1:]])} Name={quoteattr(name)}"
        if array.ndim == 2:
            head += f' NumberOfComponents="{array.shape[1]}"'
        if tuples:
            head += f' NumberOfTuples="{len(array)}"'
        if self.encoding == "ascii":
            return f'{head} format="ascii">\n{_text(array)}\n</DataArray>\n'.encode()
        body = self._coded(array)
        if self.encoding == "base64":
            parts = body if self.compression else [b"".join(body)]
            text = b"".join(base64.b64encode(part) for part in parts)
            return f'{head} format="binary">\n'.encode() + text + b"\n</DataArray>\n"
        text = f'{head} format="appended" offset="{self.offset}"/>\n'.encode()
        self.appended += body
        self.offset += sum(len(part) for part in body)
        return text

    def _coded(self, array: np.ndarray) -> list[bytes]:
        """[header, data]."""
        data = array.tobytes()
        if not self.compression:
            return [np.uint64(len(data)).astype("<u8").tobytes(), data]
        blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
        packed = [_COMPRESSORS[self.compression][1](block) for block in blocks]
        last = len(blocks[-1]) % _BLOCK if blocks else 0
        header = np.array([len(blocks), _BLOCK, last, *map(len, packed)], "<u8")
        return [header.tobytes(), b"".join(packed)]


def _text(array: np.ndarray) -> str:
    if array.dtype.kind == "f":
        return (
            "\n".join(" ".join(map(str, row)) for row in np.atleast_2d(array).tolist())
            if array.dtype == np.float64
            else ("\n".join(" ".join(format(value, ".9g") for value in row) for row in np.atleast_2d(array).tolist()))
        )
    return "\n".join(" ".join(map(str, row)) for row in np.atleast_2d(array).tolist())


def _pad_tags(arrays: VtkArrays) -> None:
    """Blanks at the end of our JSON text, until no array starts where meshio 5.3 would mistake it for an earlier one.

    meshio finds appended arrays by their offset while it replaces the offsets of those it has found (by their base64
    ones).
    """
    from meshlearn.io.vtk_tags import TAGS

    cells = [arrays.connectivity, arrays.offsets, arrays.types.astype(np.uint8)]
    cells += [] if arrays.faces is None or arrays.face_offsets is None else [arrays.faces, arrays.face_offsets]
    rest = [arrays.points, *cells, *arrays.point_data.values(), *arrays.cell_data.values()]
    text = arrays.field_data.pop(TAGS)
    sizes = [text.nbytes, *(a.nbytes for a in (*arrays.field_data.values(), *rest))]
    for pad in range(256):
        raw, coded, seen, clash = 0, 0, set(), False
        for size in (sizes[0] + pad, *sizes[1:]):
            clash |= raw in seen
            seen.add(coded)
            raw, coded = raw + size + 8, coded + (size + 8 + 2) // 3 * 4
        if not clash:
            break
    padded = np.concatenate([text, np.full((pad, 1), ord(" "), np.uint8)])
    arrays.field_data = {TAGS: padded} | arrays.field_data


def write_xml(arrays: VtkArrays, path: Path, kind: str, encoding: str, compression: str | None) -> None:
    """Write the arrays; `kind` is "UnstructuredGrid" or "PolyData"."""
    sink = _Sink(encoding, compression if encoding != "ascii" else None)
    if kind == "UnstructuredGrid" and encoding == "raw" and not compression:
        _pad_tags(arrays)
    body = [b"<FieldData>\n", *(sink.element(n, a, True) for n, a in arrays.field_data.items()), b"</FieldData>\n"]
    sections = {}
    if kind == "PolyData":
        from meshlearn.io.formats.vtp import section_arrays

        sections = section_arrays(arrays)
        counts = "".join(f' NumberOf{name}="{len(ends)}"' for name, (_, ends) in sections.items())
    else:
        counts = f' NumberOfCells="{len(arrays.types)}"'
    body.append(f'<Piece NumberOfPoints="{len(arrays.points)}"{counts}>\n'.encode())
    body += [b"<Points>\n", sink.element("Points", arrays.points), b"</Points>\n"]
    if kind == "PolyData":
        for name, (connectivity, ends) in sections.items():
            body += [f"<{name}>\n".encode(), sink.element("connectivity", connectivity)]
            body += [sink.element("offsets", ends), f"</{name}>\n".encode()]
    else:
        body += [b"<Cells>\n", sink.element("connectivity", arrays.connectivity)]
        body += [sink.element("offsets", arrays.offsets), sink.element("types", arrays.types.astype(np.uint8))]
        if arrays.faces is not None and arrays.face_offsets is not None:
            body += [sink.element("faces", arrays.faces), sink.element("faceoffsets", arrays.face_offsets)]
        body.append(b"</Cells>\n")
    for tag, data in (("PointData", arrays.point_data), ("CellData", arrays.cell_data)):
        body += [f"<{tag}>\n".encode(), *(sink.element(n, a) for n, a in data.items()), f"</{tag}>\n".encode()]
    body.append(b"</Piece>\n")
    head = f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64"'
    head += f' compressor="{_COMPRESSORS[sink.compression][0]}"' if sink.compression else ""
    with open(path, "wb") as file:
        file.write(f"{head}>\n<{kind}>\n".encode())
        file.writelines(body)
        file.write(f"</{kind}>\n".encode())
        if sink.encoding == "raw":
            file.write(b'<AppendedData encoding="raw">\n_')
            file.writelines(sink.appended)
            file.write(b"\n</AppendedData>\n")
        file.write(b"</VTKFile>\n")
