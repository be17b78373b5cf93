"""Model folders: a JSON file that names one safetensors file per group of tensors, replaced in one step.

    model.json                      schema, library version, class name, arguments, fields, state, names of the files
    model-<token>.safetensors       learned tensors
    training-<token>.safetensors    only in checkpoints of a fit: optimiser, averages, best weights

The tensor files are written first, under new names, and flushed to the disk; replacing `model.json` (one rename) is the
moment the new model exists. Before it, the folder holds the old model, complete; after it, files that `model.json` does
not name are removed. Reading executes no code: JSON and safetensors hold data only.

Schema 2 notes the SHA-256 of every tensor file, and reading compares it: a file that was changed, by a hand or by the
disk, is not loaded. Schema 1 had no such note; its folders are loaded with a CheckpointWarning that says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from meshlearn.errors import CheckpointError, CheckpointWarning, MeshlearnError, MissingDependencyError

SCHEMA = 2
INDEX = "model.json"
# What a killed process may leave: our own temporary files, and those of safetensors.
_LEFTOVER = re.compile(r"\.model\.json\.[0-9a-f]+|\.probe-[0-9a-f]+|\.tmp[0-9A-Za-z]{6}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[a-z]+-[0-9a-f]{16}\.safetensors")


def write(folder: Path, meta: dict[str, Any], groups: dict[str, dict[str, Tensor]]) -> Path:
    """Write JSON-able `meta` and groups of tensors as the (new) content of a model folder; returns the folder."""
    from safetensors.torch import save_file

    import meshlearn
    from meshlearn.io.modes import claim, restore_mode

    prepare_folder(folder)
    written: list[Path] = []
    try:
        files: dict[str, dict[str, Any]] = {}
        for group, tensors in groups.items():
            path = folder / f"{group}-{secrets.token_hex(8)}.safetensors"
            written.append(path)
            mode = claim(path)
            save_file({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}, path)
            restore_mode(path, mode)
            _flush(path)
            files[group] = {"file": path.name, "bytes": path.stat().st_size, "sha256": _digest(path)}
        index = {"schema": SCHEMA, "meshlearn": meshlearn.__version__, **meta, "tensors": files}
        temporary = folder / f".{INDEX}.{secrets.token_hex(8)}"
        written.append(temporary)
        temporary.write_text(json.dumps(index, indent=1), encoding="utf-8")
        _flush(temporary)
        os.replace(temporary, folder / INDEX)
        _flush(folder)
    except BaseException as error:  # an interrupt too: what was begun is removed, the previous model stays
        if not _names(folder) & {path.name for path in written}:
            for path in written:
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CheckpointError(
                f"the model could not be written to {folder}: {error}. The previous one is intact."
            ) from error
        raise
    keep = {entry["file"] for entry in files.values()}
    _clean(folder, keep)
    return folder


def check_folder(folder: Path, resume: bool | str) -> None:
    """Raise CheckpointError when there is nothing to resume, or when a new fit would overwrite a model."""
    there = exists(folder)
    if resume is True and not there:
        raise CheckpointError(
            f"resume=True, but there is no checkpoint in {folder}.\n"
            "  Give the folder of the interrupted fit, or resume='auto' to begin where there is none."
        )
    if there and not resume:
        kind = "the checkpoint of an earlier fit" if "training" in read_meta(folder) else "a saved model"
        raise CheckpointError(
            f"{folder} holds {kind}, which a new fit would overwrite.\n"
            "  resume=True continues an interrupted fit; to begin anew, give another folder or remove this one."
        )


def prepare_folder(folder: Path) -> None:
    """Make the folder and check that files can be written in it; raises CheckpointError otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{secrets.token_hex(8)}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CheckpointError(f"cannot write into the folder {folder}: {error}.\n  Choose another folder.") from error


def exists(folder: Path) -> bool:
    """True if the folder holds a complete model."""
    return (folder / INDEX).is_file()


def read(folder: Path, groups: Iterable[str] = ("model",)) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """(meta, {group: tensors}) of a model folder. Raises CheckpointError for whatever is wrong with it.

    A folder of schema 1 gives a CheckpointWarning: its tensors cannot be checked.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    meta = read_meta(folder)
    if meta["schema"] == 1:
        warnings.warn(
            f"{folder} was written by an earlier version (schema 1), which noted no checksums: that its tensors are "
            "undamaged cannot be checked.\n  Save the model again, and later loads check it.",
            CheckpointWarning,
            stacklevel=3,
        )
    result = {}
    for group in groups:
        entry = meta["tensors"].get(group)
        if entry is None:
            raise CheckpointError(f"{folder} holds no {group!r} tensors, only {sorted(meta['tensors'])}.")
        path = folder / entry["file"]
        if not path.is_file():
            raise CheckpointError(f"{folder} is incomplete: {path.name} is missing. Copy the whole folder.")
        if path.stat().st_size != entry["bytes"]:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes, expected {entry['bytes']}: it is damaged.")
        try:
            seen = _digest(path)
            if entry.get("sha256", seen) != seen:  # read_meta refuses schema 2 without one
                raise CheckpointError(
                    f"{path} is damaged: its SHA-256 is {seen[:16]}…, but {entry['sha256'][:16]}… when it was "
                    f"written.\n  Some of its bytes have changed: copy the folder anew, or fit the model again."
                )
            result[group] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}.") from error
    return meta, result


def read_meta(folder: Path) -> dict[str, Any]:
    """The JSON part of a model folder, checked for schema and form."""
    path = folder / INDEX
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a model folder: {_instead(folder)}.")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("schema"), int):
        raise CheckpointError(f"{path} was not written by meshlearn: it has no schema number.")
    if meta["schema"] < 1:
        raise CheckpointError(f"{path} has schema {meta['schema']}, which never was; schemas count from 1.")
    if meta["schema"] > SCHEMA:
        raise CheckpointError(
            f"{path} has schema {meta['schema']} (written by meshlearn {meta.get('meshlearn')}), this version reads "
            f"up to {SCHEMA}: install a newer meshlearn."
        )
    expected = {"estimator": str, "params": dict, "fields": dict, "state": dict, "tensors": dict}
    for key, kind in expected.items():
        if not isinstance(meta.get(key), kind):
            raise CheckpointError(f"{path} is damaged: {key!r} is missing or not a {kind.__name__}.")
    for group, entry in meta["tensors"].items():
        name, size = (entry.get("file"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
            raise CheckpointError(f"{path} names the tensor file {name!r}, which is not a name meshlearn writes.")
        if not isinstance(size, int) or isinstance(size, bool):
            raise CheckpointError(f"{path} is damaged: 'bytes' of the {group!r} tensors is {size!r}, not a number.")
        digest = entry.get("sha256")
        if meta["schema"] > 1 and (not isinstance(digest, str) or not _DIGEST.fullmatch(digest)):
            raise CheckpointError(f"{path} is damaged: 'sha256' of the {group!r} tensors is {digest!r}, no checksum.")
    return meta


@contextmanager
def taking(folder: Path, part: str) -> Iterator[None]:
    """Within the context, what goes wrong when one part of `model.json` is used is a CheckpointError that names it."""
    try:
        yield
    except (CheckpointError, MissingDependencyError):
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError, MeshlearnError) as error:
        seen = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{folder / INDEX} is damaged: {part!r} cannot be used ({seen}).") from error


def _instead(folder: Path) -> str:
    """What stands where a model folder was expected."""
    if folder.is_file():
        return "it is a file"
    if not folder.is_dir():
        return "there is no such folder"
    names = sorted(path.name for path in folder.iterdir())
    more = ", …" if len(names) > 8 else ""
    return f"there is no {INDEX} in it" + (f", only {', '.join(names[:8])}{more}" if names else "; it is empty")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> set[str]:
    """Tensor files that the index in place names; empty when there is none."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return {entry["file"] for entry in index["tensors"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _clean(folder: Path, keep: set[str]) -> None:
    """Remove tensor files of earlier versions; a file that cannot be removed (open elsewhere) does no harm."""
    for path in folder.iterdir():
        stray = _FILE_NAME.fullmatch(path.name) and path.name not in keep
        if stray or _LEFTOVER.fullmatch(path.name):
            try:
                path.unlink()
            except OSError:
                continue


def _flush(path: Path) -> None:
    """Make sure a file, or the entries of a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
