"""`MeshGraphNet`: learned simulation by message passing on the edges of a mesh, on one or several levels.

The mesh is encoded as a graph (fields, boundary flags and distances at points, relative positions on edges), latents
are passed along its edges several times, and fields at points, on cells or of the whole mesh are decoded. It works on
any mesh or point cloud, for steady fields and for time steps on a `Trajectory`.

Papers: T. Pfaff, M. Fortunato, A. Sanchez-Gonzalez, P. Battaglia 2021, "Learning mesh-based simulation with graph
networks", arXiv:2010.03409: encoder, processor (their eq. 1 and section 3.2: e' = f(e, v_i, v_j), v' = f(v, sum e'),
residual, MLPs with LayerNorm), relative encoding of mesh-space and world-space positions, training noise with
corrected targets (appendix A.2.2), and increments integrated forward in time. Levels: M. Fortunato, T. Pfaff,
P. Wirnsberger, A. Pritzel, P. Battaglia 2022, "MultiScale MeshGraphNets", arXiv:2210.00612 (learned up- and
down-sampling edges, section 3.2); M. Lino, C. Cantwell, A. Bharath, S. Fotiadis 2021, "Simulating continuum mechanics
with multi-scale graph neural networks", arXiv:2106.04900 (a U-shaped pass over levels).

Departures, and why:
- coarse graphs are made from the mesh itself by aggregation (`coarsening.py`), not meshed anew or laid out as grids:
  nothing but the mesh is needed, and thin gaps stay gaps;
- a context latent of the whole mesh takes global inputs and carries global outputs: loads and material numbers are
  common on engineering meshes and absent from the paper;
- distances to the boundary and centred coordinates are inputs by default: with a few hundred meshes, and minutes of
  training, they are worth more than depth. `distances=False, coordinates="none"` gives the paper's inputs;
- no "world edges" between points that come close in space (contact);
- Muon (`meshlearn.nn.muon`) instead of Adam: a lower training loss after the same 2000 steps on plates with holes
  (one seed);
- a loss that is a relative error (for steady fields, the reported one), and outputs scaled by a learned amplitude
  of the whole mesh;
- SiLU instead of ReLU, one hidden layer instead of two (`mlp_layers=2, activation="relu"` is the paper's choice);
- the first linear layer of the edge MLP is applied before the gather, and layers are computed block by block with
  recomputation (`meshlearn.nn.fused`): the same function at a fraction of the time and memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.geometric_inputs import boundary_features, centred, check_patterns
from meshlearn.models.meshgraphnet import geometry
from meshlearn.models.meshgraphnet.arguments import check_build, check_graphs
from meshlearn.models.meshgraphnet.network import GraphNetwork
from meshlearn.models.meshgraphnet.noise import add_noise
from meshlearn.models.meshgraphnet.sample import TRANSFERS, CoarseGraph, MultilevelSample
from meshlearn.nn.muon import Muon
from meshlearn.ops import Adjacency
from meshlearn.train.field_network import FieldNetworkEstimator
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import cells_to_points, measure_weights, row_counts
from meshlearn.train.relative_loss import physical_zeros
from meshlearn.train.sample import Sample


class MeshGraphNet(FieldNetworkEstimator):
    """Encode, process, decode on the graph of a mesh.

    inputs, outputs    names of fields in point_data, cell_data or global_data; a name in both is stepped in time
    hidden             width of all latents
    steps              message-passing steps on the points
    levels             1: the mesh only; more: with coarser graphs, which carry information far. It is the most there
                       are: graphs of so few points that no edge is left are of no use (see `levels_`)
    coarse_steps       steps on every coarser level; None: as many as `steps`
    mlp_layers         hidden layers of every MLP
    activation         "silu", "relu" or "gelu"
    aggregation        "sum" or "mean" of the messages at a point
    context            a latent of the whole mesh that all points read (always on with global inputs)
    processor          "interaction", or the name of a convolution of torch_geometric.nn such as "GATv2Conv"
    processor_options  arguments of that convolution
    boundary_sets      names or patterns ("left", "hole_*") of point or cell sets: flags, and distances, as inputs.
                       A pattern may match nothing on some meshes, but must on one of the training.
                       The flag of the whole boundary is always an input
    distances          distance to the boundary and to each boundary set as inputs, and the outward direction of the
                       mesh at the nearest point of each
    coordinates        "centred" (from the centre of mass: translations change nothing), "absolute" or "none"
    displacement       name of a point input (n_points, dim) that moves the points: edges then carry relative positions
                       of both the mesh as it is (reference) and the moved one (current)
    k                  neighbours per point where a mesh has no cells
    noise              standard deviation of the training noise on the point fields that are stepped in time, in units
                       of each field's standard deviation
    fused, recompute   block-wise kernels, and whether they keep nothing for the backward; see `meshlearn.nn.MLP`
    optimizer          "muon" or "adamw"
    loss               "relative": the relative error, on each mesh, of what the network learns, so that meshes with
                       small values count as much. That is what `score` reports, except in time steps, where the error
                       is relative to the change and `score` relative to the new value, and for fields whose mean is
                       more than three times their spread (kelvins), whose errors are compared with the spread; or
                       "mse", "mae", "huber" of normalised values

    After `fit`: `levels_`, the number of levels of the network: `levels`, or as many as the training mesh with the most
    levels has edges on, so that no part of the network stays untrained. A mesh to predict on that is smaller, and runs
    out of edges sooner, goes through the same levels; the coarsest of them then are single points without messages.

    When an output is also an input, the network learns the change from one frame of a `Trajectory` to the next, and
    `rollout` repeats it. Distances and differences are normalised by their spread over the training meshes.

    >>> meshes = [ml.shapes.square(n=n) for n in (3, 4)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]
    >>> model = ml.MeshGraphNet([], ["u"], hidden=8, steps=2).fit(meshes, epochs=1, progress=False)
    >>> model.predict(ml.shapes.square(n=5)).point_data["u"].shape
    torch.Size([36])
    """

    hidden: int
    steps: int
    levels: int
    levels_: int
    coarse_steps: int | None
    mlp_layers: int
    activation: str
    aggregation: str
    context: bool
    processor: str
    processor_options: dict[str, Any] | None
    boundary_sets: Sequence[str]
    distances: bool
    coordinates: str
    displacement: str | None
    k: int
    noise: float
    fused: bool
    recompute: bool | None
    optimizer: str

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        hidden: int = 64,
        steps: int = 4,
        levels: int = 3,
        coarse_steps: int | None = None,
        mlp_layers: int = 1,
        activation: str = "silu",
        aggregation: str = "sum",
        context: bool = True,
        processor: str = "interaction",
        processor_options: dict[str, Any] | None = None,
        boundary_sets: Sequence[str] = (),
        distances: bool = True,
        coordinates: str = "centred",
        displacement: str | None = None,
        k: int = 8,
        noise: float = 0.0,
        fused: bool = True,
        recompute: bool | None = None,
        optimizer: str = "muon",
        loss: str = "relative",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.hidden = hidden
        self.steps = steps
        self.levels = levels
        self.coarse_steps = coarse_steps
        self.mlp_layers = mlp_layers
        self.activation = activation
        self.aggregation = aggregation
        self.context = context
        self.processor = processor
        self.processor_options = processor_options
        self.boundary_sets = boundary_sets
        self.distances = distances
        self.coordinates = coordinates
        self.displacement = displacement
        self.k = k
        self.noise = noise
        self.fused = fused
        self.recompute = recompute
        self.optimizer = optimizer
        self.loss = loss

    # -- the network -----------------------------------------------------------------------------------------------

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; raises ParameterError for arguments that cannot be."""
        check_build(self, fields)
        return GraphNetwork(
            self.normalizers_.sizes["features"],
            {location: fields.width("outputs", location) for location in fields.output_locations},
            hidden=self.hidden,
            steps=self.steps,
            levels=self.levels_,
            coarse_steps=self.steps if self.coarse_steps is None else self.coarse_steps,
            context=self.context,
            layers=self.mlp_layers,
            activation=self.activation,
            aggregation=self.aggregation,
            processor=self.processor,
            processor_options=dict(self.processor_options or {}),
            fused=self.fused,
            recompute=self.recompute,
            zeros={location: physical_zeros(known) for location, known in self.normalizers_.targets.items()},
        )

    def settle(self) -> None:
        """Set `levels_`, and drop the statistics of levels without edges."""
        features = self.normalizers_.features
        with_edges = [n for n in range(1, self.levels) if features[f"edge_features_{n}"].seen]
        self.levels_ = 1 + max(with_edges, default=0)
        for number in range(self.levels_, self.levels):
            for kind in TRANSFERS:
                del features[f"{kind}_features_{number}"]

    def check_sets(self, names: set[str]) -> None:
        """Raise FieldError for a pattern of `boundary_sets` that no training mesh matches."""
        check_patterns(self.boundary_sets, names)

    def collate(self, samples: Sequence[Sample]) -> Sample:
        """Samples of several meshes as one batch, with the levels that the network has."""
        return super().collate([_with_levels(sample, self.levels_) for sample in samples])

    def prepare(self, mesh: Mesh) -> MultilevelSample:
        """Graphs of all levels and features, in physical units."""
        check_graphs(self)
        fields = self.fields_
        levels = geometry.hierarchy(mesh, getattr(self, "levels_", self.levels), self.k)
        weights = measure_weights(mesh, "point")
        columns = [fields.table(mesh, "inputs", "point", exact=True)]
        cell_points = cell_inputs = None
        if fields.at("inputs", "cell") or fields.at("outputs", "cell"):
            cell_points = mesh.topology.point_cells.transpose()[0]
            cell_inputs = fields.table(mesh, "inputs", "cell", exact=True)
            if cell_inputs.shape[1]:
                columns.append(cells_to_points(mesh, cell_inputs))
        columns.append(boundary_features(mesh, self.boundary_sets, self.distances, normals=self.distances))
        points = mesh.points.detach()
        if self.coordinates != "none":
            columns.append(points if self.coordinates == "absolute" else centred(points, weights))
        moved = points + self._displacement(mesh) if self.displacement is not None else None
        graphs = self._graphs(levels, points, moved)
        return MultilevelSample(
            counts=row_counts(mesh),
            points=points,
            point_inputs=torch.cat(columns, dim=1),
            global_inputs=fields.table(mesh, "inputs", "global", exact=True),
            adjacency=levels.graph,
            edge_features=graphs[0],
            cell_points=cell_points,
            cell_inputs=cell_inputs,
            meshes=_one_mesh(len(points), points.device),
            point_weights=weights,
            coarse=tuple(graphs[1:]),
        )

    def _graphs(self, levels: geometry.Hierarchy, points: Tensor, moved: Tensor | None) -> list[Any]:
        """[edge features of the mesh, coarse graph 1, coarse graph 2, …]."""
        layouts = [levels.positions(points)] + ([] if moved is None else [levels.positions(moved)])

        def features(graph: Adjacency, senders: int, receivers: int) -> Tensor:
            return torch.cat([geometry.offsets(at[senders], at[receivers], graph) for at in layouts], dim=1)

        coarse = [
            CoarseGraph(
                level.edges,
                level.down,
                level.up,
                _one_mesh(len(level.points), points.device),
                features(level.edges, n, n),
                features(level.down, n - 1, n),
                features(level.up, n, n - 1),
            )
            for n, level in enumerate(levels.coarse, start=1)
        ]
        return [features(levels.graph, 0, 0), *coarse]

    def _displacement(self, mesh: Mesh) -> Tensor:
        spec = next((spec for spec in self.fields_.at("inputs", "point") if spec.name == self.displacement), None)
        if spec is None or spec.size != self.fields_.dim:
            raise ParameterError(
                f"displacement={self.displacement!r} must name a point input with {self.fields_.dim} components; "
                f"the point inputs are {[(s.name, s.shape) for s in self.fields_.at('inputs', 'point')]}."
            )
        return spec.values(mesh).to(mesh.points.dtype).detach()

    def build_optimizer(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """Muon for the hidden matrices and AdamW for the rest, or AdamW for all, in one fused pass."""
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": weight_decay, "muon": self.optimizer == "muon"},
            {"params": [], "weight_decay": weight_decay, "muon": False},
            {"params": [], "weight_decay": 0.0, "muon": False},
        ]
        for parameter in module.parameters():
            hidden = parameter.ndim == 2 and min(parameter.shape) >= 8
            groups[0 if hidden else 1 if parameter.ndim > 1 else 2]["params"].append(parameter)
        return Muon([group for group in groups if group["params"]], lr=learning_rate)

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and normalisers as tensors; widths, levels and history as data."""
        tensors, meta = super().get_state()
        return tensors, {**meta, "levels": self.levels_}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`; models of schema 1 had all the levels they were asked for."""
        self.levels_ = int(meta.get("levels", self.levels))
        super().set_state(tensors, meta)

    # -- time steps ------------------------------------------------------------------------------------------------

    def augment(self, batch: MultilevelSample) -> MultilevelSample:  # type: ignore[override]
        """The batch with noise on the fields that are stepped in time, and targets that undo it."""
        if not self.noise:
            return batch
        return add_noise(batch, self.fields_, self.normalizers_, self.noise, self.displacement)


def _with_levels(sample: Any, levels: int) -> Any:
    """The sample with no more than so many levels, the finest being the mesh itself."""
    return sample if len(sample.coarse) < levels else sample.replace(coarse=sample.coarse[: levels - 1])


def _one_mesh(n: int, device: torch.device) -> Adjacency:
    """Row 0 holds all n points."""
    return Adjacency(torch.tensor([0, n], device=device), torch.arange(n, device=device), n)
