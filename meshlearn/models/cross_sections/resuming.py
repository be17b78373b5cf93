"""What a fit keeps in a folder while it runs, so that one that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import CheckpointError
from meshlearn.io.sections import CrossSections
from meshlearn.train import checkpoint


class Notes:
    """Results of the steps of a fit by name: each is made once, and written to the folder as soon as it is made.

    folder  None: nothing is kept
    resume  as in `fit`: False refuses a folder that holds something, True one that holds nothing, "auto" takes both
    head    what a model folder says of its model, without its tensors
    key     of the sections and arguments: notes of another fit are refused

    Raises CheckpointError.
    """

    def __init__(self, folder: Path | None, resume: bool | str, head: dict[str, Any], key: str):
        self.folder, self.head, self.key = folder, head, key
        self.known: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.finished = False
        if folder is None:
            return
        checkpoint.check_folder(folder, resume)
        there = checkpoint.exists(folder)
        checkpoint.prepare_folder(folder)
        if there:
            self._take(folder)

    def _take(self, folder: Path) -> None:
        training = checkpoint.read_meta(folder).get("training")
        if training is None:
            raise CheckpointError(f"{folder} holds a saved model, not a checkpoint of a fit: it cannot be resumed.")
        with checkpoint.taking(folder, "training"):
            if training["key"] != self.key:
                raise CheckpointError(
                    f"the checkpoint in {folder} belongs to a fit of other sections or arguments.\n"
                    "  Resume with the same ones, or use another folder."
                )
            self.known, self.finished = dict(training["notes"]), bool(training["finished"])
            if not self.finished:
                self.tensors = checkpoint.read(folder, ("training",))[1]["training"]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns (JSON-able), made now or by the fit that is continued."""
        if name not in self.known:
            self.known[name] = make()
            self._write()
        return self.known[name]

    def tensor_once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """The same for a tensor."""
        if name not in self.tensors:
            self.tensors[name] = make()
            self._write()
        return self.tensors[name]

    def keep(self, name: str, tensors: dict[str, Tensor], number: int) -> None:
        """A state that replaces the one before: tensors and how far it is."""
        self.tensors = {key: value for key, value in self.tensors.items() if not key.startswith(f"{name}/")}
        self.tensors |= {f"{name}/{key}": value for key, value in tensors.items()}
        self.known[f"{name}/number"] = number
        self._write()

    def kept(self, name: str) -> tuple[dict[str, Tensor], int] | None:
        """What `keep` kept; None where it kept nothing."""
        number = self.known.get(f"{name}/number")
        if number is None:
            return None
        start = f"{name}/"
        return {key[len(start) :]: v for key, v in self.tensors.items() if key.startswith(start)}, int(number)

    def finish(self, tensors: dict[str, Tensor], head: dict[str, Any]) -> None:
        """The fitted model takes the place of the notes: `ml.load` reads it."""
        if self.folder is not None:
            training = {"key": self.key, "notes": self.known, "finished": True}
            checkpoint.write(self.folder, {**head, "training": training}, {"model": tensors})

    def _write(self) -> None:
        if self.folder is not None:
            training = {"key": self.key, "notes": self.known, "finished": False}
            # safetensors wants at least one tensor
            tensors = self.tensors or {"none": torch.zeros(1)}
            checkpoint.write(self.folder, {**self.head, "training": training}, {"training": tensors})


def fingerprint(sections: CrossSections, arguments: dict[str, Any]) -> str:
    """Tells sections and arguments from others; seconds count anew, and may be others."""
    kept = sorted((name, value) for name, value in arguments.items() if name != "time_budget")
    digest = hashlib.sha256(repr(kept).encode())
    for plane in sections:
        digest.update(np.concatenate([plane.origin[None], plane.axes]).tobytes())
        for ring in plane.rings:
            digest.update(str(ring.label).encode())
            digest.update(np.ascontiguousarray(ring.points).tobytes())
    return digest.hexdigest()
