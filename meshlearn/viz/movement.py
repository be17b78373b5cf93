"""`movement`: a mesh before and after a mover, with the monitor, and how the shapes of its cells changed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.quality import scaled_jacobian
from meshlearn.viz.layout import figure_size
from meshlearn.viz.picture import plot
from meshlearn.viz.skin import skin
from meshlearn.viz.solid import VIEW, camera
from meshlearn.viz.style import finish, style

_BEFORE, _AFTER = "0.6", "#3b6ea8"
_BINS = 30


def movement(
    moved: Any,
    *,
    file: str | os.PathLike | None = None,
    cmap: str = "YlOrBr",
    title: str | None = None,
    backend: str = "auto",
    show: bool = False,
) -> Any:
    """Draw the mesh before and after a move, coloured by the monitor, and histograms of cell quality and cell shares.

    moved  what a mover returns: `start`, `mesh`, `monitor_before`, `monitor` (n_points,), `before`, `equidistribution`

    The other arguments are those of `plot`. Shares are integrals of the monitor over the cells, over their measures
    before, over the mean of that: 1 for every cell of a perfectly moved mesh. Returns the figure. Raises ParameterError
    for other objects.

    >>> moved = ml.MongeAmpereMover().move(ml.shapes.square(n=4), lambda x: 1 + x[:, 0])
    >>> len(ml.viz.movement(moved).axes)
    4
    """
    import matplotlib.pyplot as plt

    missing = [
        name for name in ("start", "mesh", "monitor", "monitor_before", "equidistribution") if not hasattr(moved, name)
    ]
    if missing:
        raise ParameterError(
            f"movement draws what a mover returns, got {type(moved).__name__} without {', '.join(missing)}.\n"
            "  moved = ml.MongeAmpereMover().move(mesh, monitor); ml.viz.movement(moved)"
        )
    start, mesh = moved.start.detach(), moved.mesh.detach()
    before, density = moved.monitor_before.to(mesh.device), moved.monitor.to(mesh.device)
    places = skin(start).points
    if start.dim == 3:
        places = places @ camera((float(VIEW[0]), float(VIEW[1])), "z").T
    limits = (float(torch.minimum(before.min(), density.min())), float(torch.maximum(before.max(), density.max())))
    with style():
        width, height = figure_size(places, (1, 4), width=3.9)
        figure, axes = plt.subplots(1, 4, figsize=(width, max(height, 3.0)), layout="constrained")
        for ax, which, values, head in zip(axes, (start, mesh), (before, density), ("before", "after"), strict=False):
            named = which.with_point_data(monitor=values)
            plot(named, "monitor", ax=ax, cmap=cmap, clim=limits, title=head, edges=True, backend=backend)
        _histogram(axes[2], [_quality(start), _quality(mesh)], "scaled Jacobian of the cells")
        shares = [_shares(start, which, values) for which, values in ((start, before), (mesh, density))]
        _histogram(axes[3], shares, "share of the monitor")
        axes[3].set_title(f"cv {moved.before.cv:.3g} → {moved.equidistribution.cv:.3g}")
        if title:
            figure.suptitle(title, x=0.008, horizontalalignment="left", fontsize=11, fontweight="bold")
        finish(figure, file, show, owned=True)
    return figure


def _quality(mesh: Mesh) -> np.ndarray:
    if mesh.dim == 1:
        return np.ones(mesh.n_cells)
    return mesh.join_cells(scaled_jacobian(mesh.oriented())).detach().cpu().numpy()


def _shares(start: Mesh, mesh: Mesh, monitor: torch.Tensor) -> np.ndarray:
    (kind,) = start.domain_types
    nodes = start.cells[kind]
    measures = [which.detach().double().cell_measures()[kind] for which in (start, mesh)]
    share = (measures[1] / measures[0] * monitor[nodes].mean(1)).cpu().numpy()
    return share / share.mean()


def _histogram(ax: Any, values: list[np.ndarray], label: str) -> None:
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    bins = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for part, color, name in zip(values, (_BEFORE, _AFTER), ("before", "after"), strict=True):
        ax.hist(part, bins=bins, histtype="stepfilled", alpha=0.55, color=color, label=name)
    ax.set_xlabel(label)
    ax.set_ylabel("cells")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend()
