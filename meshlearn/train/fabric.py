"""Lightning Fabric, imported when it is needed."""

from __future__ import annotations

import warnings
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.train.options import FitOptions

# Advice that does not apply here, silenced by its text: the loop deals batches to the processes itself, and it asks for
# the devices it was told to use.
_ADVICE = (
    r"GPU available but not used.*",
    r".*`Trainer.fit` is called within an interactive environment.*",
    r".*is not supported on CPU.*",
)


def make_fabric(options: FitOptions) -> Any:
    """A Fabric for the accelerator, devices, strategy and precision of a fit (not launched yet)."""
    with warnings.catch_warnings():
        for text in _ADVICE[:2]:
            warnings.filterwarnings("ignore", message=text)
        from lightning_fabric import Fabric

        try:
            return Fabric(
                accelerator=options.accelerator,
                devices=options.devices,
                strategy=options.strategy,
                precision=options.precision,  # type: ignore[arg-type]
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise ParameterError(
                f"accelerator={options.accelerator!r}, devices={options.devices!r}, strategy={options.strategy!r}, "
                f"precision={options.precision!r} do not go together: {error}"
            ) from error
