"""Label volumes of a field, block by block into a file: in little memory, and resumable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshlearn.errors import CheckpointError
from meshlearn.models.cross_sections.body import Frame
from meshlearn.models.cross_sections.field import Field

BLOCK = 48
VALUES, DONE = "labels.npy", "done.json"


def fill_volume(
    field: Field,
    frame: Frame,
    shape: tuple[int, int, int],
    affine: np.ndarray,
    folder: Path | None,
    key: str,
    report: Callable[[float], None] | None = None,
) -> np.ndarray:
    """(n0, n1, n2) labels at affine @ (i, j, k): uint8, or uint16 or int32 where labels need it.

    folder  keeps the volume and the blocks that are done: a call that was interrupted goes on where it was
    key     tells the same model, shape and affine; CheckpointError where the folder belongs to others
    """
    top = max(field.body.channels)
    dtype = np.uint8 if top < 256 else np.uint16 if top < 65536 else np.int32
    blocks = list(_blocks(shape))
    done: set[int] = set()
    if folder is None:
        volume = np.zeros(shape, dtype=dtype)
    else:
        volume, done = _open(folder, shape, dtype, key)
    # labels of bodies that are far from a block cannot be there: most blocks need few of many
    for number, (low, high) in enumerate(blocks):
        if number in done:
            continue
        index = np.stack(
            np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1
        )
        points = index.reshape(-1, 3) @ affine[:3, :3].T + affine[:3, 3]
        unit = torch.from_numpy(frame.to_unit(points).astype(np.float32))
        found = torch.cat([field.label_at(part) for part in unit.split(32768)])
        place = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        volume[place] = found.numpy().reshape(index.shape[:3])
        if folder is not None:
            volume.flush()  # type: ignore[attr-defined]
            done.add(number)
            _note(folder, key, done)
        if report is not None:
            report((number + 1) / len(blocks))
    return volume


def _blocks(shape: tuple[int, int, int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for low in product(*(range(0, n, BLOCK) for n in shape)):
        yield low, tuple(min(a + BLOCK, n) for a, n in zip(low, shape, strict=True))


def _open(folder: Path, shape: tuple[int, int, int], dtype: Any, key: str) -> tuple[np.ndarray, set[int]]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / DONE).is_file():
            noted = json.loads((folder / DONE).read_text(encoding="utf-8"))
            if noted["key"] != key:
                raise CheckpointError(
                    f"{folder} holds a volume of another model, shape or affine: choose another folder, or remove it."
                )
            return np.load(folder / VALUES, mmap_mode="r+"), set(noted["blocks"])
        volume = np.lib.format.open_memmap(folder / VALUES, mode="w+", dtype=dtype, shape=shape)
        _note(folder, key, set())
        return volume, set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{folder}: the volume cannot be kept or continued there ({error}).") from error


def _note(folder: Path, key: str, done: set[int]) -> None:
    temporary = folder / f".{DONE}"
    temporary.write_text(json.dumps({"key": key, "blocks": sorted(done)}), encoding="utf-8")
    temporary.replace(folder / DONE)
