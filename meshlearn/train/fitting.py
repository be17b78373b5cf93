"""`NetworkEstimator.fit`, step by step: look at the data, build the network, run the loop, keep the result."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch

from meshlearn.errors import ConvergenceError, NotFittedError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train import checkpoint
from meshlearn.train.batching import Budget, default_budget, mix
from meshlearn.train.fields import describe, resolve_fields
from meshlearn.train.items import Items, Subset, as_items, check_item, split_validation
from meshlearn.train.loop import Job, run
from meshlearn.train.normalization import Normalizers
from meshlearn.train.options import FitOptions
from meshlearn.train.precision import narrowed
from meshlearn.train.sample import Sample
from meshlearn.train.store import SampleStore
from meshlearn.train.survey import Survey
from meshlearn.train.time_steps import TimeSteps


def fit_network(model: Any, meshes: Any, options: FitOptions) -> Any:
    """Fit a network estimator; see `NetworkEstimator.fit`."""
    if options.checkpoint is not None:
        checkpoint.check_folder(options.checkpoint, options.resume)
        checkpoint.prepare_folder(options.checkpoint)
        model_data(model)  # raises now, not after hours, when the arguments cannot be saved
    if options.warm_start:
        _check_warm(model)
    before = _learned(model)
    fabric = _fabric(options)
    try:
        if not options.warm_start:
            _forget(model)
        with torch.random.fork_rng(devices=_cuda_devices(fabric.device)):
            data = _look_at(model, meshes, options, fabric.device.type)
            _build(model, options)
            job = Job(model, options, data.training, data.validation, data.budget, data.fingerprint)
            result = fabric.launch(run, job)
        model.module_.load_state_dict(safetensors.torch.load(result.weights))
        model.module_.eval()
        model.history_ = result.history
        model.interrupted_ = result.interrupted
    except BaseException:  # the model is as it was, fitted or not; an interrupt or divergence in the loop returns here
        _restore(model, before)
        raise
    model.parameters_fit()
    if result.diverged is not None:
        raise ConvergenceError(result.diverged)
    return model


def _cuda_devices(device: torch.device) -> list[int]:
    """The CUDA device of a fit, whose generator is to be left as it was; none for others, so that CUDA stays asleep."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


def _learned(model: Any) -> dict[str, Any]:
    """What a model has learned: its attributes that end in "_" (a fit replaces them, it does not write into them)."""
    return {name: value for name, value in vars(model).items() if name.endswith("_") and not name.startswith("_")}


def _forget(model: Any) -> None:
    """A fit from the start must not see what an earlier one has learned."""
    for name in _learned(model):
        del model.__dict__[name]


def _restore(model: Any, before: dict[str, Any]) -> None:
    _forget(model)
    model.__dict__.update(before)


def _check_warm(model: Any) -> None:
    """Raise NotFittedError unless there is a network to go on with; changed parameters are the user's choice here."""
    if not model.is_fitted:
        raise NotFittedError(f"fit(warm_start=True) goes on with a fitted model; this {type(model).__name__} is not.")


def model_data(model: Any) -> None:
    """Raise CheckpointError when the arguments of a model are not data."""
    model.saved_params()


@dataclass(frozen=True)
class SampleMaker:
    """`model.make_sample` on the CPU in the dtype of the fit (see `narrowed`); a class, for spawned processes."""

    model: Any
    dtype: torch.dtype

    def __call__(self, source: Mesh, target: Mesh) -> Sample:
        """The sample of one mesh or one time step."""
        return narrowed(self.model.make_sample(source, target), self.dtype)


@dataclass(frozen=True)
class TrainingData:
    """Samples of both sides of the split, the budget of a batch, and a fingerprint that a resumed fit must match."""

    training: SampleStore
    validation: SampleStore | None
    budget: Budget
    fingerprint: str


def _look_at(model: Any, meshes: Any, options: FitOptions, device: str) -> TrainingData:
    """Resolve the fields, split, check and prepare all meshes, fit the normalisers on the training side."""
    training, validation, train_numbers, valid_numbers = split(meshes, options)
    if not options.warm_start:
        first = check_item(training[0], train_numbers[0])
        frame = first.frame(0) if isinstance(first, Trajectory) else first
        model.fields_ = resolve_fields(frame, model.inputs, model.outputs, describe(first, train_numbers[0]))
        model.normalizers_ = Normalizers()
    else:
        model.normalizers_ = copy.deepcopy(model.normalizers_)
    dtype = torch.float64 if options.precision == "64-true" else torch.float32
    fields = model.fields_
    see = None if options.warm_start else model.normalizers_.see

    make = SampleMaker(model, dtype)
    survey, steps = Survey(), TimeSteps(fields, model.time_step_)
    train = SampleStore(
        training, fields, make, options.cache_samples, see, train_numbers, dtype, look=survey.see, steps=steps
    )
    model.time_step_ = steps.value
    model.check_sets(survey.set_names)
    model.normalizers_.to(dtype)
    if not options.warm_start:
        model.normalizers_.finish()
        model.settle()
    valid = None
    if validation is not None:
        check = model.normalizers_.check
        role = "validation " if not isinstance(options.validation, float) else ""
        keep = options.cache_samples
        valid = SampleStore(validation, fields, make, keep, check, valid_numbers, dtype, role, survey.see, steps)
    survey.warn()
    budget = default_budget(train.costs, options.batch_points, options.batch_edges, device)
    statistics = {name: values.tolist() for name, values in model.normalizers_.state_dict().items()}
    seen = repr((train.costs, None if valid is None else valid.costs, statistics)).encode()
    return TrainingData(train, valid, budget, hashlib.sha256(seen).hexdigest())


def split(meshes: Any, options: FitOptions) -> tuple[Items, Items | None, list[int], list[int]]:
    """(training, validation or None, their numbers in `meshes`): the two sides that a fit with these options sees."""
    items = as_items(meshes)
    everything = list(range(len(items)))
    validation = options.validation
    if validation is None:
        return items, None, everything, []
    if isinstance(validation, float):
        train, held_out = split_validation(len(items), validation, mix(options.seed, 1))
        return Subset(items, train), Subset(items, held_out), train, held_out
    other = as_items(validation, "validation")
    return items, other, everything, list(range(len(other)))


def _build(model: Any, options: FitOptions) -> None:
    """Make the network, reproducibly, in the dtype of the fit."""
    if options.warm_start:
        model.module_ = copy.deepcopy(model.module_)
    else:
        torch.default_generator.manual_seed(mix(options.seed, 2))  # torch.manual_seed would seed all GPUs too
        model.module_ = model.build(model.fields_)
        model.history_ = []
    model.module_.to("cpu", torch.float64 if options.precision == "64-true" else torch.float32)


def _fabric(options: FitOptions) -> Any:
    from meshlearn.train.fabric import make_fabric

    return make_fabric(options)
