"""The first stage of `Enf2Enf`: the encoder of the shapes, trained on the training side alone, saved with the model."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.neural_fields.arguments import check_group
from meshlearn.models.neural_fields.geometry import DEFORMATION, Geometry
from meshlearn.models.neural_fields.pipeline import make_encoder, shape_names
from meshlearn.train import checkpoint
from meshlearn.train.fields import describe, resolve_fields
from meshlearn.train.fitting import split
from meshlearn.train.interrupt import FitInterruptedWarning
from meshlearn.train.items import Items, check_item
from meshlearn.train.options import FitOptions

# What the first stage takes from the options of the fit.
SHARED = (
    *("learning_rate", "weight_decay", "schedule", "warmup", "batch_points", "accumulate", "precision"),
    *("accelerator", "devices", "strategy", "clip", "seed", "progress", "keep_best"),
    "cache_samples",
)
LEAST = 1e-3  # seconds


class Shapes(Sequence[Mesh]):
    """The meshes of a sequence with the fields of their shapes, made when they are asked for."""

    def __init__(self, items: Items, geometry: Geometry) -> None:
        self.items, self.geometry = items, geometry

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.geometry.mesh(_still(self.items[index]))


def sides(model: Any, meshes: Any, options: FitOptions) -> tuple[Items, Items | None]:
    """(training meshes, validation meshes), split as every fit does, with all fields checked before hours are spent."""
    training, other, train, held_out = split(meshes, options)
    first = _still(check_item(training[0], train[0]))
    check_group(model.group, first.dim, model.period, ())
    fields = resolve_fields(first, model.inputs, model.outputs, describe(first, train[0]))
    sets: set[str] = set()
    role = "" if isinstance(options.validation, float) else "validation "
    for side, numbers, what in ((training, train, ""), (other, held_out, role)):
        for index, number in enumerate(numbers):
            item = check_item(side[index], number)  # type: ignore[index]
            for mesh in item if isinstance(item, Trajectory) else (item,):
                fields.check(mesh, what + describe(item, number))
                sets |= {*mesh.point_sets, *mesh.cell_sets} if side is training else set()
    model.check_sets(sets)
    return training, other


def encoder_of(
    model: Any, training: Items, validation: Items | None, options: FitOptions
) -> tuple[Any, Tensor | None, float | None]:
    """(fitted encoder, reference of the deformation or None, seconds left of a time budget or None).

    Raises KeyboardInterrupt when Ctrl-C ended the fit of the encoder: one that is half trained would be used for good.
    """
    if options.resume and options.checkpoint is not None and checkpoint.exists(options.checkpoint):
        from meshlearn.train.estimator import load

        known = load(options.checkpoint)
        return known._encoder, known._reference, options.time_budget
    began = time.perf_counter()
    reference = _mean_points(training) if shape_names(model.geometry) == (DEFORMATION,) else None
    geometry = Geometry(shape_names(model.geometry), model.boundary_sets, reference, model.period or ())
    budget = None if options.time_budget is None else model.encoder_share * options.time_budget
    encoder = make_encoder(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitInterruptedWarning)  # it says that what was learned is kept
        encoder.fit(
            Shapes(training, geometry),
            validation=None if validation is None else Shapes(validation, geometry),
            epochs=model.encoder_epochs or max(round(model.encoder_share * options.epochs), 1),
            time_budget=budget,
            **{name: getattr(options, name) for name in SHARED},
        )
    if encoder.interrupted_:
        raise KeyboardInterrupt(
            "the fit of this Enf2Enf was interrupted while it learned shapes, before the stage that learns the "
            "outputs: nothing is kept, and no checkpoint is written."
        )
    left = None
    if options.time_budget is not None:
        left = max(options.time_budget - (time.perf_counter() - began), LEAST)
    return encoder, reference, left


def _still(item: Any) -> Mesh:
    return item.frame(0) if isinstance(item, Trajectory) else item


def _mean_points(training: Items) -> Tensor:
    """Mean places of the nodes; raises MeshError unless all meshes have as many."""
    first = _still(training[0]).points.double()
    total = torch.zeros_like(first)
    for i in range(len(training)):
        mesh = _still(training[i])
        if mesh.points.shape != first.shape:
            raise MeshError(
                f"{describe(mesh, i)} has {mesh.n_points} points, the first mesh {len(first)}: geometry='deformation' "
                "needs the same nodes in the same order on all meshes.\n  The default, geometry='signed_distance', "
                "does not."
            )
        total += mesh.points.double()
    return (total / len(training)).float()
