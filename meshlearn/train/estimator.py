"""`Estimator`: fit, predict, score, save and load, the same for every model."""

from __future__ import annotations

import inspect
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import CheckpointError, ParameterError
from meshlearn.mesh.batch import MeshBatch
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train import checkpoint
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.fitted import Fitted
from meshlearn.train.items import Items, as_items, hide_fields, is_single
from meshlearn.train.named import named
from meshlearn.train.params import json_params
from meshlearn.train.registry import find_estimator, register_estimator
from meshlearn.train.scoring import PairScore, mean_scores, pair_scores, warn_of_hidden_errors
from meshlearn.train.steps import Work, check_still, frames_to_trajectory, steps_in_time, work_of
from meshlearn.train.time_steps import advanced, check_step, known_step

E = TypeVar("E", bound="Estimator")

__all__ = ["Estimator", "load", "register_estimator"]

Fields = dict[FieldSpec, Tensor]


class Estimator(Fitted):
    """Base of all models: scikit-learn's conventions, on meshes.

    A subclass writes

    `__init__(self, inputs, outputs, ...)`
        stores every argument under its own name and does nothing else (no checks, no tensors).
    `fit(self, meshes, ...)`
        checks the parameters, sets `self.fields_` (a FieldSet, see `resolve_fields`) and the learned state in
        attributes that end in "_", and returns self.
    `predict_fields(self, meshes)`
        a generator: for every mesh of an iterable, in order, yields {FieldSpec: values} (see its docstring).
    `get_state(self)` and `set_state(self, tensors, meta)`
        learned state (besides `fields_`) as flat tensors and JSON data, and back; used by `save` and `load`.

    and, when it knows its uncertainty, sets `probabilistic = True` and honours `return_std`.
    After `fit`: `fields_`; `time_step_`, for models that step in time: the length of the step in training, or the name
    of the global input that holds it. Classes defined in meshlearn can be loaded at once; others after
    `ml.register_estimator`.
    """

    probabilistic: ClassVar[bool] = False
    inputs: Any
    outputs: Any
    fields_: FieldSet
    time_step_: float | str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in ("__init__", "fit"):
            if method in cls.__dict__ and not _takes_any(cls.__dict__[method]):
                setattr(cls, method, named(cls.__dict__[method]))
        if cls.__module__.split(".")[0] == "meshlearn" and not cls.__name__.startswith("_"):
            register_estimator(cls)

    # -- what a subclass writes ------------------------------------------------------------------------------------

    def fit(self: E, meshes: Any) -> E:
        """Learn from meshes that carry the input and output fields; returns self."""
        raise NotImplementedError(f"{type(self).__name__} does not implement fit.")

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """For every mesh, in order: ({spec: values}, {spec: standard deviations}), the second {} unless asked for.

        The meshes were checked against `fields_` and carry no output field (unless it is also an input), so that a
        model cannot see the truth. `values` are (n_points, *shape), (n_cells, *shape) in global cell order, or
        (*shape) for global fields.
        It is a generator so that a model may look at several meshes at a time (batches) without holding all of them.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement predict_fields.")

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Learned state as ({name: tensor}, JSON-able dictionary); `fields_` is saved by the base class."""
        raise NotImplementedError(f"{type(self).__name__} does not implement get_state.")

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`; parameters and `fields_` are set already."""
        raise NotImplementedError(f"{type(self).__name__} does not implement set_state.")

    # -- what every estimator has ----------------------------------------------------------------------------------

    def predict(self, meshes: Any, return_std: Any = False) -> Any:
        """The same mesh(es) with the predicted fields added, or overwritten where they were present.

        A Mesh gives a Mesh, a Trajectory a Trajectory, a MeshBatch a MeshBatch, any other sequence a list.
        Everything else on the mesh is kept; the fields come in the mesh's dtype and on its device. An output that the
        mesh already carries is hidden from the model. Of a Trajectory, frame j is predicted from the frame i of every
        pair (i, j) of `time_pairs`; frames that no pair predicts keep the fields they have. A single mesh, where the
        model steps in time, becomes the next one, and its `global_data["time"]` goes on by the step (`time_step_`).

        `return_std=True` adds `<name>_std` fields; ParameterError for a model without uncertainty, and for a Trajectory
        with another time step than the model has learned.
        """
        self.check_fitted("predict")
        if not isinstance(return_std, (bool, np.bool_)):
            raise ParameterError(f"return_std={return_std!r} must be True or False.")
        if return_std and not self.probabilistic:
            raise ParameterError(f"{type(self).__name__} has no uncertainty: predict without return_std=True.")
        single = is_single(meshes)
        items = as_items(meshes)
        results: list[Any] = []
        frames: dict[int, Mesh] = {}
        with torch.no_grad():
            for work, prediction in self._predictions(items, bool(return_std)):
                if isinstance(work.item, Trajectory):
                    frames[work.frame] = prediction
                    if work.last:
                        results.append(frames_to_trajectory(work.item, frames, self.fields_))
                        frames = {}
                else:
                    results.append(prediction)
        if single:
            return results[0]
        return MeshBatch.from_meshes(results) if isinstance(meshes, MeshBatch) else results

    def _predictions(self, items: Items, return_std: bool) -> Iterator[tuple[Work, Mesh]]:
        """For every mesh or pair of frames, in order: where it comes from, and the target mesh with the prediction."""
        waiting: deque[Work] = deque()

        stepping = steps_in_time(self.fields_)

        def sources() -> Iterator[Mesh]:
            seen = None
            for work in work_of(items, self.fields_):
                if stepping and isinstance(work.item, Trajectory) and work.item is not seen:
                    check_step(self.time_step_, work.item, work.where.rpartition(", frame")[0])
                    seen = work.item
                self.fields_.check(work.source, work.where, roles=("inputs",))
                waiting.append(work)
                yield hide_fields(work.source, self.fields_.hidden_names)

        for values, std in self.predict_fields(sources(), return_std):
            work = waiting.popleft()
            prediction = self.fields_.attach(work.target, values)
            if stepping and not isinstance(work.item, Trajectory):
                prediction = advanced(prediction, work.source, self.time_step_)
            yield work, (self.fields_.attach(prediction, std, "_std") if std else prediction)

    def score(self, meshes: Any) -> dict[str, float]:
        """{output: relative L2 error}, each averaged over the meshes (over all pairs of frames of a Trajectory).

        On one mesh the error of a point or cell field is sqrt(sum_i w_i |p_i - t_i|^2 / sum_i w_i |t_i|^2), where w_i
        is the length, area or volume that row i stands for (`mesh.point_measures()`, `mesh.cell_measures()`; all equal
        on a point cloud) and |.| the Euclidean norm over the components of the value; of a global field it is
        |p - t| / |t|. 0 is perfect, 1 is as good as predicting zero. Relative to a field with a mean much larger than
        its spread (an absolute pressure) every guess near the mean looks good: a ScoreWarning says so when such an
        error is more than a fifth of the spread.

        A mesh on which the truth is zero everywhere has no relative error: for that output it is left out of the mean,
        however good the prediction, so that models are compared on the same meshes. A ScoreWarning names such meshes
        and gives the absolute (root mean square) error there; when all meshes are such, the score is NaN.
        """
        scores = self.pair_scores(meshes)
        warn_of_hidden_errors(scores)
        return mean_scores(scores)

    def pair_scores(self, meshes: Any) -> list[PairScore]:
        """The errors on every mesh, and on every pair of frames of a Trajectory, that `score` is the mean of."""
        self.check_fitted("score")
        items = as_items(meshes)
        scores = []
        with torch.no_grad():
            for work, prediction in self._predictions(items, False):
                if not isinstance(work.item, Trajectory):
                    check_still(self.fields_, work.where)
                self.fields_.check(work.target, work.where, roles=("outputs",))
                scores.append(pair_scores(prediction, work.target, self.fields_, work.where))
        return scores

    def rollout(self, start: Mesh | Trajectory, steps: int | None = None, time_step: float | None = None) -> Trajectory:
        """The trajectory that follows from one state: `steps` predictions, each made from the one before.

        start      a Mesh with the inputs; or a Trajectory: its first frame is the state, and inputs that are not
                   outputs (boundary values, loads) are taken from its frames
        steps      number of time steps; default with a Trajectory: to its end
        time_step  the length of a step, for the times of the result. A fitted model knows it (`time_step_`), and
                   refuses another; it is 1 for a model that was saved without

        The result has steps + 1 frames, the first is the start. Raises ParameterError unless every output that changes
        is an input, or when a Trajectory of inputs is too short or has other time steps.
        """
        self.check_fitted("rollout")
        from meshlearn.train.rollout import roll_out

        with torch.no_grad():
            return roll_out(self, start, steps, time_step)

    # -- files -----------------------------------------------------------------------------------------------------

    def save(self, folder: Any) -> Path:
        """Write the fitted model into a folder: `model.json` and a `.safetensors` file; returns the folder.

        A model already there is replaced in one step: an interrupt at any time leaves either the old one or the new.
        Raises NotFittedError, and CheckpointError when the folder cannot be written or an argument is not data.
        """
        self.check_fitted("save")
        if not isinstance(folder, (str, os.PathLike)):
            raise ParameterError(f"folder={folder!r} must be the path of a folder.")
        tensors, meta = self.saved()
        return checkpoint.write(Path(folder), meta, {"model": tensors})

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What `save` writes: ({name: tensor}, JSON-able dictionary)."""
        tensors, state = self.get_state()
        name = type(self).__name__
        meta = {
            "estimator": name,
            "params": self.saved_params(),
            "fields": self.fields_.to_json(),
            "time_step": self.time_step_,
            "state": state,
        }
        return tensors, meta

    def saved_params(self) -> dict[str, Any]:
        """The constructor's arguments as JSON knows them; a subclass with others saves these in its state.

        Raises CheckpointError naming the arguments that JSON cannot hold.
        """
        return json_params(type(self).__name__, self.get_params())


def _takes_any(function: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _as_before(value: Any, default: Any) -> Any:
    """An argument as it was before JSON made lists of tuples, as far as the default tells: `()`."""
    return default if value == [] and default == () else value


def load(folder: str | Path) -> Any:
    """A fitted estimator from a folder written by `save`, or by `fit(..., checkpoint=folder)`.

    Only data are read, and only classes registered in this process are built: a folder from a stranger cannot run code.
    Raises CheckpointError for a folder that is missing, damaged, from a newer version, or of an unknown class.
    """
    folder = Path(folder)
    meta, tensors = checkpoint.read(folder, groups=("model",))
    return rebuilt(meta, tensors["model"], str(folder), lambda part: checkpoint.taking(folder, part))


def rebuilt(
    meta: dict[str, Any],
    tensors: dict[str, Tensor],
    where: str,
    taking: Callable[[str], AbstractContextManager[Any]] = lambda part: nullcontext(),
) -> Any:
    """A fitted estimator from what `Estimator.saved` gave: `load` without the folder, for models inside of models.

    taking  the context in which a part ("params", "fields", "state") is used, to tell what is wrong with it
    """
    cls = find_estimator(meta["estimator"])
    known = cls._signature()
    unknown = sorted(set(meta["params"]) - set(known))
    if unknown:
        raise CheckpointError(
            f"{where}: {cls.__name__} has no parameter {unknown}; "
            f"the model was saved by meshlearn {meta.get('meshlearn', '(unknown version)')}."
        )
    with taking("params"):
        model = cls(**{name: _as_before(value, known[name].default) for name, value in meta["params"].items()})
    with taking("fields"):
        model.fields_ = FieldSet.from_json(meta["fields"])
        model.time_step_ = known_step(meta.get("time_step"), model.fields_)
    with taking("state"):
        model.set_state(tensors, meta["state"])
    return model
