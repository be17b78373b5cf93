"""Time series as rows of frames and as films: one scale, one window, every time that was asked for."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

import meshlearn as ml


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def wave(mesh, n=5, moving=False):
    """u = x - t on a mesh that stays, or that moves along all axes with speed 1."""
    times = torch.linspace(0, 1, n, dtype=torch.float64)
    u = torch.stack([mesh.points[:, 0] - t for t in times])
    points = torch.stack([mesh.points + t for t in times]) if moving else None
    return ml.Trajectory(mesh, times, {"u": u, "w": torch.stack([u, u], -1)}, moving_points=points)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (None, [0, 0.25, 0.75, 1]),
        (2, [0, 1]),
        (1, [0]),
        (99, [0, 0.25, 0.5, 0.75, 1]),
        ([3, -1, 0], [0.75, 1, 0]),
        (range(2), [0, 0.25]),
        (np.array([1]), [0.25]),
    ],
)
def test_the_frames_that_were_asked_for_on_one_scale(frames, expected):
    figure = wave(ml.shapes.square(n=2)).plot("u", frames=frames, time_unit="s")
    assert [ax.get_title() for ax in figure.axes] == [f"t = {t:g} s" for t in expected]
    limits = {ax.collections[0].get_clim() for ax in figure.axes}
    assert limits == {(-max(expected), 1 - min(expected))}
    assert [len(ax.child_axes) for ax in figure.axes] == [0] * (len(expected) - 1) + [1], "one colour bar"


def test_all_frames_show_the_same_part_of_space():
    figure = wave(ml.shapes.square(n=2), moving=True).plot("u", frames=3)
    windows = {(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes}
    assert len(windows) == 1
    (x, y), *_ = windows
    assert x[0] < 0 < 2 < x[1]
    assert y[0] < 0 < 2 < y[1]


@pytest.mark.parametrize("name", ["still", "moving", "graph", "solid", "long"])
def test_films_have_every_time_and_change(tmp_path, name):
    mesh = {
        "graph": lambda: ml.shapes.interval(n=4),
        "solid": lambda: ml.shapes.box(n=(1, 1, 1)),
        "long": lambda: ml.shapes.rectangle(60.0, 1.0, n=(60, 1)),
    }.get(name, lambda: ml.shapes.square(n=2))()
    series = wave(mesh, moving=name in ("moving", "solid"))
    path = tmp_path / "film.gif"
    series.plot("u", file=path, title="a wave", fps=25)
    with Image.open(path) as film:
        assert film.n_frames == 5
        assert film.info["duration"] == 40
        frames = []
        for k in range(5):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB"), dtype=float))
    assert {frame.shape for frame in frames} == {frames[0].shape}
    assert all(abs(a - b).mean() > 0.1 for a, b in pairwise(frames))
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]
    assert not plt.get_fignums()


def test_a_row_is_written_and_a_film_of_some_times(tmp_path):
    series = wave(ml.shapes.square(n=2))
    series.plot("w", component=1, file=tmp_path / "row.png", unit="K")
    with Image.open(tmp_path / "row.png") as image:
        assert image.width > 2 * image.height
    ml.viz.plot_series(series, file=tmp_path / "some.webp", frames=[0, 2])
    with Image.open(tmp_path / "some.webp") as film:
        assert film.n_frames <= 2  # without a field both times look alike but for the heading


def test_missing_values_leave_the_scale_alone():
    series = wave(ml.shapes.square(n=2))
    u = series.point_data["u"].clone()
    u[0, 0], u[1] = torch.nan, torch.inf
    figure = series.replace(point_data={"u": u}).plot("u")
    assert figure.axes[-1].child_axes[0].get_ylim() == (-1.0, 1.0)
    blank = series.replace(point_data={"u": torch.full_like(u, torch.nan)}).plot("u")
    assert len(blank.axes) == 4


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"frames": 0}, ml.ParameterError, "how many of the 5 times"),
        ({"frames": []}, ml.ParameterError, "how many"),
        ({"frames": True}, ml.ParameterError, "how many"),
        ({"frames": "all"}, ml.ParameterError, "how many"),
        ({"frames": [5]}, ml.ParameterError, "no frame 5: the series has 5 times"),
        ({"field": "v"}, ml.FieldError, "no field 'v'"),
        ({"file": "x.avi"}, ml.MeshWriteError, "pictures are written as"),
        ({"file": "x.gif", "fps": 0}, ml.ParameterError, "fps"),
        ({"file": "/nowhere/x.gif"}, ml.MeshWriteError, "does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_told(arguments, error, words):
    with pytest.raises(error, match=words):
        wave(ml.shapes.square(n=1)).plot(**{"field": "u", **arguments})


def test_films_in_mp4_need_ffmpeg(tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(ml.MeshWriteError, match="ffmpeg"):
        wave(ml.shapes.square(n=1)).plot("u", file=tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


def test_a_single_mesh_is_no_series_and_cameras_stay_still():
    with pytest.raises(ml.ParameterError, match="not a Mesh"):
        ml.viz.plot_series(ml.shapes.square(n=1))
    with pytest.raises(ml.ParameterError, match="matplotlib"):
        wave(ml.shapes.box(n=(1, 1, 1)), moving=True).plot("u", backend="pyvista")
