"""How good error bands are on meshes with known outputs: coverage, width, likelihood and CRPS, weighted by measure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.bands import NORMAL_95
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.graph import measure_weights

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)

Calibration = dict[str, dict[str, object]]


def calibration_of(pairs: Iterable[tuple[Mesh, Mesh, str]], fields: FieldSet, levels: Sequence[float]) -> Calibration:
    """{output: {"coverage": {level: share}, "width", "nll", "crps"}} over (prediction with std, truth, name of it).

    All are means over the measure of every mesh, then over meshes. Components of vectors count alike.
    """
    check_levels(levels)
    rows: dict[str, list[Tensor]] = {spec.name: [] for spec in fields.outputs}
    for prediction, truth, where in pairs:
        for spec in fields.outputs:
            band = FieldSpec(f"{spec.name}_std", spec.location, spec.shape)
            known, mean = (spec.values(mesh, where).detach().double().cpu() for mesh in (truth, prediction))
            std = band.values(prediction, where).detach().double().cpu()
            weights = measure_weights(truth, spec.location).detach().double().cpu()
            rows[spec.name].append(_scores(known - mean, std, weights, levels))
    found: Calibration = {}
    for name, parts in rows.items():
        table = torch.stack(parts)
        whole = table.nanmean(0).tolist()
        coverage = dict(zip((float(level) for level in levels), whole[3:], strict=True))
        found[name] = {"coverage": coverage, "width": whole[0], "nll": whole[1], "crps": whole[2]}
    return found


def _scores(
    error: Float64[Tensor, "n size"],
    std: Float64[Tensor, "n size"],
    weights: Float64[Tensor, " n"],
    levels: Sequence[float],
) -> Float64[Tensor, " k"]:
    """(width of the 95 % band, negative log likelihood, CRPS, coverage at every level) of one field."""
    share = (weights / weights.sum() / error.shape[1])[:, None]
    inside = [(error.abs() <= quantile(level) * std).double() for level in levels]
    parts = [2 * NORMAL_95 * std, negative_log_density(error, std), crps(error, std), *inside]
    sharp = std > 0
    means = [(share * part).sum() for part in parts]
    means[1] = (share * parts[1])[sharp].sum() / share.expand_as(std)[sharp].sum()  # none where bands have no width
    return torch.stack(means)


def quantile(level: float) -> float:
    """How many standard deviations hold this share of a normal distribution, around its mean."""
    return math.sqrt(2) * float(torch.erfinv(torch.tensor(level, dtype=torch.float64)))


def negative_log_density(error: Tensor, std: Tensor) -> Tensor:
    """-log of the normal density at the errors: log(2 pi std^2) / 2 + (error / std)^2 / 2, in nats."""
    return 0.5 * math.log(2 * math.pi) + std.log() + 0.5 * (error / std).square()


def crps(error: Tensor, std: Tensor) -> Tensor:
    """Continuous ranked probability score of a normal prediction, in the unit of the field; |error| without a band.

    std (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = error / std: Gneiting and Raftery, "Strictly proper
    scoring rules, prediction, and estimation", JASA 102, 2007, eq. 21 (there with the other sign).
    """
    z = torch.where(std > 0, error / std, 0.0)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    spread = std * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    return torch.where(std > 0, spread, error.abs())


def check_levels(levels: object) -> None:
    """Raise ParameterError unless these are shares between 0 and 1."""
    sound = isinstance(levels, Sequence) and not isinstance(levels, str) and len(levels) > 0
    if not sound or not all(isinstance(v, float) and 0 < v < 1 for v in levels):  # type: ignore[attr-defined]
        raise ParameterError(f"levels={levels!r}: expected shares between 0 and 1, such as (0.5, 0.95).")
