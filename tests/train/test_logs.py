"""Logs, progress, callbacks."""

import csv

import pytest

import meshlearn as ml
from meshlearn.train import Callback

from .tiny import Tiny, quick, waves


def read(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_csv_holds_the_history(tmp_path):
    model = quick(Tiny(), waves(4), validation=0.25, log=tmp_path / "log")
    rows = read(tmp_path / "log")
    assert [float(row["val_loss"]) for row in rows] == [record["val_loss"] for record in model.history_]


def test_csv_of_a_resumed_fit_has_no_gap(tmp_path):
    options = {"checkpoint": tmp_path / "run", "log": tmp_path / "log", "batch_points": 1}
    quick(Tiny(), waves(3), max_steps=4, **options)
    quick(Tiny(), waves(3), resume=True, **options)
    assert [row["epoch"] for row in read(tmp_path / "log")] == ["0", "1", "2"]


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = quick(Tiny(), waves(3), log=tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    values = [event.value for event in events.Scalars("train_loss")]
    assert values == pytest.approx([record["train_loss"] for record in model.history_], rel=1e-5)


def test_log_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ml.ParameterError, match="log"):
        quick(Tiny(), waves(2), log=tmp_path / "file" / "log")


def test_plain_lines_where_there_is_no_terminal(capsys):
    quick(Tiny(), waves(2), epochs=40, progress=True)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("epoch 40/40  train ")


def test_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    quick(Tiny(), waves(3), validation=0.3, progress=True)
    assert "val" in capsys.readouterr().err


def test_callbacks_are_called_in_order():
    calls = []

    class Note(Callback):
        def on_fit_start(self, context):
            calls.append("start")

        def on_step_end(self, context):
            calls.append(f"step {context.step}")

        def on_epoch_end(self, context):
            context.history[-1]["note"] = 7
            calls.append(f"epoch {context.epoch}")

        def on_fit_end(self, context):
            calls.append("end")

    model = quick(Tiny(), waves(2), batch_points=1, epochs=1, callbacks=[Note(), lambda c: calls.append("function")])
    assert calls == ["start", "step 1", "step 2", "epoch 0", "function", "end"]
    assert model.history_[0]["note"] == 7
