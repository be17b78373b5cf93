"""Checkpoints of a fit: resumed fits continue bit for bit, and an interrupt never harms the checkpoint in place."""

import json
import os
from pathlib import Path

import pytest
import torch

import meshlearn as ml
from meshlearn.train import checkpoint
from meshlearn.train.optimizer import adamw, fit_for

from .tiny import Tiny, assert_same_weights, quick, wave, waves

FULL = {
    "epochs": 4,
    "batch_points": 1,
    "ema": 0.9,
    "validation": 0.25,
    "schedule": "cosine",
    "clip": 0.5,
    "accumulate": 2,
}


class Kill(ml.train.Callback):
    """Ends the process's work the hard way after some step: nothing is saved on the way out."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, context):
        if context.step == self.step:
            raise RuntimeError("power failure")


def strip(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_a_killed_fit_resumes_bit_for_bit(tmp_path, step):
    """Six training meshes make three steps per epoch: steps 1, 4, 5 and 8 are within epochs."""
    whole = quick(Tiny(dropout=0.3), waves(8), **FULL)
    options = {**FULL, "checkpoint": tmp_path, "checkpoint_steps": 1}
    with pytest.raises(RuntimeError, match="power"):
        quick(Tiny(dropout=0.3), waves(8), callbacks=[Kill(step + 1)], **options)
    assert checkpoint.read_meta(tmp_path)["training"]["position"]["step"] == step
    resumed = quick(Tiny(dropout=0.3), waves(8), resume=True, **options)
    assert_same_weights(whole, resumed)
    assert strip(whole.history_) == strip(resumed.history_)


def test_resume_after_max_steps_within_an_epoch(tmp_path):
    options = {"epochs": 3, "batch_points": 1, "schedule": "constant", "warmup": 0.0, "checkpoint": tmp_path}
    whole = quick(Tiny(dropout=0.3), waves(4), **{**options, "checkpoint": None})
    first = quick(Tiny(dropout=0.3), waves(4), max_steps=6, **options)
    assert first.history_[-1]["step"] == 6
    assert_same_weights(whole, quick(Tiny(dropout=0.3), waves(4), resume=True, **options))


def test_resume_needs_a_checkpoint_and_auto_does_not(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(ml.CheckpointError, match=r"(?s)no checkpoint in .*resume='auto'"):
            quick(Tiny(), waves(3), checkpoint=folder, resume=True)
    assert not (tmp_path / "missing").exists()
    a = quick(Tiny(), waves(3), checkpoint=tmp_path / "a", resume="auto")
    assert_same_weights(a, quick(Tiny(), waves(3)))
    with pytest.warns(ml.FitWarning, match="3 epochs of 3"):
        assert_same_weights(a, quick(Tiny(), waves(3), checkpoint=tmp_path / "a", resume="auto"))


def test_a_new_fit_never_overwrites_a_model(tmp_path):
    quick(Tiny(), waves(3), checkpoint=tmp_path / "run")
    quick(Tiny(), waves(3)).save(tmp_path / "model")
    before = (tmp_path / "run" / "model.json").read_text()
    for folder, kind in (("run", "checkpoint of an earlier fit"), ("model", "saved model")):
        model = Tiny()
        with pytest.raises(ml.CheckpointError, match=f"(?s)holds (the|a) {kind}.*resume=True"):
            quick(model, waves(3), checkpoint=tmp_path / folder)
        assert not model.is_fitted
    assert (tmp_path / "run" / "model.json").read_text() == before


def test_a_damaged_checkpoint_is_not_resumed(tmp_path):
    quick(Tiny(), waves(3), checkpoint=tmp_path)
    file = next(tmp_path.glob("training-*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(data)
    with pytest.raises(ml.CheckpointError, match="SHA-256"):
        quick(Tiny(), waves(3), checkpoint=tmp_path, resume=True, epochs=5)


def test_the_default_optimiser_is_fused_and_resumes_bit_for_bit(tmp_path):
    model = quick(Tiny(), waves(2))
    assert model.build_optimizer(model.module_, 1e-3, 0.0).defaults["fused"]
    options = {"epochs": 3, "batch_points": 1, "schedule": "constant", "warmup": 0.0, "precision": "64"}
    whole = quick(Tiny(), waves(3), **options)
    quick(Tiny(), waves(3), **options, checkpoint=tmp_path, max_steps=4)
    assert_same_weights(whole, quick(Tiny(), waves(3), **options, checkpoint=tmp_path, resume=True))


@pytest.mark.parametrize(("device", "precision"), [("meta", "32-true"), ("cpu", "16-mixed")])
def test_the_fused_kernel_is_left_out_where_it_cannot_work(device, precision):
    optimizer = adamw([{"params": [torch.nn.Parameter(torch.ones(2))]}], 0.1)
    fit_for(optimizer, torch.device(device), precision)
    assert not any(group["fused"] for group in optimizer.param_groups)
    assert not optimizer._step_supports_amp_scaling
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    optimizer.step()
    assert optimizer.param_groups[0]["params"][0].tolist() == pytest.approx([0.899, 0.899])


def test_resuming_a_finished_fit_gives_the_model_again(tmp_path):
    a = quick(Tiny(), waves(4), checkpoint=tmp_path, validation=0.25)
    with pytest.warns(ml.FitWarning, match="nothing is trained"):
        b = quick(Tiny(), waves(4), checkpoint=tmp_path, validation=0.25, resume=True)
    assert_same_weights(a, b)
    assert a.history_ == b.history_


def test_a_checkpoint_is_a_model(tmp_path):
    a = quick(Tiny(), waves(4), checkpoint=tmp_path, validation=0.25, ema=0.9)
    b = ml.load(tmp_path)
    assert_same_weights(a, b)
    assert b.history_ == a.history_


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.5}, "learning_rate"),
        ({"seed": 9}, "seed"),
        ({"batch_points": 50}, "batch_points"),
        ({"ema": 0.5}, "ema"),
    ],
)
def test_resume_refuses_other_options(tmp_path, change, named):
    quick(Tiny(), waves(3), checkpoint=tmp_path)
    with pytest.raises(ml.CheckpointError, match=named):
        quick(Tiny(), waves(3), checkpoint=tmp_path, resume=True, **change)


def test_resume_refuses_other_meshes_parameters_and_plain_models(tmp_path):
    quick(Tiny(), waves(3), checkpoint=tmp_path / "run")
    with pytest.raises(ml.CheckpointError, match="meshes"):
        quick(Tiny(), waves(4), checkpoint=tmp_path / "run", resume=True)
    with pytest.raises(ml.CheckpointError, match="params"):
        quick(Tiny(width=8), waves(3), checkpoint=tmp_path / "run", resume=True)
    quick(Tiny(), waves(3)).save(tmp_path / "model")
    with pytest.raises(ml.CheckpointError, match="not a checkpoint"):
        quick(Tiny(), waves(3), checkpoint=tmp_path / "model", resume=True)


@pytest.mark.parametrize("part", ["keys", "position", "optimizer_numbers", "optimizer_groups", "precision"])
def test_resume_names_a_damaged_checkpoint(tmp_path, part):
    quick(Tiny(), waves(3), checkpoint=tmp_path)
    path = tmp_path / checkpoint.INDEX
    meta = json.loads(path.read_text())
    del meta["training"][part]
    path.write_text(json.dumps(meta))
    with pytest.raises(ml.CheckpointError, match=f"'training' .*{part}"):
        quick(Tiny(), waves(3), checkpoint=tmp_path, resume=True)


# -- nothing harms the previous one ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", range(6))
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupt_at_any_file_operation_leaves_a_whole_model(tmp_path, monkeypatch, call, error):
    """The n-th call that touches the disk fails; afterwards the folder loads as the old model or as the new one."""
    old, new = quick(Tiny(), waves(2), seed=1), quick(Tiny(), waves(2), seed=2)
    old.save(tmp_path)
    calls = iter(range(100))

    def failing(function):
        def wrapped(*args, **kwargs):
            if next(calls) == call:
                raise error("cut")
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(os, "replace", failing(os.replace))
    monkeypatch.setattr(Path, "write_text", failing(Path.write_text))
    failed = False
    try:
        new.save(tmp_path)
    except (KeyboardInterrupt, ml.CheckpointError):
        failed = True
    monkeypatch.undo()
    found = ml.load(tmp_path)
    pred = found.predict(wave()).point_data["u"]
    expected = [model.predict(wave()).point_data["u"] for model in (old, new)]
    assert any(torch.equal(pred, values) for values in expected)
    assert failed == (call < 5)
    if not failed:
        assert torch.equal(pred, expected[1])
    new.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # nothing half-written stays


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    for name in (".tmpAbC123", ".model.json.00ff", ".probe-00ff", "model-0123456789abcdef.safetensors", "notes.txt"):
        (tmp_path / name).write_text("left")
    quick(Tiny(), waves(2)).save(tmp_path)
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"model", "model.json", "notes.txt"}
    ml.load(tmp_path)


def test_an_interrupt_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    replace = os.replace
    calls = iter(range(100))

    def cut(source, target):
        if str(target).endswith("model.json") and next(calls) == 2:
            raise KeyboardInterrupt
        return replace(source, target)

    options = {"epochs": 5, "checkpoint": tmp_path}
    whole = quick(Tiny(), waves(3), epochs=5)
    monkeypatch.setattr(os, "replace", cut)
    with pytest.warns(ml.train.FitInterruptedWarning):
        quick(Tiny(), waves(3), **options)
    monkeypatch.undo()
    assert_same_weights(whole, quick(Tiny(), waves(3), resume=True, **options))


def test_unwritable_folders_are_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ml.CheckpointError, match="cannot write"):
        quick(Tiny(), waves(2), checkpoint=tmp_path / "file" / "run")
    with pytest.raises(ml.CheckpointError):
        quick(Tiny(), waves(2)).save(tmp_path / "file")


def test_arguments_that_are_not_data_are_refused_before_training(tmp_path):
    with pytest.raises(ml.CheckpointError, match="width"):
        quick(Tiny(width=torch.nn.Linear(1, 1)), waves(2), checkpoint=tmp_path / "run")


def test_an_interrupt_while_meshes_are_read_leaves_the_model_and_the_checkpoint(tmp_path):
    class Cut(list):
        def __getitem__(self, i):
            if i == 2:
                raise KeyboardInterrupt
            return super().__getitem__(i)

    model = quick(Tiny(), waves(3), checkpoint=tmp_path)
    before, meta = checkpoint.read_meta(tmp_path), model.history_
    with pytest.raises(KeyboardInterrupt):
        quick(model, Cut(waves(3)), checkpoint=tmp_path, resume=True)
    assert model.is_fitted
    assert model.history_ is meta
    assert checkpoint.read_meta(tmp_path) == before
    fresh = Tiny()
    with pytest.raises(KeyboardInterrupt):
        quick(fresh, Cut(waves(3)))
    assert not fresh.is_fitted
