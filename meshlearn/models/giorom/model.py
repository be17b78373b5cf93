"""`GIOROM`: simulate all points of a body at the price of a few.

A sparse set of material points is stepped in time by a graph network with a neural-operator block, and all other points
follow them. Paper: S. Viswanath, Y. Chang, J. Berner, P. Y. Chen, A. Bera, "Reduced-Order Neural Operators: Learning
Lagrangian Dynamics on Highly Sparse Graphs", arXiv:2407.03925: interaction layers on a sparse radius graph, a graph
kernel to a latent grid, attention, and back, accelerations from a history of velocities. Inputs, targets and noise are
those of A. Sanchez-Gonzalez et al. 2020, "Learning to simulate complex physics with graph networks", arXiv:2002.09405.

Departures, and why:
- reconstruction by moving least squares on the body at rest, not by a learned integral transform: it is exact for
  affine motions, costs one sparse product per frame, and its error is known apart from that of the stepper. What is
  learned of it, if asked for, are its weights and a correction that vanishes for affine motions;
- solids keep the graph of the body at rest, and their edges carry offsets at rest and at present (as the mesh edges of
  Pfaff et al. 2021): together they are strain, without which a body forgets its shape;
- the number of nodes varies in training, so that it may be changed afterwards without training again; sums over nodes
  are weighted by the share of the body that each stands for;
- the latent grid is centred on the body, and kernels see offsets only (see `latent_grid.py`);
- gravity is known, and taken off what is learned; nodes whose motion is given are told where they go;
- one scale for all directions, of all training windows together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom import evaluation
from meshlearn.models.giorom.arguments import check_arguments
from meshlearn.models.giorom.constants import settled
from meshlearn.models.giorom.film import Film, Reading, kind_values
from meshlearn.models.giorom.gated import GatedStepper
from meshlearn.models.giorom.horizons import horizon_weights
from meshlearn.models.giorom.learned_reconstruction.fit import learn_reconstruction
from meshlearn.models.giorom.learned_reconstruction.learned import LearnedReconstruction
from meshlearn.models.giorom.learned_reconstruction.stored import stored_reconstruction
from meshlearn.models.giorom.network import Scales, Stepper
from meshlearn.models.giorom.noise import add_noise, turned
from meshlearn.models.giorom.rollout import roll_out
from meshlearn.models.giorom.sample import Window
from meshlearn.models.giorom.windows import KEY, Prepared, Windows
from meshlearn.nn.muon import Muon
from meshlearn.train.batching import mix
from meshlearn.train.fields import FieldSet, FieldSpec, resolve_one
from meshlearn.train.items import as_items, split_validation
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator, under
from meshlearn.train.option_checks import number
from meshlearn.train.option_checks import validation as checked_validation
from meshlearn.train.precision import narrowed
from meshlearn.train.sample import Sample
from meshlearn.train.time_steps import check_step

M = TypeVar("M", bound="GIOROM")
HISTORY = {"solid": 2, "fluid": 5}
RECONSTRUCTION_SHARE = 0.1  # of the time to train


class GIOROM(NetworkEstimator):
    """Motions of bodies and fluids, learned on few of their points.

    n_nodes       points that stand for the body, or "all" of them (a full-graph stepper as GNS; so are bodies of fewer)
    kind          "solid": the graph and the reconstruction are those of the body at rest; "fluid": of every frame
    inputs        names of constants of the points or of the body (Young's modulus) in `mesh.point_data` and
                  `mesh.global_data` of the trajectories (or, as files have it, the same at every time of them)
    gravity       name of the global data (dim,) that holds it, or the vector; it is not learned
    box           name of the global data (2, dim) with the corners of the walls, or the corners; None without walls
    types         name of whole-numbered point data: kinds of particles
    fixed         names of point or boundary sets whose motion is given: clamps, drives
    velocity      name of the point data with velocities, for rollouts from a single Mesh
    sampling      "farthest" or "random"
    subsets       drawings of nodes per trajectory, among which every training step chooses anew
    vary          drawings have n_nodes / vary to n_nodes * vary nodes
    radius        of the graph; None: the larger of the smallest that makes it one piece, and the one with 12 neighbors
                  each in 2-D, 16 in 3-D
    neighbors     nodes that a point follows; None: 8 in 2-D, 14 in 3-D
    reconstruction "least_squares" (exact for affine motions), "nearest" (each point moves as its nearest node), or, for
                  solids, "learned": least squares with a learned kernel, and a learned correction of motions that are
                  not affine. It is learned before the stepper, from true nodes, and takes a tenth of `time_budget` at
                  most; `reconstruction_` says what of it lowered the error of motions held out (`kernel_share`,
                  `residual_share`, `scores`): the rest is not used
    history       displacements known of the past; None: 2 for solids, 5 for fluids
    stepper       "operator": message passing and a neural-operator block, as in the paper; "gated", for solids:
                  linear in velocities and strains, with coefficients that a graph network makes of the body at rest.
                  It learns elastic bodies better in less time (see the guide)
    hidden        width of all latents, a multiple of 4
    layers        interaction layers of the stepper; those of "operator" stand half before the latent grid
    grid          grid points of the neural-operator block along an axis; 0 without the block
    mlp_layers, activation   of every MLP
    noise         training noise: standard deviation of the last displacement, in units of the accelerations'
    unroll        frames that are stepped in training, with gradients through all of them; the k-th weighs k (k + 1)
    rotations     turn every training scene at random (without a box)
    optimizer     "muon" or "adamw"
    loss          "mse", "mae" or "huber" of normalised accelerations

    Trajectories have `moving_points`; lengths and numbers of points may differ, time steps may not. The mesh of a
    trajectory is the body at rest. After `fit`: `time_step_`, `scales_` (sizes from the training trajectories),
    `reconstruction_` if it was learned, and what every network estimator has.

    >>> films = ml.sim.make_bodies(2, kind="beam", cells=4, duration=0.1, frames=6)
    >>> model = ml.GIOROM(n_nodes=12, fixed=["left"], hidden=8, layers=2, grid=4)
    >>> model.fit(films, epochs=1, progress=False).rollout(films[0], steps=3).moving_points.shape
    torch.Size([4, 18, 2])
    """

    outputs = ("acceleration",)
    n_nodes: Any
    kind: str
    inputs: Sequence[str]
    gravity: Any
    box: Any
    types: str | None
    fixed: Sequence[str]
    velocity: str
    sampling: str
    subsets: int
    vary: float
    radius: float | None
    neighbors: int | None
    reconstruction: str
    history: int | None
    stepper: str
    hidden: int
    layers: int
    grid: int
    mlp_layers: int
    activation: str
    noise: float
    unroll: int
    rotations: bool
    optimizer: str
    loss: str
    scales_: Scales
    reconstruction_: LearnedReconstruction
    types_: tuple[int, ...]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        n_nodes: int | str = 500,
        kind: str = "solid",
        inputs: Sequence[str] = (),
        gravity: Any = None,
        box: Any = None,
        types: str | None = None,
        fixed: Sequence[str] = (),
        velocity: str = "velocity",
        sampling: str = "farthest",
        subsets: int = 16,
        vary: float = 2.0,
        radius: float | None = None,
        neighbors: int | None = None,
        reconstruction: str = "least_squares",
        history: int | None = None,
        stepper: str = "operator",
        hidden: int = 64,
        layers: int = 4,
        grid: int = 8,
        mlp_layers: int = 1,
        activation: str = "silu",
        noise: float = 0.1,
        unroll: int = 1,
        rotations: bool = False,
        optimizer: str = "muon",
        loss: str = "mse",
    ) -> None:
        self.n_nodes = n_nodes
        self.kind = kind
        self.inputs = inputs
        self.gravity = gravity
        self.box = box
        self.types = types
        self.fixed = fixed
        self.velocity = velocity
        self.sampling = sampling
        self.subsets = subsets
        self.vary = vary
        self.radius = radius
        self.neighbors = neighbors
        self.reconstruction = reconstruction
        self.history = history
        self.stepper = stepper
        self.hidden = hidden
        self.layers = layers
        self.grid = grid
        self.mlp_layers = mlp_layers
        self.activation = activation
        self.noise = noise
        self.unroll = unroll
        self.rotations = rotations
        self.optimizer = optimizer
        self.loss = loss

    # -- fit -------------------------------------------------------------------------------------------------------

    @arguments_of(NetworkEstimator.fit)
    def fit(self: M, meshes: Any, **options: Any) -> M:
        """Train on trajectories; options as in `NetworkEstimator.fit`. Returns self.

        validation holds out whole trajectories. A batch is counted in nodes and edges. Raises errors that name the
        trajectory and the frame for data that cannot be learned from.
        """
        check_arguments(self)
        items = as_items(meshes, "trajectories")
        training: list[int] = list(range(len(items)))
        held_out: list[int] = []
        asked = checked_validation("validation", options.get("validation"))
        if isinstance(asked, float):
            training, held_out = split_validation(len(items), asked, mix(options.get("seed", 0), 1))
        named = [(items[i], f"trajectory {i}") for i in range(len(items))]
        if asked is not None and not isinstance(asked, float):
            other = as_items(asked, "validation")
            held_out = list(range(len(items), len(items) + len(other)))
            named += [(other[i], f"validation trajectory {i}") for i in range(len(other))]
        warm = bool(options.get("warm_start")) and self.is_fitted
        windows = self._windows_of(named, training, warm)
        self._learning = (windows, windows.scales(training))
        options["validation"] = Prepared(windows, held_out, self.inputs) if held_out else None
        if self.reconstruction == "learned":
            budget = options.get("time_budget")
            budget = number("None or a positive number", lambda x: x > 0, optional=True)("time_budget", budget)
            options["time_budget"] = None if budget is None else (1 - RECONSTRUCTION_SHARE) * budget
            going_on = options.get("checkpoint") if options.get("resume") else None
            self._following = (training, options.get("seed", 0), budget, options.get("progress", True), going_on)
        try:
            super().fit(Prepared(windows, training, self.inputs), **options)
            if self.reconstruction == "learned" and not hasattr(self, "reconstruction_"):  # a warm start without one
                with torch.random.fork_rng(devices=[]):
                    self.reconstruction_ = self._learned_reconstruction()
            return self
        finally:
            self.__dict__.pop("_following", None)
            del self._learning

    def _learned_reconstruction(self) -> LearnedReconstruction:
        """How points follow nodes in the training trajectories; a fit that goes on has learned it before."""
        training, seed, budget, progress, going_on = self._following
        stored = None if going_on is None else stored_reconstruction(going_on)
        if stored is not None:
            return stored
        seconds = None if budget is None else RECONSTRUCTION_SHARE * budget
        return learn_reconstruction(self._learning[0], training, seed, seconds, progress)

    def _windows_of(self, named: list[tuple[Any, str]], training: list[int], warm: bool) -> Windows:
        """All trajectories as a training set; sets what is known of the data for `settle`."""
        named = [
            (item, where + (f" ({item.source})" if getattr(item, "source", None) else "")) for item, where in named
        ]
        names = (*self.inputs, *self._reading(()).names)
        named = [(settled(item, names, where), where) for item, where in named]
        first, where = named[training[0]]
        least = self._history() + self.unroll + 1
        Reading(None, None, None, (), ()).film(first, where, least, None)  # raises where it is no moving trajectory
        if warm:
            fields, step, known = self.fields_, self.time_step_, self.types_
        else:
            specs = tuple(resolve_one(first.mesh, name, where) for name in self.inputs)
            output = FieldSpec("acceleration", "point", (first.mesh.dim * self.unroll,))
            fields = FieldSet(specs, (output,), first.mesh.dim)
            step = float(f"{float(first.times.diff().double().mean()):.6g}")
            known = ()
            if self.types is not None:
                values = [kind_values(named[i][0].mesh, self.types, named[i][1]).unique() for i in training]
                known = tuple(sorted({int(value) for part in values for value in part}))
        reading = self._reading(known)
        films: list[Film] = []
        for item, name in named:
            films.append(reading.film(item, name, least, fields, step if isinstance(step, float) else None))
            check_step(step, item, name)
        self._facts = (step, known)
        return Windows(films, self)

    def _history(self) -> int:
        return HISTORY.get(self.kind, 2) if self.history is None else self.history

    def _reading(self, known: tuple[int, ...]) -> Reading:
        return Reading(self.gravity, self.box, self.types, tuple(self.fixed), known)

    # -- what a network estimator writes ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Take the sizes of what is learned: one for all directions and frames ahead, without a mean.

        The reconstruction is learned here, before the stepper, so that every checkpoint is a whole model.
        """
        self.scales_ = self._learning[1]
        self.time_step_, self.types_ = self._facts
        normalizer: Any = self.normalizers_.targets["point"]
        for name, value in (("mean", 0.0), ("rest", 0.0), ("constant", False)):
            getattr(normalizer, name).fill_(value)
        scales = self.scales_.acceleration / horizon_weights(self.unroll).sqrt()
        normalizer.scale.copy_(scales.repeat_interleave(self.fields_.dim))
        if self.reconstruction == "learned":
            self.reconstruction_ = self._learned_reconstruction()

    def build(self, fields: FieldSet) -> nn.Module:
        """The stepper; raises ParameterError for arguments that cannot be."""
        check_arguments(self)
        history, sizes = self._history(), self.normalizers_.sizes["features"]
        sees = history, sizes, len(self.types_), self.box is not None, self.scales_, self.hidden, self.layers
        options = {"layers": self.mlp_layers, "activation": self.activation}
        if self.stepper == "gated":
            return GatedStepper(fields.dim, *sees, options)
        return Stepper(fields.dim, self.kind == "solid", *sees, self.grid, options)

    def make_sample(self, source: Mesh, target: Mesh) -> Sample:
        """The training sample of a frame."""
        film, frame = (int(number) for number in source.global_data[KEY])
        return self._learning[0].window(film, frame, 0)

    def prepare(self, mesh: Mesh) -> Sample:
        """A single mesh has no motion: raises ParameterError."""
        raise ParameterError("GIOROM leads a motion on from its history: call rollout(trajectory, steps), or score.")

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Any:
        """A single mesh has no motion: raises ParameterError."""
        raise ParameterError("GIOROM leads a motion on from its history: call rollout(trajectory, steps), or score.")

    def augment(self, batch: Window) -> Window:  # type: ignore[override]
        """The same frames on other nodes, with noise, turned if asked for."""
        windows = self._learning[0]
        if windows.subsets > 1 and self.n_nodes != "all":
            drawn = torch.rand(batch.n_meshes).tolist()
            parts = [
                windows.window(film, frame, int(draw * windows.draws(film)))
                for (film, frame), draw in zip(batch.window.tolist(), drawn, strict=True)
            ]
            dtype = batch.places.dtype
            batch = self.collate([narrowed(part, dtype, batch.places.device) for part in parts])  # type: ignore[assignment]
        if self.noise:
            batch = add_noise(batch, self.noise * self.scales_.acceleration)
        return turned(batch) if self.rotations else batch

    def network(self, module: Any, batch: Window) -> dict[str, Tensor]:  # type: ignore[override]
        """Mean accelerations over 1, 2, … frames ahead, each stepped from the one before, as they weigh in the loss."""
        dim, size = batch.places.shape[1], self.scales_.acceleration
        gravity = batch.gravity.index_select(0, batch.mesh_index("point"))
        coefficients = module.coefficients(batch)
        weights = horizon_weights(self.unroll).sqrt().tolist()
        start, state, total, tables = batch.last_velocity, batch, torch.zeros_like(batch.places), []
        for k in range(1, self.unroll + 1):
            step = state.last_velocity + size * module(state, coefficients) + gravity
            step = torch.where(batch.free > 0, step, state.driven[:, :dim])
            total = total + step
            tables.append(weights[k - 1] / size * ((total - k * start) / (k * (k + 1) / 2) - gravity))
            if k < self.unroll:
                state = state.moved(step)
                state = state if self.kind == "solid" else state.reconnected()
        return {"point": torch.cat(tables, 1)}

    def build_optimizer(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """Muon for the hidden matrices and AdamW for the rest, or AdamW for all."""
        if self.optimizer == "adamw":
            return super().build_optimizer(module, learning_rate, weight_decay)
        matrices = [p for p in module.parameters() if p.ndim == 2 and min(p.shape) >= 8]
        others = [p for p in module.parameters() if not (p.ndim == 2 and min(p.shape) >= 8)]
        groups = [
            {"params": matrices, "weight_decay": weight_decay, "muon": True},
            {"params": others, "weight_decay": 0.0, "muon": False},
        ]
        return Muon([group for group in groups if group["params"]], lr=learning_rate)

    # -- rollouts --------------------------------------------------------------------------------------------------

    def rollout(  # type: ignore[override]
        self,
        initial: Mesh | Trajectory,
        steps: int | None = None,
        query: Any = None,
        forced: Any = None,
        n_nodes: Any = None,
        seed: int = 0,
        out: str | Path | None = None,
        progress: bool = False,
    ) -> Trajectory:
        """The motion that follows.

        initial   a Trajectory, whose first `history` + 1 frames are taken; or a Mesh at rest with velocities, of which
                  earlier frames are made as of a body in free flight
        steps     how many frames; default with a Trajectory: to its end
        query     points (m, dim) or a Mesh, placed in the body at rest (fluids: at the present); default: the body
        forced    places of the points whose motion is given (`fixed`): a function (time, rest) -> (k, dim) of the time
                  and of places at rest (k, dim), asked for nodes and for points apart. Without one they stay where
                  they are, with all points of these sets that a query has
        n_nodes   another number of nodes than in training, or "all" points
        seed      of the drawing of nodes
        out       a .pvd file: frames are written one by one and not kept; the result then holds the nodes. It lists the
                  frames as they come: what was written before an interruption can be read, and led on
        progress  show a progress bar (on a terminal)

        The result has steps + 1 frames, the first is the present as points follow the nodes. In its global data, and
        in the file, at every time: components and mean_degree of the graph, momentum (dim,), kinetic_energy,
        out_of_bounds (query points beyond the box). `mesh.global_data["first_nonfinite"]` is the step at which places
        were no longer finite, or -1. There it ends, with a RolloutWarning. Another tells of query points outside of
        the body.
        """
        self.check_fitted("rollout")
        with torch.no_grad():
            return roll_out(self, initial, steps, query, forced, n_nodes, seed, out, progress)

    def score(self, trajectories: Any, steps: int | None = None, n_nodes: Any = None) -> dict[str, float]:
        """Errors of rollouts from the first frames of every trajectory, and where they come from.

        {"rollout": root mean square error of all points at all times, "final": at the last time,
        "nodes": that of the nodes alone, "reconstruction": that of the points that follow the true nodes}, each
        relative to the largest displacement of the truth from the present, and averaged over the trajectories.
        """
        self.check_fitted("score")
        return evaluation.score(self, trajectories, steps, n_nodes)

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and normalisers as tensors; scales, types and history as data."""
        tensors, meta = super().get_state()
        if hasattr(self, "reconstruction_"):
            learned, meta["reconstruction"] = self.reconstruction_.get_state()
            tensors |= {f"reconstruction.{name}": value for name, value in learned.items()}
        return tensors, {**meta, "scales": self.scales_.to_json(), "types": list(self.types_)}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.scales_ = Scales(**{name: float(value) for name, value in meta["scales"].items()})
        self.types_ = tuple(int(value) for value in meta["types"])
        if "reconstruction" in meta:
            self.reconstruction_ = LearnedReconstruction()
            self.reconstruction_.set_state(under("reconstruction.", tensors), meta["reconstruction"])
        super().set_state(tensors, meta)
