"""`plot_series`: a time series as a row of pictures, or as a film, on one colour scale."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.viz.animation import is_film, write_film
from meshlearn.viz.layout import figure_size, panel_grid, set_aspect
from meshlearn.viz.picture import plot
from meshlearn.viz.shade import shade
from meshlearn.viz.skin import skin
from meshlearn.viz.solid import VIEW, camera
from meshlearn.viz.style import finish, style


def plot_series(
    trajectory: Any,
    field: str | None = None,
    *,
    frames: Any = None,
    file: str | os.PathLike | None = None,
    fps: Any = 10,
    component: int | None = None,
    clim: Sequence[float | int] | None = None,
    title: str | None = None,
    time_unit: str | None = None,
    view: Sequence[float | int] = VIEW,
    up: str = "z",
    backend: str = "auto",
    show: bool = False,
    **options: Any,
) -> Any:
    """Draw times of a series side by side, wide shapes one above the other, or as a film. Returns the figure.

    trajectory  the Trajectory
    field       name of a point or cell field; None draws the meshes alone
    frames      how many, evenly from the first time to the last, or their numbers, negative ones from the end; by
                default 4 in a picture and all in a film
    file        picture (.png, .pdf, .svg …) or film (.gif, .webp, .apng; .mp4 where ffmpeg is installed) to write
    fps         frames of the film per second
    clim        (smallest, largest) value of the colour scale; by default those of the times that are drawn
    title       above all; each frame is headed by its time
    time_unit   behind the times: "s"

    The other arguments are those of `plot`. All frames show the same part of space, so that what moves is seen to move;
    for that, moving points in 3-D are drawn with matplotlib.

    Raises what `plot` raises, and ParameterError for frames that are not there.

    >>> heat = ml.Trajectory(ml.shapes.square(n=2), [0.0, 0.5, 1.0], {"u": torch.rand(3, 9)})
    >>> [ax.get_title() for ax in heat.plot("u", frames=[0, -1]).axes]
    ['t = 0', 't = 1']
    """
    import matplotlib.pyplot as plt

    if not isinstance(trajectory, Trajectory):
        raise ParameterError(f"plot_series draws a Trajectory, not a {type(trajectory).__name__}.")
    if not trajectory.n_points:
        raise MeshError(f"a mesh without points cannot be drawn (mesh {trajectory.source or 'made in memory'}).")
    numbers = _numbers(frames, len(trajectory), 4 if not is_film(file) else len(trajectory))
    moves = trajectory.moving_points is not None
    if moves and trajectory.mesh.dim == 3:
        if backend == "pyvista":
            raise ParameterError("moving points are drawn with backend='matplotlib', which keeps the camera still.")
        backend = "matplotlib" if backend == "auto" else backend
    if field is not None and clim is None:
        clim = _limits(trajectory, numbers, field, component)
    options |= {"component": component, "clim": clim, "view": view, "up": up, "backend": backend}
    tail = f" {time_unit}" if time_unit else ""
    box = _box(trajectory, numbers, view, up)

    def draw(number: int, ax: Any, colorbar: bool) -> None:
        head = f"t = {float(trajectory.times[number]):.4g}{tail}"
        plot(trajectory[number], field, ax=ax, title=head, colorbar=colorbar, **options)
        _still(ax, box, moves, clim)

    grid = (1, 1) if is_film(file) else panel_grid(box, len(numbers))
    width, height = figure_size(box, grid, width=3.4 if grid[1] > 1 else 5.6)
    size = (width + (0.9 if grid[1] > 1 else 0.0), height + (0.3 if title else 0.0))
    with style():
        figure, axes = plt.subplots(*grid, figsize=size, layout="constrained", squeeze=False)
        if title:
            figure.suptitle(title, x=0.008, horizontalalignment="left", fontsize=11, fontweight="bold")
        if is_film(file):
            _film(figure, lambda number: draw(number, axes[0, 0], True), numbers, Path(str(file)), fps)
            file = None
        else:
            for ax, number in zip(axes.flat, numbers, strict=True):
                draw(number, ax, colorbar=number == numbers[-1])
        finish(figure, file, show, owned=True)
    return figure


def _film(figure: Any, draw: Any, numbers: list[int], file: Path, fps: Any) -> None:
    import matplotlib.pyplot as plt

    def again(number: int) -> None:
        figure.axes[0].clear()
        draw(number)

    try:
        write_film(figure, again, numbers, file, fps)
    finally:
        plt.close(figure)


def _numbers(frames: Any, n: int, default: int) -> list[int]:
    """Numbers of the times to draw, from 0 to n - 1."""
    frames = default if frames is None else frames
    what = f"frames is how many of the {n} times are drawn, or a list of their numbers"
    if isinstance(frames, int | np.integer) and not isinstance(frames, bool):
        if frames < 1:
            raise ParameterError(f"{what}; got {frames}.")
        return np.unique(np.linspace(0, n - 1, min(int(frames), n)).round().astype(int)).tolist()
    try:
        numbers = [int(number) for number in frames if not isinstance(number, bool)]
    except (TypeError, ValueError):
        raise ParameterError(f"{what}; got {frames!r}.") from None
    if not numbers or len(numbers) != len(frames):
        raise ParameterError(f"{what}; got {frames!r}.")
    for number in numbers:
        if not -n <= number < n:
            raise ParameterError(f"there is no frame {number}: the series has {n} times, numbered from 0.")
    return [number % n for number in numbers]


def _limits(trajectory: Trajectory, numbers: list[int], field: str, component: int | None) -> tuple[float, float]:
    """Smallest and largest finite value at these times."""
    parts = [shade(trajectory[number], field, component).values for number in numbers]
    finite = [part[np.isfinite(part)] for part in parts]
    full = [part for part in finite if len(part)]
    if not full:
        return (0.0, 1.0)
    return float(min(part.min() for part in full)), float(max(part.max() for part in full))


def _box(trajectory: Trajectory, numbers: list[int], view: Sequence[float | int], up: str) -> np.ndarray:
    """(2, 2) lower left and upper right corner, in the picture, of all that is drawn."""
    meshes = [trajectory[number] for number in numbers] if trajectory.moving_points is not None else [trajectory[0]]
    corners = []
    for mesh in meshes:
        places = skin(mesh).points
        if mesh.dim == 1:  # a graph: its height is not in the points
            places = np.stack([places[:, 0], np.linspace(0.0, 0.6 * float(np.ptp(places)), len(places))], axis=1)
        if mesh.dim == 3:
            places = places @ camera((float(view[0]), float(view[1])), up).T
        corners += [places[:, :2].min(0), places[:, :2].max(0)]
    return np.stack([np.min(corners, axis=0), np.max(corners, axis=0)])


def _still(ax: Any, box: np.ndarray, moves: bool, clim: Sequence[float | int] | None) -> None:
    """The same part of space, and for graphs of 1-D meshes the same heights, in every frame."""
    if ax.get_aspect() == "auto":  # a graph
        gap = 0.03 * float(np.ptp(box[:, 0]))
        ax.set_xlim(box[0, 0] - gap, box[1, 0] + gap)
        if clim is not None:
            low, high = float(clim[0]), float(clim[1])
            gap = 0.05 * (high - low or max(abs(high), 1.0))
            ax.set_ylim(low - gap, high + gap)
    elif moves:
        ax.set_xlabel("")
        ax.set_ylabel("")
        set_aspect(ax, box)
        gap = 0.03 * float(np.ptp(box, axis=0).max() or 1.0)
        ax.set_xlim(box[0, 0] - gap, box[1, 0] + gap)
        ax.set_ylim(box[0, 1] - gap, box[1, 1] + gap)
