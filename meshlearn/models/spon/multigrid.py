"""`SPONMultigrid`: operator networks on a hierarchy of spaces, with most of the network on the coarsest.

Paper: N. Bouziani, N. Boulle 2024, arXiv:2410.01065 (SPON-MG). Implemented: restriction and prolongation of dofs by the
transfers of a finite-element hierarchy, a large message-passing network on the coarsest level and light ones on the
finer levels, skips on the way up.

Departures, and why: the coarse spaces are the nested ones where the mesh shows to be a uniform refinement, and
smoothed aggregates of the stiffness matrix elsewhere, so that nothing but the mesh is needed; levels are counted from
the coarsest, so that a refined mesh has the same coarse levels; every level has a decoder of its own and the output is
the sum of their prolonged values, as in a multigrid cycle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.models.spon import arguments
from meshlearn.models.spon.discretisation import NODAL, Discretisation
from meshlearn.models.spon.levels import METHODS, Level, coarse_levels
from meshlearn.models.spon.model import SPON
from meshlearn.models.spon.multigrid_network import MultigridNetwork
from meshlearn.models.spon.sample import CoarseDofs
from meshlearn.train.fields import FieldSet


class SPONMultigrid(SPON):
    """`SPON` with a processor on several levels; arguments not listed here are those of `SPON`.

    output_element  one with values at points or means in cells: not RT0 or N1
    hidden, steps   width and steps, on each way, of the finer levels
    coarse_hidden, coarse_steps  of the coarsest level
    levels          number of levels, the finest included
    coarse_dofs     the coarsest level has at most so many dofs
    coarsening      "nested" (the mesh must be a uniform refinement for levels to be there), "aggregation", or "auto"

    >>> mesh = ml.shapes.square(n=8)
    >>> mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points.prod(dim=1))
    >>> model = ml.SPONMultigrid(["f"], ["u"], hidden=8, steps=1, coarse_hidden=8, coarse_steps=1, coarse_dofs=20)
    >>> model.fit(mesh, epochs=1, progress=False).predict(mesh).point_data["u"].shape
    torch.Size([81])
    """

    coarse_hidden: int
    coarse_steps: int
    levels: int
    coarse_dofs: int
    coarsening: str

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        input_element: str | Mapping[str, str] = "P1",
        output_element: str = "P1",
        encoder: str = "auto",
        hidden: int = 32,
        steps: int = 2,
        coarse_hidden: int = 128,
        coarse_steps: int = 6,
        levels: int = 3,
        coarse_dofs: int = 100,
        coarsening: str = "auto",
        dirichlet: Mapping[str, Any] | None = None,
        conserve: Mapping[str, str] | None = None,
        loss: str = "L2",
        h1_weight: float = 1.0,
        distances: bool = True,
        coordinates: str = "centred",
        optimizer: str = "muon",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.input_element = input_element
        self.output_element = output_element
        self.encoder = encoder
        self.hidden = hidden
        self.steps = steps
        self.coarse_hidden = coarse_hidden
        self.coarse_steps = coarse_steps
        self.levels = levels
        self.coarse_dofs = coarse_dofs
        self.coarsening = coarsening
        self.dirichlet = dirichlet
        self.conserve = conserve
        self.loss = loss
        self.h1_weight = h1_weight
        self.distances = distances
        self.coordinates = coordinates
        self.optimizer = optimizer

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; raises ParameterError for arguments that cannot be."""
        arguments.check(self, fields)
        for name in ("coarse_hidden", "coarse_steps"):
            arguments.at_least(name, getattr(self, name), 1)
        return MultigridNetwork(
            self.normalizers_.sizes["features"],
            self._widths(fields),
            self.hidden,
            self.steps,
            self.coarse_hidden,
            self.coarse_steps,
            self.levels,
        )

    def _coarse(self, disc: Discretisation, dof_inputs: Tensor, n_fields: int) -> tuple[CoarseDofs, ...]:
        """Coarser levels: fields are restricted, flags and coordinates are those of the dofs that were kept."""
        arguments.at_least("levels", self.levels, 2)
        arguments.at_least("coarse_dofs", self.coarse_dofs, 1)
        arguments.one_of("coarsening", self.coarsening, METHODS)
        if disc.element not in NODAL:
            raise ParameterError(
                f"output_element={disc.element!r} has no coarse spaces here; choose one of {', '.join(NODAL)}, or use "
                "SPON without levels."
            )
        key = ("levels", self.levels, self.coarse_dofs, self.coarsening)
        if key not in disc.kept:
            disc.kept[key] = coarse_levels(disc, self.levels, self.coarse_dofs, self.coarsening)
        made, values = [], dof_inputs[:, :n_fields]
        for level in disc.kept[key]:
            values = level.restriction @ values
            made.append(_coarse_dofs(level, torch.cat([values, ops.gather(dof_inputs[:, n_fields:], level.picked)], 1)))
        return tuple(made)


def _coarse_dofs(level: Level, inputs: Tensor) -> CoarseDofs:
    up, down = level.prolongation, level.restriction
    return CoarseDofs(
        dof_inputs=inputs,
        edges=level.graph.edges,
        edge_features=level.graph.features,
        up=up.adjacency,
        up_values=up.values,
        down=down.adjacency,
        down_values=down.values,
    )
