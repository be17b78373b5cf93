"""Points that are asked for and whose motion is given: clamps stay, drives go where they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.giorom.body import Body
from meshlearn.ops import knn


class Given:
    """Puts points whose motion is given in their places; they do not follow nodes.

    now      (n_points, dim) float64 present places of the body
    asked    the mesh that is asked for; `is_body`: the body at rest itself, else placed at rest (solid) or at present
    fixed    names of sets; of a query that is not the body those it has count

    index    numbers of such points in `asked`; rest, present their places, those of a query as near points of the body
    """

    def __init__(
        self, body: Body, now: Float[Tensor, "n dim"], asked: Mesh, is_body: bool, solid: bool, fixed: Sequence[str]
    ) -> None:
        held = body.held.clone() if is_body else torch.zeros(asked.n_points, dtype=torch.bool)
        if not is_body and bool(body.held.any()):
            for name in fixed:
                if name in asked.point_sets or name in asked.cell_sets:
                    held[tagged_points(asked, name)] = True
        self.index = held.nonzero()[:, 0]
        self.rest = self.present = asked.points.double().index_select(0, self.index)
        if not len(self.index):
            return
        numbers = body.held.nonzero()[:, 0]
        rest, now = body.rest.points.double().index_select(0, numbers), now.index_select(0, numbers)
        at_rest = solid or is_body
        nearest = knn(rest if at_rest else now, self.rest, 1)[1][:, 0]
        moved = (now - rest).index_select(0, nearest)
        if at_rest:
            self.present = self.rest + moved
        else:
            self.rest = self.present - moved

    def __call__(
        self, points: Float[Tensor, "m dim"], aim: Callable[[Tensor], Tensor] | None
    ) -> Float[Tensor, "m dim"]:
        """Carried places with these points in theirs: led by `aim` from their places at rest, or where they are."""
        if not len(self.index):
            return points
        places = self.present if aim is None else aim(self.rest)
        return points.index_copy(0, self.index, places.to(points.dtype))
