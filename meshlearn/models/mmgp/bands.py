"""How wide the error bands of fields are: Gaussian processes, truncation of the modes, transfer, and a factor that is
checked against errors of predictions that were left out.

Modes are independent and decoding is linear, so the variance of a field is a sum over modes of squared modes times
variances of coefficients; no sampling is needed. On a polynomial manifold, decoding is linearised at the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.models.mmgp.pod import POD

ROUNDING = 1e-12
NORMAL_95 = 1.959963984540054
COVERAGE = 0.95
CALIBRATIONS = (False, "scale", "conformal")


def field_variance(
    pod: POD, coefficients: Float64[Tensor, "n r"], variances: Float64[Tensor, "n r"]
) -> Float64[Tensor, "n N"]:
    """Variance of fields on the common mesh: of the coefficients, and of what the modes leave."""
    if pod.lift_ is None:
        inside = variances @ pod.modes_.square()
    else:
        inside = torch.stack([v @ pod.tangent(a).square() for a, v in zip(coefficients, variances, strict=True)])
    return inside + pod.residual_


@dataclass
class Ratios:
    """|error| / std of one output where samples were left out.

    values   (n,) pooled from all samples
    weights  (n,) share of its sample that every value stands for; they add up to 1 in each sample
    items    (n,) number of the mesh or trajectory that the sample belongs to
    """

    values: Float64[Tensor, " n"]
    weights: Float64[Tensor, " n"]
    items: Tensor


def factor_of(ratios: Ratios, calibrate: str | bool) -> float:
    """The factor on standard deviations with which |error| <= 1.96 std holds for 95 % of the ratios.

    Values of one item are wrong together, so a few items say little of the scale: the factor is that of the normal
    distribution times Student's (`few_items`), and items too few to bound a new one (`check_conformal`) do not make
    bands narrower.
    """
    if calibrate == "conformal":
        return conformal_factor(ratios)
    if not calibrate:
        return 1.0
    count = len(torch.unique(ratios.items))
    factor = factor_for_coverage(ratios.values) if count > 2 else 1.0
    return few_items(count) * (factor if count >= least_items(COVERAGE) else max(factor, 1.0))


def few_items(count: int, coverage: float = COVERAGE) -> float:
    """How much wider a band is whose scale was estimated from so many items: Student's quantile over the normal one.

    >>> from meshlearn.models.mmgp.bands import few_items
    >>> [round(few_items(n), 2) for n in (2, 5, 20, 200)]
    [6.48, 1.42, 1.07, 1.01]
    """
    from scipy.stats import t

    return float(t.ppf(0.5 * (1 + coverage), max(count - 1, 1))) / NORMAL_95


def factor_for_coverage(ratios: Float64[Tensor, " n"], coverage: float = COVERAGE) -> float:
    """The quantile of all ratios |error| / std, relative to that of the normal distribution.

    1 where there is nothing to learn from. It counts nodes, pooled from predictions that were left out, so that it
    holds on average over nodes.
    """
    ratios = ratios[torch.isfinite(ratios)]
    if len(ratios) < 20:
        return 1.0
    rank = min(int(coverage * (len(ratios) + 1)), len(ratios) - 1)
    return max(float(ratios.sort().values[rank]) / NORMAL_95, 1e-6)


def conformal_factor(ratios: Ratios, coverage: float = COVERAGE) -> float:
    """The same with a guarantee for a new item: normalised conformal prediction for groups of values.

    Every one of G items has the weight 1 / (G + 1), spread over its samples and their measure, and so has a value at
    infinity, which stands for the new item (pooled distribution functions: Dunn, Wasserman and Ramdas,
    "Distribution-free prediction sets for two-layer hierarchical models", JASA 118, 2023). If items are exchangeable
    and the errors are those of models that never saw them, a value drawn by measure from a new item lies in the band
    with at least the probability `coverage`. Errors from folds come from models of fewer samples than the final one.
    """
    _, item = torch.unique(ratios.items, return_inverse=True)
    count = int(item.max()) + 1
    check_conformal(count, coverage)
    total = torch.zeros(count, dtype=torch.float64).index_add_(0, item, ratios.weights)
    weights = ratios.weights / total[item] / (count + 1)
    values = torch.where(torch.isnan(ratios.values), 0.0, ratios.values)  # no error in a band of no width
    order = values.argsort()
    reached = weights[order].cumsum(0) >= coverage - 1e-12
    first = int(reached.nonzero()[0]) if bool(reached.any()) else len(order) - 1
    return max(float(values[order[first]]) / NORMAL_95, 1e-6)


def check_conformal(count: int, coverage: float = COVERAGE) -> None:
    """Raise ParameterError unless so many items can say anything about a band of this coverage."""
    least = least_items(coverage)
    if count < least:
        raise ParameterError(
            f'calibrate="conformal" needs at least {least} meshes or trajectories for bands of {coverage:.0%}, '
            f'there are {count}.\n  Give more, or take calibrate="scale", which promises less.'
        )


def least_items(coverage: float) -> int:
    """How many items can say where a share `coverage` of new ones lies."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def check_calibrate(value: object) -> None:
    """Raise ParameterError for anything but False, "scale" and "conformal"."""
    if not any(value is known or (isinstance(value, str) and value == known) for known in CALIBRATIONS):
        raise ParameterError(f'calibrate={value!r}: expected "scale", "conformal" or False.')


def concatenate(parts: Sequence[tuple[Tensor, Tensor, int]]) -> Ratios:
    """Ratios from (values, weights, item) of every sample."""
    items = [torch.full((len(values),), item) for values, _, item in parts]
    return Ratios(torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), torch.cat(items))
