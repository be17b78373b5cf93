"""Lightning Fabric, imported when it is needed."""

from __future__ import annotations

import warnings
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.train.options import FitOptions

# Advice for cluster jobs, also given to those who only work on a machine where srun exists.
_SRUN = r"The `srun` command is available on your system but is not used.*"


def make_fabric(options: FitOptions) -> Any:
    """A Fabric for the accelerator, devices, strategy and precision of a fit (not launched yet)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_SRUN)
        warnings.filterwarnings("ignore", message=r".*AMP with fp16 is not supported on CPU")  # an error, below
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
