"""Fonts, sizes and files shared by all pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshWriteError

RC: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.35",
    "axes.labelcolor": "0.15",
    "xtick.color": "0.25",
    "ytick.color": "0.25",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
}
EDGE_COLOR = (0.1, 0.1, 0.1, 0.35)
BODY_COLOR = "#d6dde6"
NAN_COLOR = "#bbbbbb"


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings for the pictures of meshlearn, and the user's own again afterwards."""
    from matplotlib import rc_context

    with rc_context(RC):
        yield


def finish(figure: Any, file: str | os.PathLike | None, show: bool, owned: bool) -> None:
    """Save and show a figure; a figure of our own is closed after saving, so that loops do not collect them.

    The format follows the suffix of the file (.png, .pdf, .svg …). Raises MeshWriteError if it cannot be written.
    """
    import matplotlib.pyplot as plt

    from meshlearn.io.write import atomic

    if file is not None:
        path = Path(file).expanduser()
        known = figure.canvas.get_supported_filetypes()
        if path.suffix.lower().lstrip(".") not in known:
            raise MeshWriteError(f"{path}: pictures are written as {', '.join('.' + suffix for suffix in known)}.")
        if not path.parent.is_dir():
            raise MeshWriteError(f"{path}: the folder {path.parent} does not exist.")
        try:
            with atomic(path) as temporary:
                figure.savefig(temporary)
        except OSError as error:
            raise MeshWriteError(f"{path}: cannot be written ({error.strerror or error}).") from error
    if show:
        plt.show()
    if owned and file is not None and not show:
        plt.close(figure)
