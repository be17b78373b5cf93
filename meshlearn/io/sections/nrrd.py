"""Label volumes in NRRD files: header and data in one file (.nrrd) or apart (.nhdr); raw, gzip, bzip2 or text."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.sections.volumes import label_array

_TYPES = {
    "int8": "signed char, int8, int8_t",
    "uint8": "uchar, unsigned char, uint8, uint8_t",
    "int16": "short, short int, signed short, signed short int, int16, int16_t",
    "uint16": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "int32": "int, signed int, int32, int32_t",
    "uint32": "uint, unsigned int, uint32, uint32_t",
    "int64": "longlong, long long, long long int, signed long long, int64, int64_t",
    "uint64": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "float32": "float",
    "float64": "double",
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names.split(", ")}
SPARE = 16
"""Bytes that may follow the data: ends of lines, padding."""
_VECTOR = re.compile(r"\(([^)]*)\)|none")


def read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(labels, affine) of a .nrrd or .nhdr file, in the file's unit and space: LPS stays LPS (NIfTI is RAS).

    Raises MeshReadError for what is no NRRD volume of three axes, and for encodings that are unknown.
    """
    content = path.read_bytes()
    header, data = _header(content, path)
    words = header.get("sizes", "").split()
    if len(words) != 3 or not all(word.isdecimal() and int(word) for word in words):
        raise MeshReadError(f"{path}: a label volume has three axes, this has the sizes {words}.")
    sizes = [int(word) for word in words]
    if header.get("dimension", "3") != "3":
        raise MeshReadError(f"{path}: the header counts {header['dimension']} dimensions, and has three sizes {sizes}.")
    kind = _DTYPES.get(header.get("type", "").lower())
    if kind is None:
        raise MeshReadError(f"{path}: values of type {header.get('type')!r} are no labels.")
    if "data file" in header or "datafile" in header:
        name = header.get("data file") or header["datafile"]
        other = path.parent / name
        if name.startswith("LIST") or "%" in name or other.resolve().parent != path.resolve().parent:
            raise MeshReadError(f"{path}: its data are in {name!r}; one file beside the header can be read.")
        if not other.is_file():
            raise MeshReadError(f"{path}: its data file {name!r} is missing.")
        data = other.read_bytes()
    dtype = np.dtype(kind).newbyteorder(">" if header.get("endian", "little").lower() == "big" else "<")
    lines, skipped = (_skip(header, name, path) for name in ("line skip", "byte skip"))
    data = _after_lines(data, lines, path)
    values = _decoded(data, header.get("encoding", "raw").lower(), dtype, int(np.prod(sizes)), skipped, path)
    try:
        labels = label_array(values.reshape(sizes, order="F").astype(kind))
    except ParameterError as error:
        raise MeshReadError(f"{path}: {error}") from None
    return labels, _affine(header, path)


def _header(content: bytes, path: Path) -> tuple[dict[str, str], bytes]:
    if not content.startswith(b"NRRD"):
        what = f"this is no NRRD file: it starts with {content[:8]!r}" if content else "the file is empty"
        raise MeshReadError(f"{path}: {what}.")
    end = re.search(rb"\r?\n\r?\n", content)
    text, data = (content[: end.start()], content[end.end() :]) if end else (content, b"")
    fields = {}
    for line in text.decode("utf-8", errors="replace").splitlines()[1:]:
        name, mark, value = line.partition(":")
        if mark and not line.startswith("#"):
            fields[name.strip().lower()] = value.lstrip("=").strip()
    return fields, data


def _skip(header: dict[str, str], name: str, path: Path) -> int:
    text = header.get(name) or header.get(name.replace(" ", "")) or "0"
    if not re.fullmatch(r"\d+" if name == "line skip" else r"\d+|-1", text):
        raise MeshReadError(f"{path}: {name}: {text!r} is no number of {name.split()[0]}s.")
    return int(text)


def _after_lines(data: bytes, lines: int, path: Path) -> bytes:
    for _ in range(lines):
        end = data.find(b"\n")
        if end < 0:
            raise MeshReadError(f"{path}: {lines} lines are to be skipped, the data have fewer.")
        data = data[end + 1 :]
    return data


def _decoded(data: bytes, encoding: str, dtype: np.dtype, count: int, skipped: int, path: Path) -> np.ndarray:
    """(count,) values behind as many bytes, counted after unpacking; -1: the last ones of the data."""
    try:
        if encoding in ("gzip", "gz"):
            data = gzip.decompress(data)
        elif encoding in ("bzip2", "bz2"):
            data = bz2.decompress(data)
        elif encoding in ("text", "txt", "ascii"):
            words = data.split()
            if len(words) != count:
                raise MeshReadError(f"{path}: {len(words)} values, {count} expected by the sizes of the header.")
            return np.array(words, dtype=np.float64).astype(dtype)
        elif encoding != "raw":
            raise MeshReadError(f"{path}: the encoding {encoding!r} is unknown: raw, gzip, bzip2 and text can be read.")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, MeshReadError):
            raise
        raise MeshReadError(f"{path}: the data cannot be unpacked ({error}).") from None
    expected = count * dtype.itemsize
    data = data[-expected:] if skipped < 0 else data[skipped:]
    if len(data) < expected:
        raise MeshReadError(f"{path}: {len(data)} bytes of data, {expected} expected: it was cut off.")
    if len(data) > expected + SPARE and not skipped:
        raise MeshReadError(
            f"{path}: {len(data)} bytes of data, {expected} expected: the sizes in the header, or the type, are not "
            "those of the data."
        )
    return np.frombuffer(data, dtype, count)


def _affine(header: dict[str, str], path: Path) -> np.ndarray:
    affine = np.eye(4)
    try:
        if "space directions" in header:
            rows = [found.group(1) for found in _VECTOR.finditer(header["space directions"])]
            affine[:3, :3] = np.array([[float(x) for x in row.split(",")] for row in rows if row]).T
        elif "spacings" in header:
            affine[:3, :3] = np.diag([float(x) for x in header["spacings"].split()])
        if "space origin" in header:
            affine[:3, 3] = [float(x) for x in header["space origin"].strip("() ").split(",")]
    except ValueError:
        raise MeshReadError(f"{path}: its directions or origin in space cannot be read.") from None
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise MeshReadError(f"{path}: its directions in space are not three independent vectors.")
    return affine
