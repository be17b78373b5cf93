"""Errors of motions, relative to how far the truth moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.carriers import carrier_of
from meshlearn.models.giorom.rollout import nodes_of, start_of
from meshlearn.train.items import as_items
from meshlearn.train.option_checks import whole


def motion_errors(
    places: Float[Tensor, "n_times n_points dim"], truth: Float[Tensor, "n_times n_points dim"]
) -> Float[Tensor, " n_times"]:
    """Root mean square distance over the points at every time, over the largest displacement from the first time.

    Where the truth does not move at all, distances are not divided by anything.
    """
    truth = truth.double()
    size = float((truth - truth[:1]).norm(dim=2).max()) or 1.0
    return (places.double() - truth).square().sum(2).mean(1).sqrt() / size


def truth_of(
    trajectory: Trajectory, history: int, steps: int | None, where: str = "the trajectory"
) -> Float[Tensor, "n_times n_points dim"]:
    """The frames that a rollout of so many steps is compared with, the present first."""
    if not isinstance(trajectory, Trajectory) or trajectory.moving_points is None:
        raise ParameterError("a motion is scored on trajectories whose points move.")
    count = len(trajectory) - history - 1 if steps is None else int(whole(1)("steps", steps))  # type: ignore[arg-type]
    if count < 1 or len(trajectory) < history + 1 + count:
        raise ParameterError(
            f"{where} of {len(trajectory)} frames is too short for {history + 1} frames of history and "
            f"{max(count, 1)} steps: give longer ones, or fewer steps."
        )
    truth = trajectory.moving_points[history : history + 1 + count].cpu()
    bad = ~torch.isfinite(truth).flatten(1).all(1)
    if bool(bad.any()):
        frame = history + int(bad.nonzero()[0, 0])
        raise MeshError(
            f"{where} has NaN or infinite places in frame {frame}, which is no truth to compare with.\n  Cut it before "
            f"(trajectory[:{frame}]), leave it out, or score fewer steps."
        )
    return truth


def score(model: Any, trajectories: Any, steps: int | None, n_nodes: Any) -> dict[str, float]:
    """See `GIOROM.score`."""

    def errors(trajectory: Trajectory, where: str) -> dict[str, float]:
        truth = truth_of(trajectory, model._history(), steps, where)
        motion = model.rollout(trajectory, len(truth) - 1, n_nodes=n_nodes).moving_points
        found = summary(motion, truth)
        body = start_of(model, trajectory).body
        nodes = nodes_of(model, body, n_nodes, 0).index
        if len(motion) == len(truth):
            size = float((truth - truth[:1]).norm(dim=2).max()) or 1.0
            apart = (motion - truth).index_select(1, nodes).double().square().sum(2).mean().sqrt()
            found["nodes"] = float(apart) / size
        else:
            found["nodes"] = float("nan")
        by_truth = oracle(model, trajectory, truth, n_nodes)
        found["reconstruction"] = summary(by_truth, truth)["rollout"]
        return found

    return averaged(trajectories, errors)


def oracle(model: Any, trajectory: Trajectory, truth: Tensor, n_nodes: Any) -> Tensor:
    """(n_times, n_points, dim): all points as they follow the true nodes."""
    body = start_of(model, trajectory).body
    nodes = nodes_of(model, body, n_nodes, 0).index
    begin = body.rest.points.double() if model.kind == "solid" else truth[0].double()
    carrier = carrier_of(model, begin.index_select(0, nodes), begin, truth.dtype)
    return torch.stack([carrier(frame.index_select(0, nodes).double()) for frame in truth])


def summary(motion: Tensor, truth: Tensor) -> dict[str, float]:
    """{"rollout", "final"}: NaN for a motion that ended early."""
    if len(motion) < len(truth):
        return {"rollout": float("nan"), "final": float("nan")}
    errors = motion_errors(motion, truth)
    return {"rollout": float(errors[1:].square().mean().sqrt()), "final": float(errors[-1])}


def averaged(trajectories: Any, errors: Callable[[Trajectory, str], dict[str, float]]) -> dict[str, float]:
    """The mean of every error over the trajectories."""
    items = as_items(trajectories, "trajectories")
    found = [errors(items[i], f"trajectory {i}") for i in range(len(items))]
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}
