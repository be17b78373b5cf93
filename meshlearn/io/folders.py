"""Which files of a folder are meshes, when nobody named them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from meshlearn.errors import MeshReadError, MeshReadWarning
from meshlearn.io import registry
from meshlearn.io.counts import counted
from meshlearn.io.referred import referred_files

# suffixes of mesh formats that notes, logs and settings have as well
SHARED_SUFFIXES = (".txt", ".csv", ".dat", ".xml")
_LISTS = (".pvd", ".pvtu")
_NOTES = re.compile(r"(readme|licen[cs]e|copying|notice|changelog|authors|citation|requirements|cmakelists)\b", re.I)
_AXES = re.compile(rb"\A(?:\xef\xbb\xbf)?\W*(?:[\w:]+\W+)*x(?:\s*[\[(][^\])]*[\])])?\W+y\b", re.I)


@dataclass
class Entries:
    """The files of a folder, as `read_many` sees them."""

    meshes: list[Path] = field(default_factory=list)
    parts: dict[Path, list[str]] = field(default_factory=dict)  # list of files (.pvd, .pvtu) -> those here it names
    data: list[str] = field(default_factory=list)  # of a shared suffix, and nothing in them shows a mesh
    models: list[str] = field(default_factory=list)  # .safetensors files of something else: of models, checkpoints
    cached: list[str] = field(default_factory=list)  # entries of the cache of `read_many`
    total: int = 0


def sorted_entries(folder: Path) -> Entries:
    """The files with a suffix of a mesh format; of the suffixes in `SHARED_SUFFIXES` only those whose content shows a
    mesh: the mark of a format, or a first line that names columns x and y. Files that a .pvd or .pvtu of the folder
    names are parts of it, tensors of models and entries of the cache are none, and notes (README, LICENSE,
    requirements ...) are passed over.
    """
    from meshlearn.io.cache import is_entry
    from meshlearn.io.formats import native

    here = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    found = Entries(total=len(here))
    for entry in here:
        if entry.is_file() and any(form.reads for form in registry.of_suffix(entry)):
            if is_entry(entry):
                found.cached.append(entry.name)
            elif native.suffix_of_tensors(entry) and not native.holds_a_mesh(entry):
                found.models.append(entry.name)
            elif entry.suffix.lower() not in SHARED_SUFFIXES or _shows_a_mesh(entry):
                found.meshes.append(entry)
            elif not _NOTES.match(entry.name):
                found.data.append(entry.name)
    for entry in sorted(found.meshes):
        named = _named(entry) & set(found.meshes) if entry.suffix.lower() in _LISTS else set()
        if named:
            found.parts[entry] = sorted(part.name for part in named)
    inner = {name for names in found.parts.values() for name in names}
    found.meshes = [entry for entry in found.meshes if entry.name not in inner]
    return found


def mesh_files(folder: Path) -> list[Path]:
    """The meshes among the files of a folder (`sorted_entries`); what is left out is named in a MeshReadWarning.

    Raises MeshReadError if no file is left.
    """
    found = sorted_entries(folder)
    said = [
        f"{whole.name} counts as one; left out {_listed(names)}, which it names.\n"
        f"  to take the files one by one: a pattern, {folder / '*'}{Path(names[0]).suffix}"
        for whole, names in found.parts.items()
    ]
    if data := sorted(found.data):
        said.append(
            f"left out {_listed(data)}: nothing in {'it' if len(data) == 1 else 'them'} shows a mesh, and the suffix "
            f"is also that of notes and logs.\n  a pattern takes such files: {folder / '*'}{Path(data[0]).suffix}"
        )
    if models := sorted(found.models):
        said.append(
            f"left out {_listed(models)}: tensors without a mesh, as a saved model or a checkpoint has them"
            + (f'.\n  this is the folder of one: ml.load("{folder}")' if (folder / "model.json").is_file() else "")
        )
    if cached := sorted(found.cached):
        said.append(
            f"left out {_listed(cached)}: the cache of read_many keeps {'it' if len(cached) == 1 else 'them'} here, "
            "as copies of other files"
        )
    if not found.meshes:
        raise MeshReadError(
            f"the folder {folder} holds no mesh file (of {counted(found.total, 'entry', 'entries')}).\n"
            + "".join(f"  {text}\n" for text in said)
            + f"  supported suffixes: {' '.join(registry.suffixes())}"
        )
    for text in said:
        warnings.warn(f"{folder}: {text}", MeshReadWarning, stacklevel=4)
    return found.meshes


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" ... ({len(names)} files)" if len(names) > 5 else "")


def _named(whole: Path) -> set[Path]:
    """The files that a list of files names, those of lists in it included."""
    try:
        return set(referred_files(whole)[1:])
    except (OSError, MeshReadError):  # unreadable: `read` says it best
        return set()


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
