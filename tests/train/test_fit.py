"""The fit loop: what it learns, that it repeats, and what it refuses."""

import math
import os
import signal

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import meshlearn as ml
from meshlearn.train import FitInterruptedWarning

from .tiny import Tiny, assert_same_weights, heat, quick, wave, waves, weights


def test_fit_returns_self_and_learns():
    model = Tiny()
    assert model.fit(waves(), epochs=80, learning_rate=1e-2, progress=False) is model
    assert model.score(waves())["u"] < 0.05
    assert [record["epoch"] for record in model.history_] == list(range(80))
    assert set(model.history_[0]) == {"epoch", "step", "train_loss", "val_loss", "lr", "seconds"}


def test_first_loss_is_about_one_because_targets_are_normalised_by_measure():
    model = quick(Tiny(), waves(), epochs=1, learning_rate=1e-12)
    assert 0.5 < model.history_[0]["train_loss"] < 2.0


def test_same_seed_gives_the_same_weights_and_another_seed_others():
    options = {"epochs": 2, "validation": 0.25}
    a, b, c = (quick(Tiny(dropout=0.1), waves(), seed=seed, **options) for seed in (1, 1, 2))
    assert_same_weights(a, b)
    assert any(not torch.equal(weights(a)[name], weights(c)[name]) for name in weights(a))


def test_fit_leaves_the_global_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    quick(Tiny(dropout=0.1), waves(2))
    assert torch.equal(torch.rand(3), expected)


def test_a_user_seed_does_not_change_a_fit():
    torch.manual_seed(1)
    a = quick(Tiny(dropout=0.1), waves(2))
    torch.manual_seed(2)
    assert_same_weights(a, quick(Tiny(dropout=0.1), waves(2)))


def test_the_weights_do_not_depend_on_how_samples_are_kept():
    assert_same_weights(quick(Tiny(), waves(4)), quick(Tiny(), waves(4), cache_samples=False))


def test_accumulated_batches_equal_one_large_batch():
    meshes = waves(4)
    one = quick(Tiny(), meshes, epochs=2, batch_points=10_000, batch_edges=100_000, precision="64")
    many = quick(Tiny(), meshes, epochs=2, batch_points=1, accumulate=4, precision="64")
    assert one.history_[-1]["step"] == many.history_[-1]["step"] == 2
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(many)[name], rtol=1e-9, atol=1e-12)


def test_a_mesh_above_the_budget_is_a_batch_of_its_own():
    model = quick(Tiny(), waves(3), epochs=1, batch_points=1, batch_edges=1)
    assert model.history_[0]["step"] == 3


def test_single_mesh_and_lazy_sequence():
    class Lazy:
        def __init__(self, meshes):
            self.meshes, self.loads = meshes, 0

        def __len__(self):
            return len(self.meshes)

        def __getitem__(self, i):
            self.loads += 1
            return self.meshes[i]

    quick(Tiny(), wave())
    lazy = Lazy(waves(4))
    a = quick(Tiny(), lazy, validation=0.25)
    assert lazy.loads == 5  # every mesh once, and the first to look the fields up
    assert_same_weights(a, quick(Tiny(), lazy.meshes, validation=0.25))


def test_outputs_at_points_cells_and_the_whole_mesh():
    meshes = waves(6)
    model = Tiny(inputs=["f", "a", "q"], outputs=["u", "v", "total"]).fit(
        meshes, epochs=60, learning_rate=1e-2, progress=False
    )
    assert all(value < 0.2 for value in model.score(meshes).values())
    cells = Tiny(inputs=["f", "a"], outputs=["q"]).fit(meshes, epochs=60, learning_rate=1e-2, progress=False)
    pred = cells.predict(meshes[0])
    assert pred.cell_data["q"]["triangle"].shape == meshes[0].cell_data["q"]["triangle"].shape
    assert cells.score(meshes)["q"] < 0.2


def test_mixed_cells_and_a_point_cloud():
    mixed = wave(n=(4, 4), cells="mixed")
    cloud = ml.Mesh(mixed.points, point_data=mixed.point_data, global_data=mixed.global_data)
    model = quick(Tiny(), [mixed, cloud])
    assert model.predict(cloud).point_data["u"].shape == (cloud.n_points,)


# -- validation ----------------------------------------------------------------------------------------------------


def test_validation_fraction_holds_out_whole_meshes_and_normalisers_do_not_see_them():
    meshes = waves(4)
    plain = quick(Tiny(), meshes, validation=0.25, epochs=1)
    spoiled = [m.replace(point_data={**m.point_data, "u": m.point_data["u"] * 1e3}) for m in meshes]
    scales = set()
    for k in range(4):
        some = [spoiled[i] if i == k else meshes[i] for i in range(4)]
        model = quick(Tiny(), some, validation=0.25, epochs=1)
        scales.add(float(model.normalizers_.targets["point"].scale))
    assert float(plain.normalizers_.targets["point"].scale) in scales  # the held-out mesh left no trace
    assert len(scales) == 4


def test_one_mesh_cannot_be_split():
    with pytest.raises(ml.ParameterError, match="at least two meshes"):
        Tiny().fit(wave(), validation=0.1, progress=False)


def test_a_small_fraction_still_holds_out_one_mesh():
    assert quick(Tiny(), waves(3), validation=0.01).history_[-1]["val_loss"] is not None


@pytest.mark.parametrize("validation", [0.0, 1.0, -0.1, 1, True])
def test_impossible_fractions(validation):
    with pytest.raises(ml.ParameterError, match="validation"):
        quick(Tiny(), waves(3), validation=validation)


def test_best_weights_are_kept():
    seen = {}
    options = {"validation": waves(2), "epochs": 12, "learning_rate": 0.3, "schedule": "constant"}

    def spoil(context):
        seen[context.epoch] = weights(context.model)["module.encode.0.weight"].clone()

    model = quick(Tiny(), waves(4), callbacks=[spoil], **options)
    losses = [record["val_loss"] for record in model.history_]
    best = losses.index(min(losses))
    assert torch.equal(weights(model)["module.encode.0.weight"], seen[best])
    last = quick(Tiny(), waves(4), keep_best=False, **options)
    assert torch.equal(weights(last)["module.encode.0.weight"], seen[11])


def test_patience_stops_early():
    model = quick(Tiny(), waves(4), validation=0.25, epochs=200, patience=3, learning_rate=1.0, schedule="constant")
    losses = [record["val_loss"] for record in model.history_]
    assert len(losses) < 200
    assert len(losses) - 1 - losses.index(min(losses)) == 3


# -- ends ----------------------------------------------------------------------------------------------------------


def test_max_steps_ends_within_an_epoch_and_the_record_says_so():
    model = quick(Tiny(), waves(6), batch_points=1, max_steps=8, epochs=5, validation=waves(1))
    assert [record["step"] for record in model.history_] == [6, 8]
    assert model.history_[-1]["val_loss"] is not None


def test_time_budget_ends_the_fit():
    model = quick(Tiny(), waves(4), epochs=100_000, time_budget=0.3)
    assert 1 <= len(model.history_) < 100_000
    assert model.history_[-1]["lr"] < 0.2e-3  # the schedule follows the clock


def test_a_callback_may_stop_the_fit():
    model = quick(
        Tiny(), waves(3), epochs=50, callbacks=[lambda context: context.stop() if context.epoch == 1 else None]
    )
    assert len(model.history_) == 2


def test_diverging_loss_raises_and_keeps_good_weights():
    class Spoil(ml.train.Callback):
        def on_step_end(self, context):
            if context.step == 5:
                with torch.no_grad():
                    context.model.module_.encode[0].weight.fill_(torch.nan)

    model = Tiny()
    with pytest.raises(ml.ConvergenceError, match="epoch 2"):
        quick(model, waves(2), batch_points=1, epochs=20, callbacks=[Spoil()])
    assert all(torch.isfinite(value).all() for value in weights(model).values())
    assert torch.isfinite(model.predict(wave()).point_data["u"]).all()
    assert len(model.history_) == 2


@pytest.mark.parametrize("where", ["epoch", "step"])
def test_interrupt_keeps_the_model_and_the_checkpoint_resumes(tmp_path, where):
    class Interrupt(ml.train.Callback):
        def on_step_end(self, context):
            if where == "step" and context.step == 5:
                raise KeyboardInterrupt

        def on_epoch_end(self, context):
            if where == "epoch" and context.epoch == 1:
                raise KeyboardInterrupt

    options = {"batch_points": 1, "epochs": 5, "checkpoint": tmp_path / "run"}
    whole = quick(Tiny(dropout=0.2), waves(3), **{**options, "checkpoint": tmp_path / "whole"})
    model = Tiny(dropout=0.2)
    with pytest.warns(FitInterruptedWarning, match="resume=True"):
        quick(model, waves(3), callbacks=[Interrupt()], **options)
    assert model.is_fitted
    model.predict(wave())
    again = quick(Tiny(dropout=0.2), waves(3), resume=True, **options)
    assert_same_weights(whole, again)


def test_ctrl_c_finishes_the_step():
    class Press(ml.train.Callback):
        def on_step_end(self, context):
            if context.step == 4:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.warns(FitInterruptedWarning):
        model = quick(Tiny(), waves(3), batch_points=1, epochs=50, callbacks=[Press()])
    assert signal.getsignal(signal.SIGINT) is before
    assert len(model.history_) == 1


class Reads(TorchDispatchMode):
    """Counts real numbers read from tensors one by one: each makes the host wait for a GPU."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [{}, {"validation": [wave()] * 6}], ids=["training", "validation"])
def test_losses_are_not_read_batch_by_batch(options):
    counts = []
    for points in (10_000, 1):
        with Reads() as reads:
            model = quick(Tiny(), waves(6), batch_points=points, accumulate=6, epochs=2, **options)
        counts.append(reads.count)
        assert model.history_[-1]["step"] == 2
    assert counts[0] == counts[1]


class Break(ml.train.Callback):
    def __init__(self, where):
        self.where = where

    def _fail(self, where):
        if where == self.where:
            raise RuntimeError("a fault of the callback")

    def on_fit_start(self, context):
        self._fail("start")

    def on_step_end(self, context):
        self._fail("step")

    def on_fit_end(self, context):
        self._fail("end")


@pytest.mark.parametrize("where", ["start", "step", "end"])
def test_an_error_in_the_first_fit_leaves_the_model_unfitted(where):
    model = Tiny()
    with pytest.raises(RuntimeError, match="callback"):
        quick(model, waves(2), callbacks=[Break(where)])
    assert not model.is_fitted
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize("options", [{}, {"warm_start": True}, {"warm_start": True, "precision": "64"}], ids=str)
@pytest.mark.parametrize("where", ["start", "step", "end"])
def test_an_error_in_a_later_fit_leaves_the_model_as_it_was(where, options):
    model = quick(Tiny(), waves(2))
    before = {name: value.clone() for name, value in weights(model).items()}
    history, expected = list(model.history_), model.predict(wave()).point_data["u"]
    with pytest.raises(RuntimeError, match="callback"):
        quick(model, waves(3), callbacks=[Break(where)], **options)
    assert model.history_ == history
    for name, value in weights(model).items():
        assert value.dtype == before[name].dtype, name
        assert torch.equal(value, before[name]), name
    assert torch.equal(model.predict(wave()).point_data["u"], expected)


def test_a_refused_resume_leaves_the_model_as_it_was(tmp_path):
    quick(Tiny(), waves(3), checkpoint=tmp_path)
    model = quick(Tiny(), waves(3), seed=4)
    before = {name: value.clone() for name, value in weights(model).items()}
    with pytest.raises(ml.CheckpointError, match="seed"):
        quick(model, waves(3), checkpoint=tmp_path, resume=True, seed=5)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_a_fit_on_the_cpu_does_not_wake_the_gpus(monkeypatch):
    def woken(*_):
        raise AssertionError("CUDA was initialised")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("get_rng_state", "manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, woken)
    quick(Tiny(), waves(2))


# -- options -------------------------------------------------------------------------------------------------------


def test_a_second_fit_starts_anew_and_warm_start_continues():
    a = quick(quick(Tiny(), waves(2)), waves(4))
    assert_same_weights(a, quick(Tiny(), waves(4)))
    start = quick(Tiny(), waves(4), epochs=30)
    first_loss = start.history_[0]["train_loss"]
    start.fit(waves(4), epochs=1, warm_start=True, progress=False)
    assert start.history_[0]["train_loss"] < 0.7 * first_loss
    with pytest.raises(ml.NotFittedError):
        quick(Tiny(), waves(2), warm_start=True)


def test_ema_is_what_is_validated_and_kept():
    a = quick(Tiny(), waves(4), epochs=5, ema=0.9, validation=0.25)
    b = quick(Tiny(), waves(4), epochs=5, validation=0.25)
    name = "module.encode.0.weight"
    assert not torch.equal(weights(a)[name], weights(b)[name])
    assert a.history_[0]["train_loss"] == b.history_[0]["train_loss"]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "exponential", lambda progress: 0.5])
def test_schedules(schedule):
    rates = [r["lr"] for r in quick(Tiny(), waves(4), epochs=10, schedule=schedule, learning_rate=1e-2).history_]
    assert all(0 < rate <= 1e-2 for rate in rates)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("precision", ["bf16", "64", "32-true"])
def test_precisions(precision):
    model = quick(Tiny(), waves(4), epochs=20, learning_rate=1e-2, precision=precision)
    assert model.dtype == (torch.float64 if precision == "64" else torch.float32)
    assert model.history_[-1]["train_loss"] < 0.7 * model.history_[0]["train_loss"]


def test_float64_meshes_come_back_in_float64():
    model = quick(Tiny(), waves(2, dtype=torch.float64))
    assert model.dtype == torch.float32
    assert model.predict(wave(dtype=torch.float64)).point_data["u"].dtype == torch.float64
    assert model.predict(wave()).point_data["u"].dtype == torch.float32


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"learning_rate": -1.0},
        {"accumulate": 0},
        {"precision": "7"},
        {"schedule": "sine"},
        {"ema": 1.5},
        {"patience": 2},
        {"resume": True},
        {"batch_points": 0},
        {"time_budget": 0.0},
        {"callbacks": [3]},
        {"accelerator": "abacus"},
        {"warmup": 1.0},
    ],
)
def test_impossible_options(options):
    with pytest.raises(ml.ParameterError):
        quick(Tiny(), waves(2), **options)


def test_half_precision_needs_a_gpu():
    with pytest.raises(ml.ParameterError, match="GPU"):
        quick(Tiny(), waves(2), precision="16")


def test_a_network_without_weights_cannot_be_trained():
    class Nothing(Tiny):
        def build(self, fields):
            return torch.nn.Identity()

    with pytest.raises(ml.ParameterError, match="nothing to train"):
        quick(Nothing(), waves(2))


def test_a_network_that_returns_the_wrong_thing():
    class Wrong(Tiny):
        def network(self, module, batch):
            return {"point": module(batch)["point"][:-1]}

    with pytest.raises(ml.FieldError, match="must return 'point' outputs of shape"):
        quick(Wrong(), waves(2))


def test_frozen_weights_stay():
    class Frozen(Tiny):
        def build(self, fields):
            net = super().build(fields)
            net.encode.requires_grad_(False)
            return net

    a, b = quick(Frozen(), waves(2), epochs=1), quick(Frozen(), waves(2), epochs=5)
    name = "module.encode.0.weight"
    assert torch.equal(weights(a)[name], weights(b)[name])
    assert not torch.equal(weights(a)["module.mix.weight"], weights(b)["module.mix.weight"])


def test_augment_changes_training_batches_only_and_repeats():
    class Noisy(Tiny):
        def augment(self, batch):
            noise = torch.randn_like(batch.point_inputs)
            return batch.replace(point_inputs=batch.point_inputs + noise)

    a, b = quick(Noisy(), waves(3)), quick(Noisy(), waves(3))
    assert_same_weights(a, b)
    assert not torch.equal(weights(a)["module.mix.weight"], weights(quick(Tiny(), waves(3)))["module.mix.weight"])


def test_learning_a_change_with_targets_and_decode():
    class Change(Tiny):
        def targets(self, source, target):
            after, before = (self.fields_.table(mesh, "outputs", "point") for mesh in (target, source))
            return {"point": after - before}

        def decode(self, mesh, tables):
            return {"point": self.fields_.table(mesh, "outputs", "point") + tables["point"]}

    model = quick(Change(inputs=["u", "f"], outputs=["u"]), [heat()], epochs=30, learning_rate=1e-2)
    plain = quick(Tiny(inputs=["u", "f"], outputs=["u"]), [heat()], epochs=30, learning_rate=1e-2)
    assert model.score(heat())["u"] < plain.score(heat())["u"]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32", "16", "bf16"])
def test_training_on_a_gpu(tmp_path, precision):
    options = {"accelerator": "cuda", "precision": precision, "epochs": 4, "ema": 0.9, "validation": 0.25}
    model = quick(Tiny(outputs=["u", "q", "total"]), waves(6), checkpoint=tmp_path, **options)
    assert model.device.type == "cuda"
    assert all(math.isfinite(record["val_loss"]) for record in model.history_)
    mesh = wave()
    expected = ml.load(tmp_path).predict(mesh).point_data["u"]
    torch.testing.assert_close(model.predict(mesh).point_data["u"], expected, rtol=1e-4, atol=1e-4)
    assert model.predict(mesh.to("cuda")).point_data["u"].device.type == "cuda"
    assert quick(Tiny(outputs=["u", "q", "total"]), waves(6), checkpoint=tmp_path, resume=True, **options).is_fitted


def test_unknown_loss():
    with pytest.raises(ml.ParameterError, match="loss"):
        quick(Tiny(loss="l7"), waves(2))


# -- trajectories --------------------------------------------------------------------------------------------------


def test_stepping_model_learns_from_pairs_of_frames():
    model = Tiny(inputs=["u", "f"], outputs=["u"]).fit(
        [heat(), heat(3)], epochs=100, learning_rate=1e-2, progress=False
    )
    series = heat()
    pred = model.predict(series)
    assert isinstance(pred, ml.Trajectory)
    assert torch.equal(pred.point_data["u"][0], series.point_data["u"][0])
    assert model.score(series)["u"] < 0.1
    one = model.predict(series[1])
    torch.testing.assert_close(pred.point_data["u"][2], one.point_data["u"])


def test_steady_model_takes_every_frame_as_a_mesh():
    frames = quick(Tiny(inputs=["f"], outputs=["u"]), [heat()], batch_points=10_000)
    meshes = quick(Tiny(inputs=["f"], outputs=["u"]), list(heat()), batch_points=10_000)
    assert_same_weights(frames, meshes)


def test_a_single_frame_has_no_step():
    with pytest.raises(ml.ParameterError, match="time step"):
        quick(Tiny(inputs=["u"], outputs=["u"]), heat(1))


def test_loss_is_finite_and_measured_per_mesh():
    assert all(math.isfinite(record["train_loss"]) for record in quick(Tiny(), waves(3)).history_)
