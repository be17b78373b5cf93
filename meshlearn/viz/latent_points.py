"""`latents`: the latent points of a neural field over the field they stand for."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from meshlearn.errors import MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.viz.picture import plot

_COLOR = "#d1495b"
_REACH = 0.06  # length of the axes of latents, over the diagonal of the mesh


def latents(
    mesh: Mesh,
    field: str,
    cloud: Mesh,
    *,
    component: int | None = None,
    windows: bool = True,
    ax: Any = None,
    file: str | os.PathLike | None = None,
    cmap: str = "viridis",
    title: str | None = None,
    unit: str | None = None,
    show: bool = False,
) -> Any:
    """Draw a planar mesh coloured by a field, with latents as dots. Returns the matplotlib axes.

    cloud    latents as `fit_latents` gives them; an arrow shows the first axis of those that have a `frame`
    windows  circles of a tenth of the radius of every window

    The other arguments are those of `plot`. Raises MeshError for meshes that are not planar.

    >>> cloud = ml.Mesh([[0.2, 0.3], [0.8, 0.7]], point_data={"window": [0.5, 0.5]})
    >>> mesh = ml.shapes.square(n=4)
    >>> ax = ml.viz.latents(mesh.with_point_data(u=mesh.points[:, 0]), "u", cloud)
    >>> len(ax.collections) > 1
    True
    """
    from matplotlib.collections import EllipseCollection

    from meshlearn.viz.style import finish, style

    if mesh.dim != 2 or cloud.dim != 2:
        raise MeshError(f"latents are drawn over planar meshes; this one has {mesh.dim} dimensions, they {cloud.dim}.")
    owned = ax is None
    ax = plot(mesh, field, component=component, ax=ax, cmap=cmap, title=title, unit=unit, edges=False)
    places = cloud.points.detach().cpu().numpy()
    with style():
        if windows and "window" in cloud.point_data:
            width = 0.2 * cloud.point_data["window"].detach().cpu().numpy()
            circles = EllipseCollection(
                width, width, np.zeros_like(width), units="xy", offsets=places, offset_transform=ax.transData
            )
            circles.set(facecolor="none", edgecolor=_COLOR, linewidth=0.6, zorder=4)
            ax.add_collection(circles)
        ax.scatter(*places.T, s=22, color=_COLOR, edgecolors="white", linewidths=0.8, zorder=5)
        if "frame" in cloud.point_data:
            first = cloud.point_data["frame"].detach().cpu().numpy()[:, :, 0]
            size = _REACH * float(np.linalg.norm(np.ptp(mesh.points.detach().cpu().numpy(), axis=0)))
            ax.quiver(
                *places.T,
                *(size * first).T,
                angles="xy",
                scale_units="xy",
                scale=1.0,
                width=0.005,
                color=_COLOR,
                zorder=5,
            )
        finish(ax.figure, file, show, owned)
    return ax
