"""`check_estimator`: the properties every estimator of meshlearn must have."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from meshlearn import errors
from meshlearn.mesh.batch import MeshBatch
from meshlearn.mesh.mesh import Mesh
from meshlearn.testing.properties import assert_batch_equals_loop, assert_permutation_equivariant, assert_same_fields
from meshlearn.testing.samples import example_meshes
from meshlearn.train.estimator import Estimator, load
from meshlearn.train.fields import resolve_one
from meshlearn.train.items import hide_fields
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.params import is_json
from meshlearn.train.registry import register_estimator


def check_estimator(
    make: Callable[..., Estimator],
    meshes: Sequence[Mesh] | None = None,
    inputs: Sequence[str] = ("f", "a"),
    outputs: Sequence[str] = ("u",),
    skip: Sequence[str] = (),
    **fit_options: Any,
) -> list[str]:
    """Fit small models and check them, property by property; returns the names of the properties that hold.

    make         called as make(inputs=[...], outputs=[...]): a class, or functools.partial(Class, hidden=8, ...)
    meshes       at least three meshes with the fields; default `example_meshes()`: point fields f, u, v, cell field q,
                 global values a and total
    skip         names of properties that a model does not have by design (the functions below, without "check_")
    fit_options  for `fit`; gradient-trained models get epochs=2 and progress=False where not given

    Raises AssertionError with the name of the property that fails.
    """
    case = _Case(make, list(meshes or example_meshes()), list(inputs), list(outputs), fit_options)
    passed = []
    for name, check in _CHECKS.items():
        if name in skip:
            continue
        try:
            check(case)
        except Exception as error:  # whatever went wrong, the property's name is what the reader needs first
            raise AssertionError(f"{case.name} fails the property {name!r}: {error}") from error
        passed.append(name)
    return passed


class _Case:
    """What the checks share: a factory, meshes, and one fitted model."""

    def __init__(self, make: Any, meshes: list[Mesh], inputs: list[str], outputs: list[str], options: dict[str, Any]):
        self.make, self.meshes, self.inputs, self.outputs = make, meshes, inputs, outputs
        model = self.new()
        self.name = type(model).__name__
        self.trained = isinstance(model, NetworkEstimator)
        self.options = {**({"epochs": 2, "progress": False} if self.trained else {}), **options}
        self._fitted: Estimator | None = None

    def new(self) -> Estimator:
        return self.make(inputs=list(self.inputs), outputs=list(self.outputs))

    def fit(self, **more: Any) -> Estimator:
        fit: Any = self.new().fit
        return fit(self.meshes, **{**self.options, **more})

    @property
    def fitted(self) -> Estimator:
        if self._fitted is None:
            self._fitted = self.fit()
        return self._fitted

    def same(self, a: Estimator, b: Estimator, what: str) -> None:
        for mesh in self.meshes[:3]:
            assert_same_fields(a.predict(mesh), b.predict(mesh), 0.0, 0.0, what)


def check_constructor_only_stores(case: _Case) -> None:
    """Arguments are stored as they are: the constructor checks, copies and computes nothing."""
    model = case.new()
    params = model.get_params()
    again = type(model)(**params)
    for name, value in params.items():
        assert getattr(again, name) is value, f"argument {name!r} is not stored as it was given"
    strange = {name: object() for name in params}
    stored = type(model)(**strange).get_params()
    assert all(stored[name] is value for name, value in strange.items()), "the constructor changes its arguments"


def check_set_params(case: _Case) -> None:
    """`set_params` returns self and refuses unknown names."""
    model = case.new()
    assert model.set_params(**model.get_params()) is model
    try:
        model.set_params(no_such_parameter=1)
    except errors.ParameterError:
        return
    raise AssertionError("set_params takes a parameter that does not exist")


def check_not_fitted(case: _Case) -> None:
    """predict, score and save before fit raise NotFittedError."""
    model, mesh = case.new(), case.meshes[0]
    with tempfile.TemporaryDirectory() as folder:
        for action, argument in (("predict", mesh), ("score", [mesh]), ("save", Path(folder) / "model")):
            try:
                getattr(model, action)(argument)
            except errors.NotFittedError:
                continue
            raise AssertionError(f"{action} works before fit")


def check_fit_returns_self(case: _Case) -> None:
    """`fit` returns self, leaves the parameters alone, and sets learned state in names that end with "_"."""
    model = case.new()
    params, before = model.get_params(), set(vars(model))
    fit: Any = model.fit
    assert fit(case.meshes, **case.options) is model, "fit does not return self"
    for name, value in model.get_params().items():
        assert value is params[name], f"fit changes the parameter {name!r}"
    odd = [name for name in set(vars(model)) - before if not (name.endswith("_") or name.startswith("_"))]
    assert not odd, f"learned attributes must end with '_': {sorted(odd)}"


def check_fit_repeats(case: _Case) -> None:
    """Two fits give the same predictions, bit for bit on the CPU, whatever torch's global generator holds."""
    torch_state = torch.random.get_rng_state()
    a = case.fitted
    torch.manual_seed(torch.initial_seed() + 1)
    b = case.fit()
    torch.random.set_rng_state(torch_state)
    case.same(a, b, "two fits on the same meshes")


def check_fit_leaves_the_generator(case: _Case) -> None:
    """torch's global generator is as it was."""
    before = torch.random.get_rng_state()
    case.fit()
    assert torch.equal(before, torch.random.get_rng_state()), "fit changes the state of torch's global generator"


def check_batch_equals_loop(case: _Case) -> None:
    """Predicting a list equals predicting one by one; a MeshBatch gives a MeshBatch."""
    assert_batch_equals_loop(case.fitted, case.meshes)
    batch = case.fitted.predict(MeshBatch.from_meshes(case.meshes[:2]))
    assert isinstance(batch, MeshBatch)
    assert_same_fields(batch.meshes[1], case.fitted.predict(case.meshes[1]), 1e-4, 1e-5, "a MeshBatch and one mesh")


def check_permutation(case: _Case) -> None:
    """The numbering of points and cells does not matter."""
    for mesh in case.meshes[:3]:
        assert_permutation_equivariant(case.fitted, mesh)


def check_other_sizes(case: _Case) -> None:
    """Predictions on every mesh have its size, its dtype, and are finite; float64 meshes stay float64."""
    for mesh in (case.meshes[0], case.meshes[-1], case.meshes[0].double(), case.meshes[0].float()):
        pred = case.fitted.predict(mesh)
        for name in case.outputs:
            spec = resolve_one(mesh, name)
            values = spec.values(pred)
            assert values.shape == spec.values(mesh).shape, f"{name} has the wrong shape"
            assert values.dtype == mesh.dtype, f"{name} is {values.dtype} on a {mesh.dtype} mesh"


def check_mesh_is_kept(case: _Case) -> None:
    """Fields, sets and points that are not predicted are on the prediction unchanged."""
    mesh = case.meshes[0]
    pred = case.fitted.predict(mesh)
    assert_same_fields(
        hide_fields(pred, case.outputs), hide_fields(mesh, case.outputs), 0.0, 0.0, "fields not predicted"
    )
    assert torch.equal(pred.points, mesh.points)
    assert pred.cell_sets.keys() == mesh.cell_sets.keys()


def check_truth_does_not_leak(case: _Case) -> None:
    """Outputs that a mesh already carries change nothing."""
    hidden = [name for name in case.outputs if name not in case.inputs]
    for mesh in case.meshes[:3]:
        bare = case.fitted.predict(hide_fields(mesh, hidden))
        full = case.fitted.predict(mesh)
        for name in case.outputs:
            spec = resolve_one(full, name)
            assert torch.equal(spec.values(bare), spec.values(full)), f"{name} depends on the truth on the mesh"


def check_save_and_load(case: _Case) -> None:
    """A loaded model has the same parameters and predicts the same, bit for bit; its folder holds data only."""
    model = case.fitted
    register_estimator(type(model))
    with tempfile.TemporaryDirectory() as folder:
        path = model.save(Path(folder) / "model")
        suffixes = {file.suffix for file in path.iterdir()}
        assert suffixes <= {".json", ".safetensors"}, f"unexpected files {suffixes}"
        again = load(path)
    assert type(again) is type(model)
    case.same(model, again, "the model before and after save and load")
    for name, value in model.get_params().items():
        assert is_json(value), f"the parameter {name!r} is not data"


def check_resume(case: _Case) -> None:
    """A fit stopped half-way and resumed equals one that was not stopped, bit for bit (gradient-trained models)."""
    if not case.trained:
        return
    options = {"epochs": 2, "schedule": "constant", "warmup": 0.0, "batch_points": 1}
    steps = len(case.meshes) + 1  # one in the second epoch
    with tempfile.TemporaryDirectory() as folder:
        register_estimator(type(case.new()))
        whole = case.fit(**options)
        case.fit(**options, checkpoint=folder, max_steps=steps)
        case.same(whole, case.fit(**options, checkpoint=folder, resume=True), "a whole and a resumed fit")


def check_bad_fields(case: _Case) -> None:
    """A missing or non-finite field on one mesh of many is a FieldError that names the mesh and the field."""
    name = (case.inputs or case.outputs)[0]
    meshes = list(case.meshes)
    missing = hide_fields(meshes[1], [name]).replace(source="the_bad_one")
    spec = resolve_one(meshes[1], name)
    table = spec.values(meshes[1]).clone()
    table[0] = torch.nan
    case_fields = case.fitted.fields_
    spoiled = case_fields.attach(meshes[1], {spec: spec.restore(table)}).replace(source="the_bad_one")
    for bad in (missing, spoiled):
        meshes[1] = bad
        fit: Any = case.new().fit
        message = ""
        try:
            fit(meshes, **case.options)
        except errors.FieldError as error:
            message = str(error)
        assert message, f"fit takes a mesh whose field {name!r} is missing or not finite"
        assert name in message, f"the error does not name the field: {message}"
        assert "the_bad_one" in message, f"the error does not name the mesh: {message}"


def check_empty(case: _Case) -> None:
    """An empty list is a ParameterError."""
    for action in (lambda: case.new().fit([]), lambda: case.fitted.predict([]), lambda: case.fitted.score([])):
        try:
            action()
        except errors.ParameterError:
            continue
        raise AssertionError("an empty list of meshes is accepted")


def check_score(case: _Case) -> None:
    """`score` gives one non-negative number per output."""
    score = case.fitted.score(case.meshes)
    assert list(score) == case.outputs, f"score has {list(score)}, the outputs are {case.outputs}"
    assert all(value >= 0.0 for value in score.values()), score


def check_single_mesh(case: _Case) -> None:
    """`fit` accepts one mesh."""
    fit: Any = case.new().fit
    assert fit(case.meshes[0], **case.options).is_fitted


_CHECKS: dict[str, Callable[[_Case], None]] = {
    name.removeprefix("check_"): function
    for name, function in list(globals().items())
    if name.startswith("check_") and name != "check_estimator"
}
