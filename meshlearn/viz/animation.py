"""Films: one figure drawn again and again, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshWriteError, ParameterError

FILMS = (".gif", ".webp", ".apng", ".mp4")
"""Suffixes of films; .mp4 is made by ffmpeg, the others come with Pillow."""
DPI = 110


def is_film(file: Any) -> bool:
    """True for a file name that ends like a film."""
    return file is not None and Path(file).suffix.lower() in FILMS


def write_film(figure: Any, draw: Callable[[int], None], frames: Sequence[int], file: Path, fps: Any) -> None:
    """Call draw(frame) for each of the frames, and write what the figure then shows.

    Layout and sizes stay as they are after the first frame. Raises MeshWriteError if the file cannot be written (no
    such folder, no ffmpeg), ParameterError for a rate that is not a positive number.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    from meshlearn.io.write import atomic

    path = file.expanduser()
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= 1000:
        raise ParameterError(f"fps is the number of frames per second, between 0 and 1000, not {fps!r}.")
    with_ffmpeg = path.suffix.lower() == ".mp4"
    if with_ffmpeg and not FFMpegWriter.isAvailable():
        raise MeshWriteError(f"{path}: for .mp4 the program ffmpeg is needed, and not found; write a .gif.")
    if not path.parent.is_dir():
        raise MeshWriteError(f"{path}: the folder {path.parent} does not exist.")
    writer = (FFMpegWriter if with_ffmpeg else PillowWriter)(fps=fps)  # type: ignore[arg-type]
    try:
        with atomic(path) as temporary:
            writer.setup(figure, str(temporary), dpi=DPI)
            for place, frame in enumerate(frames):
                draw(frame)
                if place == 0:
                    figure.draw_without_rendering()
                    figure.set_layout_engine("none")
                writer.grab_frame()
            writer.finish()
    except OSError as error:
        raise MeshWriteError(f"{path}: cannot be written ({error.strerror or error}).") from error
