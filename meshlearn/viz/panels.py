"""`triptych`: truth, prediction and error of one field side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh
from meshlearn.viz.layout import figure_size, panel_grid
from meshlearn.viz.picture import plot
from meshlearn.viz.shade import shade
from meshlearn.viz.skin import skin
from meshlearn.viz.solid import VIEW, camera
from meshlearn.viz.style import finish, style


def triptych(
    prediction: Mesh,
    truth: Mesh,
    field: str,
    *,
    component: int | None = None,
    file: str | os.PathLike | None = None,
    cmap: str = "viridis",
    edges: bool | None = False,
    title: str | None = None,
    unit: str | None = None,
    view: Sequence[float | int] = VIEW,
    up: str = "z",
    backend: str = "auto",
    show: bool = False,
) -> Any:
    """Draw truth and prediction of a field on one colour scale, and their difference on its own. Returns the figure.

    Wide shapes are drawn one above the other, others side by side.

    prediction, truth  meshes with the same points, both with `field` (the same name in point_data or cell_data)
    component          one component of a vector: the error is then signed; None draws magnitudes and |difference|
    title              above the whole figure, at its left end
    unit               of the field, shown behind its name: "MPa"

    The other arguments are those of `plot`. The error panel is headed by the relative L2 error, weighted by point or
    cell measures. Raises FieldError if the meshes have different sizes or one has no such field.

    >>> mesh = ml.shapes.square(n=4).with_point_data(u=torch.linspace(0, 1, 25))
    >>> len(ml.viz.triptych(mesh, mesh, "u").axes)
    3
    """
    import matplotlib.pyplot as plt

    both = [shade(mesh, field, component, unit) for mesh in (truth, prediction)]
    right, found = both
    if right.location != found.location or right.values.shape != found.values.shape:
        raise FieldError(
            f"{field!r} has {len(found.values)} {found.location} values in the prediction and {len(right.values)} "
            f"{right.location} values in the truth.\n  Carry one over: ml.interpolate(prediction, truth)."
        )
    difference, signed = _difference(prediction, truth, field, component, right.location)
    limits = [shade.limits() for shade in both]
    scale = (min(low for low, _ in limits), max(high for _, high in limits))
    size = float(np.nanmax(np.abs(difference), initial=0.0)) or 1.0
    error_scale: dict[str, Any] = (
        {"cmap": "RdBu_r", "clim": (-size, size)} if signed else {"cmap": "magma_r", "clim": (0.0, size)}
    )
    common: dict[str, Any] = {"edges": edges, "view": view, "up": up, "backend": backend}
    places = skin(truth).points
    if truth.dim == 3:
        places = places @ camera((float(view[0]), float(view[1])), up).T
    with style():
        grid = panel_grid(places, 3)
        width, height = figure_size(places, grid, width=4.4 if grid[0] == 1 else 7.0)
        figure, axes = plt.subplots(*grid, figsize=(width, height + (0.3 if title else 0.0)), layout="constrained")
        for ax, mesh, head in zip(axes, (truth, prediction), ("truth", "prediction"), strict=False):
            plot(
                mesh, field, component=component, ax=ax, cmap=cmap, clim=scale, title=f"{head}: {right.label}", **common
            )
        tail = f" [{unit}]" if unit else ""
        relative = _relative(prediction, truth, field, component, right.location)
        plot(truth, difference, ax=axes[2], title=f"error{tail}: relative L2 {relative:.3g}", **common, **error_scale)
        for ax in axes:
            _relabel(ax)
        if title:
            figure.get_layout_engine().set(h_pad=0.1)  # type: ignore[union-attr, call-arg]
            figure.suptitle(title, x=0.008, horizontalalignment="left", fontsize=11, fontweight="bold")
        finish(figure, file, show, owned=True)
    return figure


def _table(mesh: Mesh, field: str, component: int | None, location: str) -> torch.Tensor:
    values = mesh.point_data[field] if location == "point" else mesh.join_cells(mesh.cell_data[field])
    table = values.detach().cpu().double().reshape(len(values), -1)
    return table if component is None else table[:, [component]]


def _difference(
    prediction: Mesh, truth: Mesh, field: str, component: int | None, location: str
) -> tuple[np.ndarray, bool]:
    """One number per value: the signed difference of a scalar, the length of that of a vector."""
    error = _table(prediction, field, component, location) - _table(truth, field, component, location)
    return (error[:, 0].numpy(), True) if error.shape[1] == 1 else (error.norm(dim=1).numpy(), False)


def _relative(prediction: Mesh, truth: Mesh, field: str, component: int | None, location: str) -> float:
    from meshlearn.train.metrics import relative_l2

    if not truth.cells:
        weights = torch.ones(truth.n_points)
    else:
        weights = truth.point_measures() if location == "point" else truth.join_cells(truth.cell_measures())
    p, t = (_table(mesh, field, component, location) for mesh in (prediction, truth))
    return relative_l2(p, t, weights.detach().cpu().double())


def _relabel(ax: Any) -> None:
    """The titles say what the bars show: no label beside them."""
    for child in ax.child_axes:
        child.set_xlabel("")
        child.set_ylabel("")
