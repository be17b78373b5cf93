"""The options of `NetworkEstimator.fit`, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.train import option_checks as check
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
    resume: bool | str = False
    callbacks: Sequence[Any] = ()
    log: Path | None = None
    tensorboard: bool = False
    progress: bool = True

    @classmethod
    def checked(cls, **options: Any) -> FitOptions:
        """The options with numbers, paths and precision in their canonical form; ParameterError for what cannot be."""
        unknown = sorted(set(options) - set(OPTION_NAMES))
        if unknown:
            raise ParameterError(f"fit has no option {unknown[0]!r}; its options are {', '.join(OPTION_NAMES)}.")
        options = {name: CHECKS[name](name, value) if name in CHECKS else value for name, value in options.items()}
        self = cls(**options)
        self._check_together()
        return self

    def _check_together(self) -> None:
        if self.patience is not None and self.validation is None:
            raise ParameterError(
                f"patience={self.patience} stops on the validation loss, but validation=None: "
                "hold meshes out with validation=0.1 or validation=[mesh, …]."
            )
        if self.resume and self.checkpoint is None:
            raise ParameterError(f"resume={self.resume!r} needs the folder to resume from: checkpoint='folder'.")
        if self.resume and self.warm_start:
            raise ParameterError(
                f"resume={self.resume!r} continues an interrupted fit, warm_start=True begins a new one: choose."
            )
        if self.checkpoint_steps is not None and self.checkpoint is None:
            raise ParameterError(f"checkpoint_steps={self.checkpoint_steps} needs a folder: checkpoint='folder'.")
        if self.tensorboard and self.log is None:
            raise ParameterError("tensorboard=True needs the folder to write to: log='folder'.")

    def resume_keys(self) -> dict[str, Any]:
        """What must not change between an interrupted fit and its resumption."""
        schedule = self.schedule if isinstance(self.schedule, str) else "function"
        return {**{name: getattr(self, name) for name in RESUME_KEYS}, "schedule": schedule}


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "validation": check.validation,
    **dict.fromkeys(("epochs", "accumulate", "checkpoint_every"), check.whole(1)),
    **dict.fromkeys(("max_steps", "batch_points", "batch_edges", "patience", "checkpoint_steps"), check.whole(1, True)),
    "seed": check.whole(0),
    "learning_rate": check.number("a positive number", lambda x: x > 0),
    **dict.fromkeys(("time_budget", "clip"), check.number("None or a positive number", lambda x: x > 0, True)),
    "weight_decay": check.number("a number of at least 0", lambda x: x >= 0),
    "warmup": check.number("a share of the training in [0, 1)", lambda x: 0 <= x < 1),
    "ema": check.number("None or a number strictly between 0 and 1", lambda x: 0 < x < 1, True),
    "schedule": check.name_or_function(SCHEDULES),
    "precision": check.precision(PRECISIONS),
    "accelerator": check.text("'cpu', 'cuda', 'mps' or 'auto'"),
    "devices": check.devices,
    "strategy": check.strategy,
    **dict.fromkeys(("compile", "keep_best", "warm_start", "cache_samples", "tensorboard", "progress"), check.flag),
    "resume": check.resume,
    **dict.fromkeys(("checkpoint", "log"), check.folder),
    "callbacks": check.callbacks,
}
OPTION_NAMES = tuple(field.name for field in fields(FitOptions))
