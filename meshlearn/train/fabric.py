"""Lightning Fabric, imported when it is needed."""

from __future__ import annotations

from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.quiet import quiet
from meshlearn.train.options import FitOptions


def make_fabric(options: FitOptions) -> Any:
    """A Fabric for the accelerator, devices, strategy and precision of a fit (not launched yet)."""
    # Advice for cluster jobs, given wherever srun exists, and fp16 on the CPU, which is an error below.
    with quiet(UserWarning):
        from lightning_fabric import Fabric

        try:
            fabric = Fabric(
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
    if options.precision == "16-mixed" and fabric.device.type == "cpu":
        raise ParameterError("precision='16' needs a GPU; on the CPU use precision='bf16' or '32'.")
    return fabric
