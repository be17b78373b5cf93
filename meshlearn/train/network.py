"""`NetworkEstimator`: models trained by gradient descent. One fit loop for all of them, on Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.batching import prediction_budget
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import graph_sample, measure_weights
from meshlearn.train.loss import mesh_losses, pointwise_loss
from meshlearn.train.normalization import Normalizers
from meshlearn.train.optimizer import adamw
from meshlearn.train.options import FitOptions
from meshlearn.train.precision import narrowed
from meshlearn.train.reach import check_reach
from meshlearn.train.sample import Sample, collate

N = TypeVar("N", bound="NetworkEstimator")


class NetworkEstimator(Estimator):
    """Base of models that are trained by gradient descent.

    A subclass must write

    `__init__(self, inputs, outputs, ...)`
        stores every argument under its own name and does nothing else.
    `build(self, fields)`
        -> the nn.Module. Called once per fit, after the training meshes were looked at: `fields` (a FieldSet) has the
        specs and the dimension, `self.normalizers_.sizes["features"]` the width of every feature of the samples, for
        example `["point_inputs"]`; `fields.width("outputs", "point")` is the width of the point outputs.
        The module takes a batch (a `Sample` with normalised features) and returns {location: (rows, width)} for every
        location of `fields.output_locations`, normalised outputs in the order of the specs.

    and may override (the defaults are those of a one-graph network)

    `prepare(self, mesh)`
        -> Sample of one mesh, all that `forward` needs: graphs, features in physical units. Never sees an output that
        is not an input too. Default: `graph_sample(mesh, self.fields_)`. Samples are kept during a fit.
    `network(self, module, batch)`
        -> {location: (rows, width)}; default `module(batch)`. Call `module`, never `self.module_`: during a fit it
        may be a compiled copy.
    `targets(self, source, target)` and `decode(self, mesh, tables)`
        what is learned instead of the output itself (for example the change from `source` to `target`), and back.
    `augment(self, batch)`
        -> a training batch, in physical units, changed at random (noise). Draw from torch's global generator, which
        is seeded for every step, so that runs repeat and resume exactly.
    `sample_losses(self, outputs, batch)`
        -> (n_meshes,) loss of every mesh, from normalised outputs and `batch.targets`. Default: `loss`, by measure.
    `settle(self)`
        sets learned state that the shape of the network depends on; called before `build`, once per fit, when all
        training samples were seen.
    `check_sets(self, names)`
        raises an error when an argument names sets that no training mesh has; `names` are those that there are.
    `build_optimizer(self, module, learning_rate, weight_decay)`
        -> torch optimizer; default AdamW (fused), without decay for vectors (biases, norms).
    `loss`
        class attribute or constructor argument: "mse" (default), "mae" or "huber".

    A pointwise network, complete:

    >>> class PointNetwork(torch.nn.Module):
    ...     def __init__(self, n_in, n_out):
    ...         super().__init__()
    ...         self.hidden, self.out = torch.nn.Linear(n_in, 16), torch.nn.Linear(16, n_out)
    ...
    ...     def forward(self, batch):
    ...         return {"point": self.out(self.hidden(batch.point_inputs).tanh())}
    >>> class PointModel(ml.NetworkEstimator):
    ...     def __init__(self, inputs, outputs):
    ...         self.inputs = inputs
    ...         self.outputs = outputs
    ...
    ...     def build(self, fields):
    ...         widths = self.normalizers_.sizes["features"]
    ...         return PointNetwork(widths["point_inputs"], fields.width("outputs", "point"))
    >>> meshes = [ml.shapes.square(n=n) for n in (3, 4, 5)]
    >>> meshes = [mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 0].square()) for mesh in meshes]
    >>> model = PointModel(["f"], ["u"]).fit(meshes, epochs=100, learning_rate=0.01, progress=False)
    >>> model.score(meshes)["u"] < 0.2
    True

    After `fit`: `module_` (nn.Module), `normalizers_`, `fields_`, `history_`: a list with one dictionary per epoch
    (epoch, step, train_loss, val_loss, lr, seconds); `interrupted_`: True if Ctrl-C ended the fit.
    """

    loss: str = "mse"
    module_: nn.Module
    normalizers_: Normalizers
    history_: list[dict[str, Any]]
    interrupted_: bool

    # -- what a subclass writes ------------------------------------------------------------------------------------

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; see the class docstring."""
        raise NotImplementedError(f"{type(self).__name__} does not implement build.")

    def settle(self) -> None:
        """Set learned state that the shape of the network depends on; see the class docstring. Default: none."""

    def check_sets(self, names: set[str]) -> None:
        """Raise an error when an argument names sets that no training mesh has. Default: nothing to check."""

    def prepare(self, mesh: Mesh) -> Sample:
        """The sample of one mesh, features in physical units; see the class docstring."""
        return graph_sample(mesh, self.fields_)

    def network(self, module: nn.Module, batch: Sample) -> dict[str, Tensor]:
        """Normalised outputs of a batch of normalised features: {location: (rows, width)}."""
        return module(batch)

    def collate(self, samples: Sequence[Sample]) -> Sample:
        """Samples of several meshes as one batch."""
        return collate(samples)

    def targets(self, source: Mesh, target: Mesh) -> dict[str, Tensor]:
        """What the network learns, in physical units: {location: (rows, width)}. Default: the outputs on `target`.

        `source` and `target` are the same mesh, or two frames of a trajectory (see `time_pairs`).
        """
        return self.fields_.targets(target)

    def decode(self, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `targets`: from what the network learned to the outputs. Default: unchanged."""
        return tables

    def augment(self, batch: Sample) -> Sample:
        """A training batch, in physical units, changed at random. Default: unchanged."""
        return batch

    def sample_losses(self, outputs: dict[str, Tensor], batch: Sample) -> Tensor:
        """(n_meshes,) loss of every mesh of a batch with normalised targets."""
        return mesh_losses(outputs, batch.targets, batch, pointwise_loss(self.loss))

    def build_optimizer(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """The optimiser; its learning rate is the peak of the schedule."""
        parameters = [p for p in module.parameters() if p.requires_grad]
        if not parameters:
            raise ParameterError(f"the network that {type(self).__name__}.build made has nothing to train.")
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return adamw([group for group in groups if group["params"]], learning_rate)

    # -- fit -------------------------------------------------------------------------------------------------------

    def fit(  # type: ignore[override]
        self: N,
        meshes: Any,
        *,
        validation: Any = None,
        epochs: int = 100,
        max_steps: int | None = None,
        time_budget: float | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        schedule: str | Callable[[float], float] = "cosine",
        warmup: float = 0.02,
        batch_points: int | None = None,
        batch_edges: int | None = None,
        accumulate: int = 1,
        precision: str = "32",
        accelerator: str = "cpu",
        devices: int | str | list[int] = 1,
        strategy: Any = "auto",
        compile: bool = False,
        ema: float | None = None,
        patience: int | None = None,
        keep_best: bool = True,
        clip: float | None = 1.0,
        seed: int = 0,
        warm_start: bool = False,
        cache_samples: bool = True,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 1,
        checkpoint_steps: int | None = None,
        resume: bool | str = False,
        callbacks: Sequence[Any] = (),
        log: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool = True,
    ) -> N:
        """Train on meshes that carry the inputs and outputs; returns self.

        meshes         a Mesh, a Trajectory, or a sequence of them (lazy ones are loaded mesh by mesh)
        validation     share of the meshes held out (whole meshes), or meshes, or None
        epochs         passes over the training meshes
        max_steps      stop after so many optimiser steps
        time_budget    stop after so many seconds; the learning rate then follows the clock
        learning_rate, weight_decay, schedule, warmup
                       peak rate; "constant", "linear", "cosine", "exponential" or a function of the progress in [0, 1]
                       that returns a factor; share of the training during which the rate rises to its peak
        batch_points, batch_edges
                       a batch holds at most so many points and edges; a larger mesh is a batch of its own.
                       Defaults from the data: see `meshlearn.train.batching.default_budget`
        accumulate     batches per optimiser step (and per process)
        precision      "32", "64", "bf16" or "16" (the last two mixed), as in Lightning Fabric
        accelerator, devices, strategy
                       as in Lightning Fabric ("auto" for the accelerator takes a GPU when there is one). Several
                       devices: strategy "ddp" runs the script once per device, "ddp_spawn" and "ddp_fork" start
                       processes here; n devices give the result of one with n times as much `accumulate`
        compile        compile the network with torch.compile, for varying sizes
        ema            decay of an exponential moving average of the weights, which is then validated and kept
        patience       stop when the validation loss has not improved for so many epochs
        keep_best      keep the weights of the epoch with the best validation loss; without validation, the last
        clip           largest norm of the gradient, or None
        seed           decides weights, order, noise: on one CPU the same seed gives the same weights bit for bit.
                       torch's global generator is left as it was found
        warm_start     begin with the weights and normalisers of the previous fit
        cache_samples  keep prepared samples in memory (else meshes are loaded and prepared again every epoch)
        checkpoint, checkpoint_every, checkpoint_steps, resume
                       folder for checkpoints, written every so many epochs, and steps, and at the end; it is a model
                       folder too (`ml.load`). resume=True continues from it bit for bit, and needs one to be there;
                       "auto" continues where there is one and begins otherwise; False begins, and refuses a folder
                       that holds a model already
        callbacks      `Callback`s, or functions of the `FitContext` called after every epoch
        log, tensorboard
                       folder for `history.csv`, and for TensorBoard's files if asked for
        progress       show a progress bar (plain lines where the output is not a terminal)

        Meshes with defects (degenerate cells, coincident points, points of no cell) are trained on, with one
        FitWarning that names them. An interrupt (Ctrl-C) ends the fit after the step at hand: a checkpoint is written,
        a FitInterruptedWarning given, and the model is usable. Raises ParameterError, FieldError and MeshError before
        training begins, and ConvergenceError when the loss is no longer finite (the last good weights are kept). After
        any other error the model is as it was before the fit.
        """
        options = {name: value for name, value in locals().items() if name not in ("self", "meshes", "__class__")}
        from meshlearn.train.fitting import fit_network

        return fit_network(self, meshes, FitOptions.checked(**options))

    def make_sample(self, source: Mesh, target: Mesh) -> Sample:
        """The training sample of one mesh (source = target) or of one time step: `prepare`, and the truth."""
        from meshlearn.train.items import hide_fields

        sample = self.prepare(hide_fields(source, self.fields_.hidden_names))
        weights = {location: measure_weights(target, location) for location in self.fields_.output_locations}
        return sample.replace(targets=self.targets(source, target), weights=weights)

    # -- predict ---------------------------------------------------------------------------------------------------

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Predictions of an iterable of meshes, in batches by budget; see `Estimator.predict_fields`."""
        budget = prediction_budget(self.device.type)
        waiting: list[tuple[Mesh, Sample]] = []
        used = (0, 0)
        for mesh in meshes:
            check_reach(self.fields_, mesh, self.dtype, role="inputs")
            sample = narrowed(self.prepare(mesh), self.dtype, self.device)
            self.normalizers_.check(sample)
            cost = (used[0] + sample.cost[0], used[1] + sample.cost[1])
            if waiting and not budget.fits(cost):
                yield from self._predict_batch(waiting)
                waiting, cost = [], sample.cost
            waiting.append((mesh, sample))
            used = cost
        if waiting:
            yield from self._predict_batch(waiting)

    def _predict_batch(self, work: list[tuple[Mesh, Sample]]) -> Iterator[tuple[Fields, Fields]]:
        batch = self.collate([sample for _, sample in work])
        outputs = self.network(self.module_, self.normalizers_.normalise(batch))
        tables = self.normalizers_.physical(check_outputs(outputs, batch, self.fields_))
        parts = {
            location: table.split([int(sample.counts[location]) for _, sample in work])
            for location, table in tables.items()
        }
        for i, (mesh, _) in enumerate(work):
            own = {location: tables[i].to(mesh.points.device, mesh.points.dtype) for location, tables in parts.items()}
            yield self.fields_.split_outputs(self.decode(mesh, own)), {}

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next((p.device for p in self.module_.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the network computes in."""
        return next((p.dtype for p in self.module_.parameters()), torch.float32)

    def to(self: N, device: torch.device | str) -> N:
        """Move the fitted network to a device; returns self."""
        self.check_fitted("to")
        self.module_.to(device)
        self.normalizers_.to(device)
        return self

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and normalisers as tensors; widths and history as data."""
        tensors = {f"module.{name}": value for name, value in self.module_.state_dict().items()}
        tensors |= {f"normalizers.{name}": value for name, value in self.normalizers_.state_dict().items()}
        dtype = str(self.dtype).removeprefix("torch.")
        return tensors, {"sizes": self.normalizers_.sizes, "history": self.history_, "dtype": dtype}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        if meta["dtype"] not in ("float32", "float64", "float16", "bfloat16"):
            raise ParameterError(f"the dtype {meta['dtype']!r} is not one that networks compute in.")
        self.normalizers_ = Normalizers(**meta["sizes"])
        if meta["dtype"] == "float64":
            self.normalizers_.double()
        self.normalizers_.load_state_dict(under("normalizers.", tensors))
        with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten; the user's generator is not
            self.module_ = self.build(self.fields_)
        self.module_.to(getattr(torch, meta["dtype"]))
        self.module_.load_state_dict(under("module.", tensors))
        self.module_.eval()
        self.history_ = [dict(record) for record in meta["history"]]


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def check_outputs(outputs: dict[str, Tensor], batch: Sample, fields: FieldSet) -> dict[str, Tensor]:
    """The outputs themselves; raises FieldError when the network returned other locations or shapes than promised."""
    for location in fields.output_locations:
        expected = (batch.rows(location), fields.width("outputs", location))
        if location not in outputs or tuple(outputs[location].shape) != expected:
            seen = {place: tuple(values.shape) for place, values in outputs.items()}
            raise FieldError(f"the network must return {location!r} outputs of shape {expected}; it returned {seen}.")
    return {location: outputs[location] for location in fields.output_locations}
