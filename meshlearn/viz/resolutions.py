"""`resolutions`: one field on meshes of different fineness, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.viz.layout import figure_size, panel_grid
from meshlearn.viz.picture import plot
from meshlearn.viz.shade import shade
from meshlearn.viz.skin import skin
from meshlearn.viz.solid import VIEW, camera
from meshlearn.viz.style import finish, style


def resolutions(
    meshes: Sequence[Mesh],
    field: str,
    *,
    titles: Sequence[str] = (),
    component: int | None = None,
    file: str | os.PathLike | None = None,
    cmap: str = "viridis",
    edges: bool | None = None,
    title: str | None = None,
    unit: str | None = None,
    backend: str = "auto",
    show: bool = False,
) -> Any:
    """Draw a field of several meshes on one colour scale: what a model says at the fineness of its training, and finer.

    meshes  at least one, each with `field`
    titles  of the panels, before the number of points

    The other arguments are those of `plot`. Returns the figure. Raises ParameterError for no meshes, or for another
    number of titles.

    >>> meshes = [ml.shapes.square(n=n) for n in (4, 8)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]
    >>> len(ml.viz.resolutions(meshes, "u", titles=["coarse", "fine"]).axes)
    2
    """
    import matplotlib.pyplot as plt

    if not meshes or (titles and len(titles) != len(meshes)):
        raise ParameterError(
            f"resolutions draws at least one mesh, each with a title or none: got {len(meshes)} meshes "
            f"and {len(titles)} titles."
        )
    limits = [shade(mesh, field, component, unit).limits() for mesh in meshes]
    scale = (min(low for low, _ in limits), max(high for _, high in limits))
    places = skin(meshes[0]).points
    if meshes[0].dim == 3:
        places = places @ camera((float(VIEW[0]), float(VIEW[1])), "z").T
    with style():
        grid = panel_grid(places, len(meshes))
        width, height = figure_size(places, grid, width=4.4 if grid[0] == 1 else 7.0)
        figure, axes = plt.subplots(
            *grid, figsize=(width, height + (0.3 if title else 0.0)), layout="constrained", squeeze=False
        )
        for i, (ax, mesh) in enumerate(zip(axes.flat, meshes, strict=True)):
            head = f"{titles[i]}, " if titles else ""
            plot(
                mesh,
                field,
                component=component,
                ax=ax,
                cmap=cmap,
                clim=scale,
                edges=edges,
                unit=unit,
                backend=backend,
                title=f"{head}{mesh.n_points} points",
            )
        if title:
            figure.suptitle(title, x=0.008, horizontalalignment="left", fontsize=11, fontweight="bold")
        finish(figure, file, show, owned=True)
    return figure
