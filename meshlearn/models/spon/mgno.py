"""`MgNO`: an operator network whose layers are multigrid cycles on the mesh itself.

Paper: J. He, X. Liu, J. Xu 2024, "MgNO: efficient parameterization of linear operators via multigrid",
arXiv:2310.19809: u <- act(W u + B u), W a V-cycle whose smoothers are learned, B a map of channels. Theirs is for
regular grids (`ml.GridOperator(core="mgno")`); here the cycles run on the dofs of a finite-element space.

Departures, and why:
- smoothers and operators are kernels on the graph of the stiffness matrix, with its entries and those of the mass
  matrix as features, in place of 3 x 3 convolutions: with the entries as they are, a layer is geometric multigrid;
- values go between levels by the prolongation of the nested or aggregated spaces and by the means that belong to it,
  of which nothing is learned; channels by learned maps;
- inputs are lifted to channels first, since they may live in other spaces than the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

from torch import nn

from meshlearn.models.spon import arguments
from meshlearn.models.spon.cycles import CycleNetwork
from meshlearn.models.spon.multigrid import SPONMultigrid
from meshlearn.train.fields import FieldSet
from meshlearn.train.option_checks import flag


class MgNO(SPONMultigrid):
    """Layers that are learned multigrid cycles on a hierarchy of spaces; other arguments are those of `SPONMultigrid`.

    hidden        channels
    layers        cycles, one after the other
    steps         smoothings on every level but the coarsest, on each way
    coarse_steps  smoothings on the coarsest level
    residual      coarser levels see what is left to correct, f - A u, instead of f

    >>> mesh = ml.shapes.square(n=8)
    >>> mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points.prod(dim=1))
    >>> model = ml.MgNO(["f"], ["u"], hidden=8, layers=1, coarse_steps=1, coarse_dofs=20)
    >>> model.fit(mesh, epochs=1, progress=False).predict(mesh).point_data["u"].shape
    torch.Size([81])
    """

    layers: int
    residual: bool

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        input_element: str | Mapping[str, str] = "P1",
        output_element: str = "P1",
        encoder: str = "auto",
        hidden: int = 32,
        layers: int = 3,
        steps: int = 1,
        coarse_steps: int = 4,
        levels: int = 3,
        coarse_dofs: int = 100,
        coarsening: str = "auto",
        residual: bool = False,
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
        self.layers = layers
        self.steps = steps
        self.coarse_steps = coarse_steps
        self.levels = levels
        self.coarse_dofs = coarse_dofs
        self.coarsening = coarsening
        self.residual = residual
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
        for name in ("layers", "coarse_steps"):
            arguments.at_least(name, getattr(self, name), 1)
        return CycleNetwork(
            self.normalizers_.sizes["features"],
            self._widths(fields),
            self.hidden,
            self.layers,
            self.steps,
            self.coarse_steps,
            self.levels,
            flag("residual", self.residual),
        )
