"""The XML container of VTK files: all encodings (ASCII, base64, appended) and compressors.

Payloads are cut out before the XML is parsed, so that a large file costs one copy of its numbers and no more.
"""

from __future__ import annotations

import binascii
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.text_numbers import plain_numbers

_DATA_ARRAY = re.compile(rb"<(?:\w+:)?(DataArray|Array)\b((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_NESTED = re.compile(rb"<InformationKey\b.*?</InformationKey>|<InformationKey\b[^>]*/>", re.S)
_PARALLEL_BYTES = 1 << 20

TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8",
    "UInt64": "u8", "Float32": "f4", "Float64": "f8", "vtkIdType": "i8",
}  # fmt: skip


class VtkXml:
    """A parsed file: `root` is the XML without numbers, `array(element)` gives an element's numbers."""

    def __init__(self, path: Path):
        self.path = path
        text, self._appended, appended_encoding = self._load(path)
        self._bytes = text
        self._payloads: list[tuple[int, int]] = []  # where the inline numbers start and end
        skeleton = b"".join(self._without_payloads(text, not len(self._appended)))
        try:
            self.root = ElementTree.fromstring(skeleton)
        except ElementTree.ParseError as error:
            raise MeshReadError(f"{path}: not valid XML, the file is cut off or damaged ({error})") from None
        if self.root.tag != "VTKFile":
            raise MeshReadError(f"{path}: the XML root is <{self.root.tag}>, expected <VTKFile>")
        self.kind = self.root.get("type", "")
        self._order = ">" if self.root.get("byte_order") == "BigEndian" else "<"
        self._header = np.dtype(self._order + ("u8" if self.root.get("header_type") == "UInt64" else "u4"))
        self._compressor = self.root.get("compressor")
        self._base64_appended = appended_encoding == b"base64"

    # -- cutting the file into XML and numbers ------------------------------------------------------------------------
    def _load(self, path: Path) -> tuple[bytes, memoryview, bytes]:
        """(the XML, the appended bytes, their encoding). Appended bytes are read straight into memory that arrays can
        use."""
        with open(path, "rb") as file:
            text = file.read(1 << 20)
            start = text.find(b"<AppendedData")
            if start < 0:
                text += file.read()
                start = text.find(b"<AppendedData")
            if start < 0:
                return text, memoryview(b""), b""
            tag_end, mark = text.find(b">", start), text.find(b"_", start)
            if mark < 0 or tag_end < 0:
                text += file.read()
                tag_end, mark = text.find(b">", start), text.find(b"_", start)
            if tag_end < 0 or mark < 0:
                raise MeshReadError(f"{path}: the appended data is cut off")
            encoding = re.search(rb"encoding\s*=\s*[\"'](\w+)", text[start:tag_end])
            name = encoding.group(1) if encoding else b"raw"
            file.seek(mark + 1)
            data = np.fromfile(file, np.uint8)
        if name == b"base64":
            coded = data.tobytes()
            end = coded.find(b"<")
            return text[:start], memoryview(coded[: end if end >= 0 else None]), name
        return text[:start], memoryview(data.data), name

    def _without_payloads(self, text: bytes, closed: bool) -> Iterator[bytes]:
        position = 0
        for match in _DATA_ARRAY.finditer(text):
            if match.start() < position or match.group(2).endswith(b"/"):
                continue
            end = text.find(b"</" + match.group(1), match.end())
            if end < 0:
                raise MeshReadError(f"{self.path}: the file is cut off inside a data array")
            yield text[position : match.end()]
            yield str(len(self._payloads)).encode()
            self._payloads.append((match.end(), end))
            position = end
        yield text[position:]
        if not closed:
            yield b"</VTKFile>"

    # -- numbers ------------------------------------------------------------------------------------------------------
    def array(self, element: ElementTree.Element) -> np.ndarray:
        """The flat numbers of one <DataArray>, in native byte order."""
        name = element.get("type", "")
        if name not in TYPES:
            raise MeshReadError(
                f"{self.path}: data array {element.get('Name')!r} has type {name!r}, which is not numeric"
            )
        dtype = np.dtype(self._order + TYPES[name])
        layout = element.get("format", "ascii")
        if layout == "appended":
            return self._from_appended(int(element.get("offset", 0)), dtype, element)
        start, end = self._payloads[int((element.text or "").strip())] if element.text else (0, 0)
        payload = self._bytes[start:end]
        if b"<" in payload:
            payload = _NESTED.sub(b"", payload)
        if layout == "ascii":
            return parse_numbers(payload, dtype.newbyteorder("="), self.path, element.get("Name"))
        if layout != "binary":
            raise MeshReadError(f"{self.path}: unknown format {layout!r} of data array {element.get('Name')!r}")
        return self._native(self._from_base64(payload.strip(), element), dtype)

    def _native(self, data: bytes | bytearray | memoryview, dtype: np.dtype) -> np.ndarray:
        if len(data) % dtype.itemsize:
            raise MeshReadError(f"{self.path}: {len(data)} bytes do not hold whole numbers of {dtype.itemsize} bytes")
        array = np.frombuffer(data, dtype)
        return array.astype(dtype.newbyteorder("=")) if not dtype.isnative else array

    def _from_base64(self, text: bytes, element: ElementTree.Element) -> bytes | bytearray | memoryview:
        if not text:
            return b""
        if b"\n" in text or b" " in text:
            text = text.translate(None, b" \t\r\n")
        try:
            return self._decode_base64(memoryview(text))
        except (binascii.Error, zlib.error, lzma.LZMAError, IndexError) as error:
            raise MeshReadError(
                f"{self.path}: data array {element.get('Name')!r} is damaged or cut off ({error})"
            ) from None

    def _decode_base64(self, text: memoryview) -> bytes | bytearray | memoryview:
        size = self._header.itemsize
        if self._compressor:
            first = np.frombuffer(binascii.a2b_base64(text[: _coded(size)])[:size], self._header)
            header_bytes = size * (3 + int(first[0]))
            coded = _coded(header_bytes)
            header = np.frombuffer(binascii.a2b_base64(text[:coded])[:header_bytes], self._header)
            if len(header) != 3 + int(first[0]):
                raise MeshReadError(f"{self.path}: compressed data is cut off")
            length = _coded(int(header[3:].sum()))
            return self._inflate(header, memoryview(binascii.a2b_base64(text[coded : coded + length])))
        separate = _coded(size)
        if size % 3 and bytes(text[separate - 1 : separate]) == b"=":  # length and data encoded one by one
            count = int(np.frombuffer(binascii.a2b_base64(text[:separate]), self._header)[0])
            data = memoryview(binascii.a2b_base64(text[separate : separate + _coded(count)]))
        else:
            count = int(np.frombuffer(binascii.a2b_base64(text[: _coded(size)])[:size], self._header)[0])
            data = memoryview(binascii.a2b_base64(text[: _coded(size + count)]))[size:]
        if len(data) < count:
            raise MeshReadError(f"{self.path}: a data array announces {count} bytes and holds {len(data)}: cut off?")
        return data[:count]

    def _from_appended(self, offset: int, dtype: np.dtype, element: ElementTree.Element) -> np.ndarray:
        if self._base64_appended:
            return self._native(self._from_base64_appended(offset, element), dtype)
        data, size = self._appended[offset:], self._header.itemsize
        if len(data) < size:
            raise MeshReadError(f"{self.path}: data array {element.get('Name')!r} lies beyond the end: cut off?")
        count = int(np.frombuffer(data[:size], self._header)[0])
        if not self._compressor:
            body = data[size : size + count]
            if len(body) < count:
                raise MeshReadError(
                    f"{self.path}: data array {element.get('Name')!r} announces {count} bytes, "
                    f"{len(body)} are left: cut off?"
                )
            return self._native(body, dtype)
        if len(data) < size * (3 + count):
            raise MeshReadError(f"{self.path}: data array {element.get('Name')!r} lies beyond the end: cut off?")
        header = np.frombuffer(data[: size * (3 + count)], self._header)
        try:
            return self._native(self._inflate(header, data[size * (3 + count) :]), dtype)
        except (zlib.error, lzma.LZMAError) as error:
            raise MeshReadError(f"{self.path}: data array {element.get('Name')!r} is damaged ({error})") from None

    def _from_base64_appended(self, offset: int, element: ElementTree.Element) -> bytes | bytearray | memoryview:
        text = self._appended
        if len(text) <= offset:
            raise MeshReadError(f"{self.path}: data array {element.get('Name')!r} lies beyond the end: cut off?")
        try:
            return self._decode_base64(text[offset:])
        except (binascii.Error, zlib.error, lzma.LZMAError, IndexError) as error:
            raise MeshReadError(f"{self.path}: data array {element.get('Name')!r} is damaged ({error})") from None

    def _inflate(self, header: np.ndarray, data: memoryview) -> bytearray:
        n_blocks, block_size, last = (int(value) for value in header[:3])
        ends = header[3:].astype(np.int64).cumsum()
        if n_blocks == 0:
            return bytearray()
        if int(ends[-1]) > len(data):
            raise MeshReadError(f"{self.path}: compressed data is cut off ({len(data)} of {int(ends[-1])} bytes)")
        total = block_size * (n_blocks - (1 if last else 0)) + last
        starts = [0, *ends[:-1].tolist()]
        inflate = _inflater(self._compressor or "", self.path)
        pieces = [data[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]

        def inflate_run(run: list[memoryview]) -> bytes:
            return b"".join(map(inflate, run))

        workers = min(os.cpu_count() or 1, 8) if total > _PARALLEL_BYTES else 1
        if workers > 1:  # the compressors release the interpreter lock
            size = -(-n_blocks // workers)
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(inflate_run, [pieces[k : k + size] for k in range(0, n_blocks, size)]))
            out = bytearray().join(parts)
        else:
            out = bytearray(inflate_run(pieces))
        if len(out) != total:
            raise MeshReadError(f"{self.path}: a compressed array holds {len(out)} bytes, announced are {total}")
        return out


def _coded(count: int) -> int:
    """Length of `count` bytes in base64."""
    return (count + 2) // 3 * 4


def _inflater(compressor: str, path: Path):
    if compressor == "vtkZLibDataCompressor":
        return zlib.decompress
    if compressor == "vtkLZMADataCompressor":
        return lzma.decompress
    raise MeshReadError(
        f"{path}: compressed with {compressor}, which is not supported (zlib and LZMA are).\n"
        "  write it anew with the zlib compressor, e.g. in ParaView: Save Data > Compressor Type > ZLib."
    )


def parse_numbers(text: bytes, dtype: np.dtype, path: Path, name: str | None) -> np.ndarray:
    """White-space separated numbers; raises if something else stands between them."""
    small = dtype.kind in "iu" and dtype.itemsize < 4
    try:
        wide = np.dtype(np.float64 if b"." in text else np.int64) if small else dtype
        values = plain_numbers(text, wide)
    except (ValueError, OverflowError) as error:
        raise MeshReadError(f"{path}: data array {name!r} does not hold plain numbers ({error})") from None
    return values.astype(dtype) if values.dtype != dtype else values
