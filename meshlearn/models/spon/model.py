"""`SPON`: structure-preserving operator networks, from fields to fields through finite-element spaces.

Input fields become degrees of freedom of a finite-element space (interpolation or L2 projection, no weights), message
passing on the graph of the dofs maps them to dofs of the output space, which are a function again. Boundary values hold
to the last bit, errors are measured in the norms of the spaces, and the output is known everywhere, not at points only.

Paper: N. Bouziani, N. Boulle 2024, "Structure-preserving operator learning", arXiv:2410.01065. Implemented: the
operator S = D o P o E with E and D from the finite-element discretisation and a learned P: R^n -> R^m on dofs, spaces
of other degree and element for inputs and outputs, exact Dirichlet conditions by overwriting dofs, a loss in the norm
of the output space, and the multigrid variant (`SPONMultigrid`).

Departures, and why:
- input and output live on the same mesh (with spaces of different elements);
- the features of nodes and edges are our choice: values, flags, distances, offsets over the local spacing, and the
  entries of the mass and the stiffness matrix scaled by their diagonals. They do not change under uniform refinement;
- after each step dofs exchange means over a learned partition of unity, weighted by the mass matrix (`mixing.py`).
  Messages alone travel one cell per step, while the Green's function of an elliptic problem is global. `parts=0`
  leaves it out and is plain message passing;
- dofs of facets and edges (RT0, N1) are read as vectors along their direction and written as components along it, so
  that orientation signs, which are conventions, change nothing;
- optional conservation: the nearest function in L2 with a known integral, or with a known divergence in every cell;
- Muon instead of Adam, as in `MeshGraphNet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.spon import arguments
from meshlearn.models.spon.boundary import Prescribed, parts_of, prescribe
from meshlearn.models.spon.conservation import check_conserve, conserve_field
from meshlearn.models.spon.discretisation import Discretisation, discretise
from meshlearn.models.spon.features import (
    geometric_features,
    graph_of,
    other_dofs,
    prescribed_features,
    row_counts,
    shares,
)
from meshlearn.models.spon.loss import norm_losses
from meshlearn.models.spon.network import DofNetwork
from meshlearn.models.spon.sample import CoarseDofs, DofSample
from meshlearn.models.spon.transfer import decode, encode
from meshlearn.nn.muon import Muon
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.items import hide_fields
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.sample import Sample


class SPON(NetworkEstimator):
    """Encode to dofs, pass messages on the graph of dofs, decode to a function.

    inputs, outputs  names of fields; inputs at points, on cells or of the whole mesh, outputs at points or on cells
    input_element    element that inputs become dofs of: "P0", "P1", "P2", "P3", "P4", "S2", "CR", and for vectors "RT0"
                     and "N1"; or a dictionary by the name of the field
    output_element   the same for all outputs
    encoder          "interpolate", "project" (L2) or "auto": cell fields are projected, point fields interpolated
    hidden, steps    width of the latents, message-passing steps
    parts            functions of the learned partition of unity for exchange over the whole mesh; 0: none
    dirichlet        {where: value}: prescribed values, `where` "boundary", a set or a pattern, `value` a number, a list
                     of numbers (None: free), or the name of a point or global field that is on every mesh. With several
                     outputs {output: {where: value}}
    conserve         {output: name}: a global field that is the integral of the output, or, for an output in RT0, a cell
                     field that is its divergence in each cell. Applied to predictions
    loss             "L2" or "H1": relative error in this norm, of each field on each mesh; of fields whose mean is more
                     than three times their spread, the error is compared with the spread
    h1_weight        factor of the gradient term; 1 is the H1 norm in units of the size of the mesh
    distances        distance to the boundary as a feature
    coordinates      "centred", "absolute" or "none"
    optimizer        "muon" or "adamw"

    Meshes have one kind of first-order cell each. What depends on the geometry is made once per mesh and shared by all
    meshes made from it with other fields. `predict` gives the output at points or cells; `predict_dofs` its dofs.

    >>> mesh = ml.shapes.square(n=4)
    >>> mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points.prod(dim=1))
    >>> model = ml.SPON(["f"], ["u"], hidden=8, steps=1, parts=2, dirichlet={"boundary": "u0"})
    >>> model = model.fit(mesh.with_point_data(u0=mesh.points.prod(dim=1)), epochs=1, progress=False)
    >>> pred = model.predict(mesh.with_point_data(u0=mesh.points[:, 1]))
    >>> torch.equal(pred.point_data["u"][mesh.boundary_points], mesh.points[mesh.boundary_points, 1])
    True
    """

    input_element: Any
    output_element: str
    encoder: str
    hidden: int
    steps: int
    parts: int
    dirichlet: Any
    conserve: Any
    h1_weight: float
    distances: bool
    coordinates: str
    optimizer: str

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        input_element: str | Mapping[str, str] = "P1",
        output_element: str = "P1",
        encoder: str = "auto",
        hidden: int = 64,
        steps: int = 6,
        parts: int = 16,
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
        self.parts = parts
        self.dirichlet = dirichlet
        self.conserve = conserve
        self.loss = loss
        self.h1_weight = h1_weight
        self.distances = distances
        self.coordinates = coordinates
        self.optimizer = optimizer

    # -- the network -----------------------------------------------------------------------------------------------

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; raises ParameterError for arguments that cannot be."""
        arguments.check(self, fields)
        arguments.at_least("parts", self.parts, 0)
        sizes = self.normalizers_.sizes["features"]
        return DofNetwork(sizes, self._widths(fields), self.hidden, self.steps, self.parts)

    def prepare(self, mesh: Mesh) -> DofSample:
        """Dofs of the inputs, graphs and matrices, in physical units."""
        fields = self.fields_
        arguments.check(self, fields)
        check_conserve(self.conserve, fields)
        disc = discretise(mesh, self.output_element)
        graph = graph_of(disc)
        given = {spec: self._prescribed(mesh, spec, disc) for spec in fields.outputs}
        columns, others = self._encoded(mesh, disc)
        n_fields = sum(table.shape[1] for table in columns)
        if self.dirichlet:
            columns.append(prescribed_features(list(given.values()), disc))
        columns.append(geometric_features(disc, self.coordinates, self.distances))
        dof_inputs = torch.cat(columns, dim=1)
        size = disc.functionals[1][:, None] if disc.directed else 1.0
        at = {
            location: [given[spec] for spec in fields.at("outputs", location)] for location in fields.output_locations
        }
        h1 = self.loss == "H1"
        length = disc.measure ** (2.0 / mesh.dim) * self.h1_weight / disc.measure
        return DofSample(
            counts=row_counts(mesh, disc),
            dof_inputs=dof_inputs,
            edges=graph.edges,
            edge_features=graph.features,
            mass_diagonal=graph.mass_diagonal / disc.measure,
            mass_edges=graph.mass_edges / disc.measure,
            stiffness_diagonal=graph.stiffness_diagonal * length if h1 else None,
            stiffness_edges=graph.stiffness_edges * length if h1 else None,
            share=shares(disc),
            direction=disc.functionals[0] if disc.directed else None,
            fixed={place: torch.cat([entry.fixed for entry in entries], 1).double() for place, entries in at.items()},
            values={place: torch.cat([entry.values for entry in entries], 1) / size for place, entries in at.items()},
            others=others,
            coarse=self._coarse(disc, dof_inputs, n_fields),
        )

    def _encoded(self, mesh: Mesh, disc: Discretisation) -> tuple[list[Tensor], dict[str, Any]]:
        """(tables of the inputs in the output space and of global inputs, inputs in other spaces)."""
        fields = self.fields_
        elements = arguments.input_elements(self.input_element, fields)
        tables: dict[str, list[Tensor]] = {}
        here = []
        for spec in fields.inputs:
            values = spec.values(mesh)
            if spec.location == "global":
                here.append(values.double().expand(disc.n, -1))
                continue
            source = discretise(mesh, elements[spec.name])
            source.columns(spec.size, spec.name)
            dofs = source.spread(encode(source, values, spec.location, self.encoder))
            if source.element == disc.element:
                here.append(dofs)
            else:
                tables.setdefault(source.element, []).append(dofs)
        others = {
            element: other_dofs(disc, discretise(mesh, element), torch.cat(parts, dim=1))
            for element, parts in sorted(tables.items())
        }
        return here, others

    def _coarse(self, disc: Discretisation, dof_inputs: Tensor, n_fields: int) -> tuple[CoarseDofs, ...]:
        """Coarser levels; none here."""
        return ()

    def _prescribed(self, mesh: Mesh, spec: FieldSpec, disc: Discretisation) -> Prescribed:
        parts = parts_of(self.dirichlet, self.fields_).get(spec.name, {})
        return prescribe(mesh, spec, parts, disc)

    @staticmethod
    def _widths(fields: FieldSet) -> dict[str, int]:
        return {location: fields.width("outputs", location) for location in fields.output_locations}

    def build_optimizer(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """Muon for the hidden matrices and AdamW for the rest, or AdamW for all."""
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": weight_decay, "muon": self.optimizer == "muon"},
            {"params": [], "weight_decay": weight_decay, "muon": False},
            {"params": [], "weight_decay": 0.0, "muon": False},
        ]
        for parameter in module.parameters():
            hidden = parameter.ndim == 2 and min(parameter.shape) >= 8
            groups[0 if hidden else 1 if parameter.ndim > 1 else 2]["params"].append(parameter)
        return Muon([group for group in groups if group["params"]], lr=learning_rate)

    # -- training --------------------------------------------------------------------------------------------------

    def make_sample(self, source: Mesh, target: Mesh) -> Sample:
        """The training sample of one mesh: `prepare`, and the dofs of the truth."""
        sample = self.prepare(hide_fields(source, self.fields_.hidden_names))
        weights = dict.fromkeys(self.fields_.output_locations, sample.share)
        return sample.replace(targets=self.targets(source, target), weights=weights)

    def targets(self, source: Mesh, target: Mesh) -> dict[str, Tensor]:
        """Spread dofs of the outputs, which the network learns."""
        disc = discretise(target, self.output_element)
        tables: dict[str, list[Tensor]] = {location: [] for location in self.fields_.output_locations}
        for spec in self.fields_.outputs:
            disc.columns(spec.size, spec.name)
            dofs = encode(disc, spec.values(target), spec.location, self.encoder)
            tables[spec.location].append(disc.spread(dofs))
        return {location: torch.cat(parts, dim=1) for location, parts in tables.items()}

    def sample_losses(self, outputs: dict[str, Tensor], batch: DofSample) -> Tensor:  # type: ignore[override]
        """(n_meshes,) relative errors in the norm of the space."""
        return norm_losses(outputs, batch, self.fields_, self.normalizers_)

    # -- predictions -----------------------------------------------------------------------------------------------

    def decode(self, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fields at points and cells from what the network gave for the dofs."""
        disc = discretise(mesh, self.output_element)
        dofs = self._dofs(mesh, tables, disc)
        return {
            location: torch.cat(
                [decode(disc, dofs[spec], location) for spec in self.fields_.at("outputs", location)], 1
            )
            for location in tables
        }

    def _dofs(self, mesh: Mesh, tables: dict[str, Tensor], disc: Discretisation) -> dict[FieldSpec, Tensor]:
        """(n, columns) float64 dofs of every output: prescribed values and conservation hold."""
        found = {}
        for location, table in tables.items():
            specs = self.fields_.at("outputs", location)
            for spec, part in zip(specs, table.double().split([spec.size for spec in specs], dim=1), strict=True):
                given = self._prescribed(mesh, spec, disc)
                dofs = given.impose(disc.collect(part))
                known = (self.conserve or {}).get(spec.name)
                if known is not None:
                    dofs = conserve_field(dofs, mesh, spec, known, disc, given)
                found[spec] = dofs
        return found

    @torch.no_grad()
    def predict_dofs(self, mesh: Mesh) -> dict[str, Tensor]:
        """{output: dofs (n_dofs,) or (n_dofs, n_components)} on one mesh, float64, in the numbering of
        `ml.fem.FESpace(mesh, output_element)`."""
        self.check_fitted("predict_dofs")
        self.fields_.check(mesh, roles=("inputs",))
        mesh = hide_fields(mesh, self.fields_.hidden_names)
        batch = self.normalizers_.normalise(self.prepare(mesh).to(self.device, self.dtype))
        tables = self.normalizers_.physical(self.network(self.module_, batch))
        tables = {location: table.to(mesh.device) for location, table in tables.items()}
        dofs = self._dofs(mesh, tables, discretise(mesh, self.output_element))
        return {spec.name: table[:, 0] if table.shape[1] == 1 else table for spec, table in dofs.items()}
