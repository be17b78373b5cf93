"""The state of a running fit: what a checkpoint holds, so that a resumed fit continues bit for bit."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor

from meshlearn.errors import CheckpointError
from meshlearn.train import checkpoint
from meshlearn.train.network import under
from meshlearn.train.params import json_params

Snapshot = tuple[dict[str, Any], dict[str, Tensor]]


@dataclass
class Position:
    """Where a fit stands.

    epoch, step_in_epoch  epoch at hand (from 0) and optimiser steps done in it
    step                  optimiser steps in all
    loss_sum, loss_count  sum of the losses, and number of meshes, in the epoch so far
    epoch_seconds         time spent in the epoch so far
    elapsed               time spent in all
    best_loss, stale      best validation loss, and epochs since
    history               records of the finished epochs
    stop                  set to end the fit after the step at hand (not kept in checkpoints)
    closed                the checkpoint of this position is written (not kept in checkpoints)
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    epoch_seconds: float = 0.0
    elapsed: float = 0.0
    best_loss: float | None = None
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    stop: bool = False
    closed: bool = False

    def next_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch += 1
        self.step_in_epoch, self.loss_sum, self.loss_count, self.epoch_seconds = 0, 0.0, 0, 0.0
        self.closed = False

    def to_json(self) -> dict[str, Any]:
        """A copy that `json` can write."""
        data = asdict(copy.deepcopy(self))
        return {name: value for name, value in data.items() if name not in ("stop", "closed")}

    def take(self, data: dict[str, Any]) -> None:
        """Set from what `to_json` gave."""
        for entry in fields(self):
            if entry.name in data:
                setattr(self, entry.name, data[entry.name])


class TrainingState:
    """Snapshots of a Trainer, and checkpoints made of them."""

    def __init__(self, trainer: Any):
        self.trainer = trainer

    def capture(self) -> Snapshot:
        """Position, weights, optimiser, average and best weights of the moment, as (JSON-able dictionary, tensors)."""
        t = self.trainer
        tensors = {f"weights.{name}": value.detach().clone() for name, value in t.module.state_dict().items()}
        optimizer = t.raw.state_dict()
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer["param_groups"]]
        numbers: dict[str, dict[str, Any]] = {}
        for index, entries in optimizer["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{name}"] = value.detach().clone()
                else:
                    numbers.setdefault(str(index), {})[name] = value
        if t.average is not None:
            tensors |= {f"average.{name}": value.clone() for name, value in t.average.average.items()}
        if t.best is not None:
            tensors |= {f"best.{name}": value for name, value in t.best.items()}
        meta = {
            "position": t.at.to_json(),
            "keys": self._keys(),
            "optimizer_groups": json_params("optimizer", {"groups": groups})["groups"],
            "optimizer_numbers": numbers,
            "average_steps": 0 if t.average is None else t.average.n,
            "precision": t.fabric.strategy.precision.state_dict(),
        }
        return meta, tensors

    def save(self, snapshot: Snapshot | None = None) -> None:
        """Write a checkpoint (main process only): a model folder with the weights a fit ending now would keep."""
        t = self.trainer
        folder = t.options.checkpoint
        if folder is None or not t.fabric.is_global_zero:
            return
        training, tensors = snapshot or self.capture()
        t.model.history_ = copy.deepcopy(t.at.history)
        model_tensors, meta = t.model.saved()
        model_tensors |= {f"module.{name}": value for name, value in t.final_weights().items()}
        checkpoint.write(folder, {**meta, "training": training}, {"model": model_tensors, "training": tensors})

    def resume(self) -> None:
        """Continue from the checkpoint in the folder, if there is one.

        Raises CheckpointError when it belongs to another model, other meshes or other options.
        """
        t = self.trainer
        folder = t.options.checkpoint
        if folder is None or not checkpoint.exists(folder):
            return
        meta = checkpoint.read_meta(folder)
        training = meta.get("training")
        if training is None:
            raise CheckpointError(f"{folder} holds a saved model, not a checkpoint of a fit: it cannot be resumed.")
        with checkpoint.taking(folder, "training"):
            self._compare(meta, training["keys"])
            _, groups = checkpoint.read(folder, ("training",))
            self._take(training, groups["training"])

    def _take(self, training: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        t = self.trainer
        t.module.load_state_dict(under("weights.", tensors))
        self._load_optimizer(training, under("optimizer.", tensors))
        if t.average is not None:
            t.average.load(under("average.", tensors), training["average_steps"])
        best = under("best.", tensors)
        t.best = {name: value.to(t.fabric.device) for name, value in best.items()} or None
        if training["precision"]:
            t.fabric.strategy.precision.load_state_dict(training["precision"])
        t.at.take(training["position"])

    def _load_optimizer(self, training: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        raw = self.trainer.raw
        state: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in training["optimizer_numbers"].items()}
        for name, value in tensors.items():
            index, _, entry = name.partition(".")
            state.setdefault(int(index), {})[entry] = value
        groups = [
            {**saved, "params": group["params"]}
            for saved, group in zip(training["optimizer_groups"], raw.state_dict()["param_groups"], strict=True)
        ]
        raw.load_state_dict({"state": state, "param_groups": groups})

    def _keys(self) -> dict[str, Any]:
        t = self.trainer
        keys = {**t.options.resume_keys(), "processes": t.fabric.world_size, "meshes": t.job.fingerprint}
        return {**keys, "batch_points": t.job.budget.points, "batch_edges": t.job.budget.edges}

    def _compare(self, meta: dict[str, Any], keys: dict[str, Any]) -> None:
        t = self.trainer
        _, own = t.model.saved()
        different = [name for name in ("estimator", "params", "fields") if meta[name] != own[name]]
        different += [name for name, value in self._keys().items() if keys.get(name) != value]
        if different:
            seen = {name: keys.get(name, meta.get(name)) for name in different}
            raise CheckpointError(
                f"the checkpoint in {t.options.checkpoint} belongs to another fit; different: {', '.join(different)}.\n"
                f"  It has {seen}.\n  Resume with the same model, meshes and options, or use another folder."
            )
