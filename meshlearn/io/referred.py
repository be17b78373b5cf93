"""The files that a mesh file names and that its reader opens: they belong to its content."""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import unescape

from meshlearn.errors import MeshReadError
from meshlearn.io import registry

_QUOTES = {"&quot;": '"', "&apos;": "'"}


def referred_files(path: Path) -> list[Path]:
    """The file itself, then the files that it names, those that these name, and so on; each once, missing ones left
    out."""
    found: dict[Path, str] = {path: registry.recognise(path).name}
    waiting = [path]
    while waiting:
        file = waiting.pop(0)
        names = _NAMES.get(found[file])
        for name in names(file.read_bytes().decode("utf-8", "replace")) if names else ():
            part = file.parent / name
            if name and part not in found and part.is_file():
                # what an Abaqus file includes is more of the same, whatever its name
                found[part] = "abaqus" if found[file] == "abaqus" else _format(part)
                waiting.append(part)
    return list(found)


def _format(path: Path) -> str:
    try:
        return registry.recognise(path).name
    except MeshReadError:  # numbers without a format of their own (XDMF's binary files)
        return ""


def _abaqus(text: str) -> list[str]:
    lines = re.findall(r"^\s*\*\s*INCLUDE\s*,(.*)$", text, re.M | re.I)
    return [name for line in lines for name in re.findall(r'INPUT\s*=\s*"?([^",\r\n]*[^",\s])', line, re.I)]


def _xdmf(text: str) -> list[str]:
    """Texts of elements, less the data set behind a colon: `name.h5:/data`, or the name of a binary file."""
    texts = dict.fromkeys(re.findall(r">\s*([^<>\n]{1,500}?)\s*<", text))
    names = dict.fromkeys(unescape(item, _QUOTES).partition(":")[0].strip() for item in texts)
    return [name for name in names if not re.fullmatch(r"[\d\s.eE+-]*", name)]


def _attribute(attribute: str):
    def names(text: str) -> list[str]:
        pairs = re.findall(rf"\b{attribute}\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", text)
        return [unescape(double or single, _QUOTES) for double, single in pairs]

    return names


_NAMES = {"abaqus": _abaqus, "xdmf": _xdmf, "pvd": _attribute("file"), "pvtu": _attribute("Source")}
