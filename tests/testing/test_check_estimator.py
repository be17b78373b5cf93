"""check_estimator passes good models, and fails every kind of bad one by the name of the property."""

import functools

import pytest
import torch
from train.tiny import Tiny

import meshlearn as ml
from meshlearn.testing import check_estimator


def test_a_good_model_passes():
    assert len(check_estimator(functools.partial(Tiny, width=6))) == 17


def test_all_kinds_of_outputs_pass():
    check_estimator(functools.partial(Tiny, width=6), inputs=["f", "a", "q"], outputs=["u", "v", "total"])
    check_estimator(functools.partial(Tiny, width=6), inputs=["f"], outputs=["q"], skip=["resume", "fit_repeats"])


class Copies(Tiny):
    def __init__(self, inputs=(), outputs=()):
        self.inputs = list(inputs)
        self.outputs = outputs
        self.width, self.dropout, self.loss = 6, 0.0, "mse"


class Numbered(Tiny):
    """Looks at the number of a point."""

    def prepare(self, mesh):
        sample = super().prepare(mesh)
        number = torch.linspace(0, 1, mesh.n_points)[:, None]
        return sample.replace(point_inputs=torch.cat([sample.point_inputs, number], dim=1))


class Mixing(Tiny):
    """Looks at the other meshes of a batch."""

    def network(self, module, batch):
        out = module(batch)
        return {place: values + batch.points.mean() for place, values in out.items()}


class Random(Tiny):
    """Draws from a generator that nobody seeds."""

    def build(self, fields):
        net = super().build(fields)
        with torch.no_grad():
            net.mix.bias += torch.randn(len(net.mix.bias), generator=torch.Generator().manual_seed(id(net) % 2**31))
        return net


class Forgetful(Tiny):
    """Does not save its normalisers."""

    def get_state(self):
        tensors, meta = super().get_state()
        return {k: torch.ones_like(v) if k.startswith("normalizers") else v for k, v in tensors.items()}, meta


class Leaky(Tiny):
    """Keeps the truth where it can find it."""

    def predict(self, meshes, return_std=False):
        if isinstance(meshes, ml.MeshBatch):
            return ml.MeshBatch.from_meshes(self.predict(meshes.unbatch()))
        if isinstance(meshes, list):
            return [self.predict(mesh) for mesh in meshes]
        pred = super().predict(meshes, return_std)
        return pred.with_point_data(u=meshes.point_data.get("u", pred.point_data["u"]))


class Public(Tiny):
    def fit(self, meshes, **options):
        self.learned = 3
        return super().fit(meshes, **options)


@pytest.mark.parametrize(
    ("make", "failing"),
    [
        (Copies, "constructor_only_stores"),
        (functools.partial(Numbered, width=6), "permutation"),
        (functools.partial(Mixing, width=6), "batch_equals_loop"),
        (functools.partial(Random, width=6), "fit_repeats"),
        (functools.partial(Forgetful, width=6), "save_and_load"),
        (functools.partial(Leaky, width=6), "truth_does_not_leak"),
        (functools.partial(Public, width=6), "fit_returns_self"),
    ],
)
def test_bad_models_fail_by_name(make, failing):
    with pytest.raises(AssertionError, match=f"property '{failing}'"):
        check_estimator(make)


def test_tiny_is_loaded_under_its_own_name():
    assert ml.train.registry.find_estimator("Tiny") is Tiny
