"""The options of `NetworkEstimator.fit`, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.train.schedule import SCHEDULES

PRECISIONS = {
    "32": "32-true",
    "32-true": "32-true",
    "64": "64-true",
    "64-true": "64-true",
    "16": "16-mixed",
    "16-mixed": "16-mixed",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
}

# What a resumed fit must have in common with the interrupted one, so that it continues bit for bit.
RESUME_KEYS = (
    "learning_rate",
    "weight_decay",
    "warmup",
    "batch_points",
    "batch_edges",
    "accumulate",
    "precision",
    "ema",
    "clip",
    "seed",
)


@dataclass(frozen=True)
class FitOptions:
    """See `NetworkEstimator.fit` for the meaning of every option."""

    validation: Any = None
    epochs: int = 100
    max_steps: int | None = None
    time_budget: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str | Callable[[float], float] = "cosine"
    warmup: float = 0.02
    batch_points: int | None = None
    batch_edges: int | None = None
    accumulate: int = 1
    precision: str = "32-true"
    accelerator: str = "cpu"
    devices: int | str | list[int] = 1
    strategy: Any = "auto"
    compile: bool = False
    ema: float | None = None
    patience: int | None = None
    keep_best: bool = True
    clip: float | None = 1.0
    seed: int = 0
    warm_start: bool = False
    cache_samples: bool = True
    checkpoint: Path | None = None
    checkpoint_every: int = 1
    checkpoint_steps: int | None = None
    resume: bool = False
    callbacks: Sequence[Any] = ()
    log: Path | None = None
    tensorboard: bool = False
    progress: bool = True

    @classmethod
    def checked(cls, **options: Any) -> FitOptions:
        """The options with paths and precision in their canonical form; raises ParameterError for what cannot be."""
        precision = str(options["precision"])
        if precision not in PRECISIONS:
            raise ParameterError(f"precision={precision!r} is not known; choose one of {sorted(PRECISIONS)}.")
        options["precision"] = PRECISIONS[precision]
        for name in ("checkpoint", "log"):
            options[name] = None if options[name] is None else Path(options[name])
        self = cls(**options)
        self._check()
        return self

    def _check(self) -> None:
        for name in ("epochs", "accumulate", "checkpoint_every"):
            _require(name, getattr(self, name), _is_int(getattr(self, name), 1), "a whole number of at least 1")
        for name in ("max_steps", "batch_points", "batch_edges", "patience", "checkpoint_steps"):
            value = getattr(self, name)
            _require(name, value, value is None or _is_int(value, 1), "None or a whole number of at least 1")
        for name in ("time_budget", "clip"):
            value = getattr(self, name)
            _require(name, value, value is None or value > 0, "None or a positive number")
        _require("learning_rate", self.learning_rate, self.learning_rate > 0, "a positive number")
        _require("weight_decay", self.weight_decay, self.weight_decay >= 0, "a number of at least 0")
        _require("warmup", self.warmup, 0 <= self.warmup < 1, "a share of the training in [0, 1)")
        _require("ema", self.ema, self.ema is None or 0 < self.ema < 1, "None or a number strictly between 0 and 1")
        _require("seed", self.seed, _is_int(self.seed, 0), "a whole number of at least 0")
        known = callable(self.schedule) or self.schedule in SCHEDULES
        _require(
            "schedule", self.schedule, known, f"a function of the progress in [0, 1], or one of {sorted(SCHEDULES)}"
        )
        if self.patience is not None and self.validation is None:
            raise ParameterError(
                f"patience={self.patience} stops on the validation loss, but validation=None: "
                "hold meshes out with validation=0.1 or validation=[mesh, …]."
            )
        if self.resume and self.checkpoint is None:
            raise ParameterError("resume=True needs the folder to resume from: checkpoint='folder'.")
        if self.resume and self.warm_start:
            raise ParameterError("resume=True continues an interrupted fit, warm_start=True begins a new one: choose.")

    def resume_keys(self) -> dict[str, Any]:
        """What must not change between an interrupted fit and its resumption."""
        schedule = self.schedule if isinstance(self.schedule, str) else "function"
        return {**{name: getattr(self, name) for name in RESUME_KEYS}, "schedule": schedule}


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(name: str, value: Any, good: bool, expected: str) -> None:
    if not good:
        raise ParameterError(f"{name}={value!r} is not allowed: {expected} is expected.")


OPTION_NAMES = tuple(field.name for field in fields(FitOptions))
