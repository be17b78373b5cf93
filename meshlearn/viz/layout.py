"""Sizes of figures and places of colour bars, from the shape of what is drawn; long thin shapes stay readable."""

from __future__ import annotations

from typing import Any

import numpy as np

WIDE = 0.25
"""Pictures lower than this part of their width get their colour bar below."""
LONGEST = 25.0
"""Shapes more elongated than this are stretched across, and the axis says how many times."""


def shape_ratio(points: np.ndarray) -> float:
    """Height over width of (n, 2) points as drawn, between 1 / LONGEST and LONGEST; 0.25 for points in one line.

    >>> import numpy as np
    >>> shape_ratio(np.array([[0.0, 0.0], [4.0, 2.0]])), shape_ratio(np.array([[0.0, 0.0], [1.0, 1000.0]]))
    (0.5, 25.0)
    """
    if not len(points) or points.shape[1] < 2:
        return 0.62
    x, y = (float(extent) for extent in np.ptp(points[:, :2], axis=0))
    if not x or not y:
        return 1.6 if y else WIDE
    return min(max(y / x, 1 / LONGEST), LONGEST)


def figure_size(points: np.ndarray, panels: tuple[int, int] = (1, 1), width: float = 5.2) -> tuple[float, float]:
    """Width and height in inches of rows and columns of axes that show these points with equal aspect.

    Tall shapes get narrower axes than `width`, so that no picture is mostly margin.
    """
    ratio = shape_ratio(points)
    inner = width - (0.6 if ratio < WIDE else 1.1)
    height = inner * min(ratio, 1.6)
    if ratio > 1.6:
        width = max(height / ratio + 1.3, 0.55 * width)
    rows, columns = panels
    return columns * width, rows * (height + (1.15 if ratio < WIDE else 0.75))


def panel_grid(points: np.ndarray, n: int) -> tuple[int, int]:
    """(rows, columns) of n pictures: side by side, or one above the other where they are wide.

    >>> import numpy as np
    >>> panel_grid(np.array([[0.0, 0.0], [9.0, 1.0]]), 3)
    (3, 1)
    """
    return (n, 1) if shape_ratio(points) < WIDE else (1, n)


def set_aspect(ax: Any, points: np.ndarray) -> None:
    """Lengths in both directions alike, unless the shape is longer than LONGEST times its width; narrow margins."""
    x, y = (float(extent) for extent in np.ptp(points, axis=0)) if len(points) else (0.0, 0.0)
    aspect = 1.0
    if x and y and not 1 / LONGEST <= y / x <= LONGEST:
        aspect = x / (LONGEST * y) if x > y else LONGEST * x / y
        if aspect > 1:
            ax.set_ylabel(f"y × {aspect:.3g}", rotation=0, horizontalalignment="right", verticalalignment="center")
        else:
            ax.set_xlabel(f"x × {1 / aspect:.3g}")
    ax.set_aspect(aspect)
    ax.autoscale_view()
    if x and y:
        gap = 0.03 * (x * aspect * y) ** 0.5  # in units of x
        ax.margins(gap / x, gap / (aspect * y))
    else:
        ax.margins(0.03)


def add_colorbar(ax: Any, mappable: Any, label: str, below: bool = False) -> Any:
    """A slim colour bar, a tenth of an inch beside the picture and as high, or below it and as wide."""
    from matplotlib.transforms import blended_transform_factory

    if below:
        bounds, across = (0.0, -0.5, 1.0, 0.11), blended_transform_factory(ax.transAxes, inches(ax, 0.0, 0.0))
    else:
        bounds, across = (0.1, 0.0, 0.13, 1.0), blended_transform_factory(inches(ax, 1.0, 0.0), ax.transAxes)
    cax = ax.inset_axes(bounds, transform=across)
    bar = ax.figure.colorbar(mappable, cax=cax, orientation="horizontal" if below else "vertical")
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(width=0.5, length=2.5)
    bar.set_label(label)
    return bar


def inches(ax: Any, x: float, y: float) -> Any:
    """Transform to the display from inches, counted from the place (x, y) of the axes (0 to 1)."""
    from matplotlib.transforms import ScaledTranslation

    return ax.figure.dpi_scale_trans + ScaledTranslation(x, y, ax.transAxes)
