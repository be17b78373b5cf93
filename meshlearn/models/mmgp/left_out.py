"""What predictions of training samples that were left out say: scores, floors, and the factors of the error bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from meshlearn.models.mmgp.bands import Ratios, concatenate, factor_of, field_variance
from meshlearn.models.mmgp.gaussian import GaussianProcesses, Processes
from meshlearn.models.mmgp.pod import POD
from meshlearn.models.mmgp.training_set import TrainingSet
from meshlearn.models.mmgp.transfer_loss import TransferLoss, learned_loss, round_trip
from meshlearn.train.fields import FieldSpec
from meshlearn.train.graph import measure_weights
from meshlearn.train.metrics import relative_l2

FEW = 300


@dataclass
class Checks:
    """By name of the output.

    scores    relative L2 error of samples left out; modes of the shape are those of all samples
    floors    {"round_trip", "truncation"}: the same of the transfer alone, and of the modes alone
    factors   of the standard deviations
    losses    of the transfer
    """

    scores: dict[str, float] = field(default_factory=dict)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    losses: dict[str, TransferLoss] = field(default_factory=dict)


def check_left_out(
    data: TrainingSet,
    outputs: Sequence[FieldSpec],
    pods: Mapping[str, POD],
    processes: Processes,
    calibrate: str | bool,
) -> Checks:
    """Compare every output with its prediction from the other samples.

    The error of a field is the sum of three: of the coefficients (five folds, trained again; above 300 samples, where
    single ones do not move length scales, closed-form leave-one-out where processes are exact), of what modes of other
    samples leave (five folds), and of the transfer; it is formed on the sample's own points. Frames of one trajectory
    stay in one fold, and so do samples with the same shape and inputs. Two samples leave nothing to learn from without
    one of them: there, processes are checked in closed form.
    """
    checks = Checks()
    left_out, variance = _coefficients(data, processes)
    rows = torch.tensor(data.checked)
    start = 0
    for spec in outputs:
        width = pods[spec.name].rank_ if spec.name in pods else spec.size
        mine = slice(start, start + width)
        start += width
        if spec.name in pods:
            ratios = _check_field(checks, spec, pods[spec.name], data, left_out[rows, mine], variance[rows, mine])
        else:
            ratios = _check_scalar(checks, spec, data, left_out[:, mine], variance[:, mine])
        checks.factors[spec.name] = factor_of(ratios, calibrate)
    return checks


def _coefficients(data: TrainingSet, processes: Processes) -> tuple[Tensor, Tensor]:
    n = len(data.shapes)
    if isinstance(processes, GaussianProcesses):
        again = 2 < n <= FEW or data.n_groups < n
        return processes.held_out(data.folds) if again else processes.leave_one_out()
    return processes.held_out(data.folds)


def _check_scalar(checks: Checks, spec: FieldSpec, data: TrainingSet, left_out: Tensor, variance: Tensor) -> Ratios:
    truth = data.fields[spec]
    error, size = left_out - truth, truth.norm(dim=1)
    checks.scores[spec.name] = _mean((error.norm(dim=1) / size)[size > 0].tolist())
    ratios = error.abs() / variance.sqrt()
    return Ratios(
        ratios.reshape(-1),
        torch.full((ratios.numel(),), 1 / ratios.shape[1], dtype=torch.float64),
        data.groups.repeat_interleave(ratios.shape[1]),
    )


def _check_field(
    checks: Checks, spec: FieldSpec, pod: POD, data: TrainingSet, left_out: Tensor, variance: Tensor
) -> Ratios:
    truths = {i: data.fields[spec][i].reshape(1, -1) for i in data.checked}
    if spec.location != "global":
        truths = {i: data.truth[i][spec].detach().double().cpu() for i in data.checked}
    placed = [data.placed[i] for i in data.checked]
    owns = [round_trip(p, truths[i], spec.location) for p, i in zip(placed, data.checked, strict=True)]
    there = pod.decode(left_out)
    loss = learned_loss(spec, placed, list(truths.values()), owns, there)
    bands = field_variance(pod, left_out, variance)
    known = pod.coefficients_[torch.tensor(data.checked)]
    errors = pod.rest_ + pod.decode(known) - there
    scores, round_trips, truncations = [], [], []
    ratios: list[tuple[Tensor, Tensor, int]] = []
    for k, i in enumerate(data.checked):
        truth, own = truths[i], owns[k]
        stacked = torch.stack([errors[k], pod.rest_[k]])
        error, rest = placed[k].from_common(stacked, spec.location, spec.size)
        band = placed[k].from_common(bands[k][None], spec.location, spec.size, plain=True)[0]
        band = band.clamp(min=0) + loss.square(placed[k], there[k], spec.location, spec.size)
        weights = measure_weights(placed[k].mesh, spec.location).detach().double().cpu()
        scores.append(relative_l2(truth - error - own, truth, weights))
        round_trips.append(relative_l2(truth - own, truth, weights))
        truncations.append(relative_l2(truth - rest, truth, weights))
        values = ((error + own).abs() / band.sqrt()).reshape(-1)
        ratios.append((values, weights.repeat_interleave(spec.size) / spec.size, int(data.groups[i])))
    checks.losses[spec.name] = loss
    checks.scores[spec.name] = _mean(scores)
    checks.floors[spec.name] = {"round_trip": _mean(round_trips), "truncation": _mean(truncations)}
    return concatenate(ratios)


def _mean(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")
