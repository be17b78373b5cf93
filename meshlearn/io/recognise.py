"""Marks by which the content of a file tells its format (the first 8 KiB are looked at)."""

from __future__ import annotations

import re
from collections.abc import Callable

Mark = Callable[[bytes], bool]


def contains(*marks: bytes) -> Mark:
    """All of the marks occur."""
    return lambda head: all(mark in head for mark in marks)


def starts(*marks: bytes) -> Mark:
    """The head starts with one of the marks, white space aside."""
    return lambda head: head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(marks)


def matches(pattern: bytes) -> Mark:
    """The head matches a regular expression (multi-line, case-insensitive), comment lines of `#` aside."""
    compiled = re.compile(pattern, re.M | re.I)
    return lambda head: compiled.search(head) is not None


def vtk_xml(kind: bytes) -> Mark:
    """A VTK XML file of a kind."""
    compiled = re.compile(rb"<VTKFile[^>]*\btype\s*=\s*[\"']" + kind + rb"[\"']")
    return lambda head: compiled.search(head) is not None


def _first_words(head: bytes) -> list[bytes]:
    """Words of the first line that is neither empty nor a comment."""
    for line in head.splitlines():
        text = line.split(b"#")[0].strip()
        if text:
            return text.split()
    return []


def _number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def avs_ucd(head: bytes) -> bool:
    """AVS-UCD: five counts on the first line, then a node line `number x y z`."""
    lines = [line for line in head.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if len(lines) < 2:
        return False
    counts, node = lines[0].split(), lines[1].split()
    return len(counts) == 5 and all(word.isdigit() for word in counts) and len(node) == 4 and all(map(_number, node))


def freefem_msh(head: bytes) -> bool:
    """FreeFem's own .msh: three counts (points, triangles, edges), then `x y label`."""
    lines = [line.split() for line in head.splitlines() if line.strip()]
    return (
        len(lines) > 1
        and len(lines[0]) == 3
        and all(word.isdigit() for word in lines[0])
        and len(lines[1]) in (3, 4)
        and all(map(_number, lines[1]))
    )


def off(head: bytes) -> bool:
    """OFF and its variants (COFF, NOFF, STOFF ...)."""
    words = _first_words(head)
    return bool(words) and re.fullmatch(rb"(ST)?C?N?4?n?OFF", words[0]) is not None


def meditb(head: bytes) -> bool:
    """Binary Medit: the number 1 as a 4-byte integer, then a version of 1 to 4."""
    for order in ("little", "big"):
        if len(head) > 8 and int.from_bytes(head[:4], order) == 1 and 1 <= int.from_bytes(head[4:8], order) <= 4:
            return True
    return False


def hdf5_with(*names: bytes) -> Mark:
    """An HDF5 file whose head names one of the groups."""
    return lambda head: head.startswith(b"\x89HDF\r\n\x1a\n") and any(name in head for name in names)


def netcdf(head: bytes) -> bool:
    """A classic NetCDF file."""
    return head[:3] == b"CDF" and head[3:4] in (b"\x01", b"\x02", b"\x05")


def tecplot(head: bytes) -> bool:
    """Tecplot's words stand at the beginning, comments aside; a title alone is also Nastran's."""
    lines = [line.strip().upper() for line in head.splitlines()]
    lines = [line for line in lines if line and not line.startswith(b"#")]
    first = bool(lines) and re.match(rb"(TITLE|VARIABLES|FILETYPE)\s*=|ZONE\b", lines[0]) is not None
    return first and any(re.match(rb"VARIABLES\s*=|ZONE\b", line) for line in lines)
