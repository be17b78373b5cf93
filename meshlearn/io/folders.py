"""Which files of a folder are meshes, when nobody named them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from meshlearn.errors import MeshReadError, MeshReadWarning
from meshlearn.io import registry
from meshlearn.io.counts import counted

# suffixes of mesh formats that notes, logs and settings have as well
SHARED_SUFFIXES = (".txt", ".csv", ".dat", ".xml")
_NOTES = re.compile(r"(readme|licen[cs]e|copying|notice|changelog|authors|citation|requirements|cmakelists)\b", re.I)
_AXES = re.compile(rb"\A(?:\xef\xbb\xbf)?\W*(?:[\w:]+\W+)*x\W+y\b", re.I)


def mesh_files(folder: Path) -> list[Path]:
    """The files with a suffix of a mesh format; of the suffixes in `SHARED_SUFFIXES` only those whose content shows a
    mesh: the mark of a format, or a first line that names columns x and y.

    The others are named in a MeshReadWarning, except for notes by their name (README, LICENSE, requirements ...).
    Raises MeshReadError if no file is left.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    found: list[Path] = []
    left: list[Path] = []
    for entry in entries:
        if entry.is_file() and any(form.reads for form in registry.of_suffix(entry)):
            (found if entry.suffix.lower() not in SHARED_SUFFIXES or _shows_a_mesh(entry) else left).append(entry)
    data = sorted(entry.name for entry in left if not _NOTES.match(entry.name))
    said = ""
    if data:
        names = ", ".join(data[:5]) + (" ..." if len(data) > 5 else "")
        said = (
            f"left out {names}: nothing in {'it' if len(data) == 1 else 'them'} shows a mesh, and the suffix is also "
            f"that of notes and logs.\n  a pattern takes such files: {folder / '*'}{Path(data[0]).suffix}"
        )
    if not found:
        of = counted(len(entries), "entry", "entries")
        raise MeshReadError(
            f"the folder {folder} holds no mesh file (of {of}).\n"
            + (f"  {said}\n" if said else "")
            + f"  supported suffixes: {' '.join(registry.suffixes())}"
        )
    if said:
        warnings.warn(f"{folder}: {said}", MeshReadWarning, stacklevel=4)
    return found


def _shows_a_mesh(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(registry.HEAD_BYTES)
    except OSError:
        return False
    if any(
        form.reads and form.recognises is not None and form.recognises(head) for form in registry.supported_formats()
    ):
        return True
    if path.suffix.lower() == ".xml":
        return b"<dolfin" in head
    lines = head.split(b"\n")
    return path.suffix.lower() != ".dat" and _AXES.match(lines[0].strip()[:500]) is not None
