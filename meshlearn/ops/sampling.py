"""Choosing a spread-out subset of points."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops.arguments import need_finite, need_tensor


def farthest_point_sampling(
    points: Float[Tensor, "n_points dim"], n: int, start: int | None = None
) -> Int64[Tensor, " n"]:
    """Indices (n,) of points, each the farthest from all chosen before it; all different, also among equal points.

    - start: index of the first; the point farthest from the mean when left out, so that the choice does not depend on
      the order of the points (ties aside).

    Cost O(n n_points); the points are checked first, and the host then waits for nothing. Raises ParameterError when n
    is negative or above n_points, MeshError for points that are not finite.

    >>> ml.ops.farthest_point_sampling(torch.tensor([[0.0], [1.0], [4.0], [9.0]]), 3)
    tensor([3, 0, 2])
    """
    need_tensor("points", points)
    n_points = points.shape[0]
    if not 0 <= n <= n_points:
        raise ParameterError(f"cannot choose {n} of {n_points} points: n must lie in [0, {n_points}]")
    if start is not None and not 0 <= start < n_points:
        raise ParameterError(f"start is {start}, but must be the index of a point, in [0, {n_points})")
    chosen = torch.empty(n, dtype=torch.int64, device=points.device)
    if n == 0:
        return chosen
    need_finite("points", points)
    points = points.detach()
    columns = points.T.contiguous()  # one coordinate after the other: the loop reads whole lines
    if start is None:
        last = (points - points.mean(0)).square().sum(1).argmax().reshape(1)
    else:
        last = torch.tensor([start], device=points.device)
    nearest = points.new_full((n_points,), float("inf"))
    distance, work = torch.empty_like(nearest), torch.empty_like(nearest)
    for i in range(n):
        chosen[i : i + 1] = last
        distance.zero_()
        for column in columns:
            torch.sub(column, column.index_select(0, last), out=work)
            distance.addcmul_(work, work)
        torch.minimum(nearest, distance, out=nearest)
        nearest.index_fill_(0, last, -1.0)
        last = nearest.argmax().reshape(1)
    return chosen
