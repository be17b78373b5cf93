"""How wide the error bands of fields are: Gaussian processes, truncation of the modes, transfer, and a factor that is
checked against errors of predictions that were left out.

Modes are independent and decoding is linear, so the variance of a field is a sum over modes of squared modes times
variances of coefficients; no sampling is needed.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.family import Placed
from meshlearn.models.mmgp.pod import POD

NORMAL_95 = 1.959963984540054


def field_variance(
    pod: POD, variances: Float64[Tensor, "n r"], transfer: Float64[Tensor, " N"]
) -> Float64[Tensor, "n N"]:
    """Variance of fields on the common mesh: of the coefficients, of what the modes leave, and of the transfer."""
    return variances @ pod.modes_.square() + pod.residual_ + transfer


def round_trip(placed: Placed, table: Tensor, location: str) -> tuple[Tensor, Tensor]:
    """(error (rows, size) of a field carried to the common mesh and back, its square carried to the common mesh)."""
    size = table.shape[1]
    there = placed.to_common(table, location)
    error = table.double().cpu() - placed.from_common(there[None], location, size)[0]
    return error, placed.to_common(error.square(), location).clamp(min=0)


def factor_for_coverage(ratios: Float64[Tensor, " n"], coverage: float = 0.95) -> float:
    """The factor on standard deviations with which |error| <= 1.96 std holds for this share of the ratios |error|/std.

    1 where there is nothing to learn from. The quantile of absolute, normalised residuals is that of split conformal
    prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005), here over nodes pooled from
    predictions that were left out, so that it holds on average over nodes.
    """
    ratios = ratios[torch.isfinite(ratios)]
    if len(ratios) < 20:
        return 1.0
    rank = min(int(coverage * (len(ratios) + 1)), len(ratios) - 1)
    return max(float(ratios.sort().values[rank]) / NORMAL_95, 1e-6)
