"""`plot`: one picture of one mesh and one of its fields."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.viz.layout import WIDE, add_colorbar, figure_size, shape_ratio
from meshlearn.viz.planar import curve, draw, draw_tags
from meshlearn.viz.shade import Shade, shade
from meshlearn.viz.skin import Skin, skin
from meshlearn.viz.solid import VIEW, camera, can_render, paint, render
from meshlearn.viz.style import finish, style

BACKENDS = ("auto", "matplotlib", "pyvista")
MOST_EDGES = 4000
"""`edges=None` draws the cell edges of pictures with at most this many of them."""


def plot(
    mesh: Mesh,
    field: str | Tensor | np.ndarray | None = None,
    *,
    component: int | None = None,
    ax: Any = None,
    file: str | os.PathLike | None = None,
    cmap: str = "viridis",
    clim: Sequence[float | int] | None = None,
    edges: bool | None = None,
    tags: bool | Sequence[str] = False,
    title: str | None = None,
    unit: str | None = None,
    colorbar: bool = True,
    view: Sequence[float | int] = VIEW,
    up: str = "z",
    backend: str = "auto",
    show: bool = False,
) -> Any:
    """Draw a mesh, coloured by a field if one is given. Returns the matplotlib axes.

    mesh       any cells: planar meshes, surfaces, solids (their boundary), lines, point clouds, graphs of 1-D meshes
    field      name of a point or cell field, or values (n_points, ...) or (n_cells, ...); None draws the mesh alone
    component  which component of a vector or tensor; None draws the magnitude
    ax         axes to draw into; by default a new figure
    file       picture to write (.png, .pdf, .svg …)
    cmap       name of a matplotlib colour map
    clim       (smallest, largest) value of the colour scale; by default those of the field
    edges      draw the cell edges; by default if there are not too many
    tags       True draws all point sets and boundary sets in colours with a legend; or the names of some
    title      by default none
    unit       of the field, shown behind its name: "MPa"
    colorbar   draw the colour scale
    view, up   elevation and azimuth of the camera in degrees, and the axis that points up, in 3-D
    backend    for pictures in 3-D: "pyvista" (sharper, hides what lies behind), "matplotlib" (works everywhere), or
               "auto": pyvista where it is installed and able to render off screen, else matplotlib
    show       open a window

    Points without a finite value are drawn grey. Planar shapes more than 25 times as long as wide are stretched across,
    and the axis says how many times ("y × 4"). Raises FieldError for fields that cannot be found or drawn,
    ParameterError for a component that the field does not have and for other arguments that cannot be,
    MeshWriteError for a file that cannot be written, MissingDependencyError if pyvista is asked for but not there.

    >>> ax = ml.viz.plot(ml.shapes.square(n=4), tags=True)
    >>> ax.get_aspect()
    1.0
    """
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib.colors import Normalize

    if backend not in BACKENDS:
        raise ParameterError(f"backend is one of {', '.join(map(repr, BACKENDS))}, not {backend!r}.")
    if not mesh.n_points:
        raise MeshError(f"a mesh without points cannot be drawn (mesh {mesh.source or 'made in memory'}).")
    bad = (~torch.isfinite(mesh.points.detach()).all(1)).nonzero().squeeze(1)
    if len(bad):
        raise MeshError(
            f"{len(bad)} of {mesh.n_points} points have a coordinate that is not finite, the first is number "
            f"{int(bad[0])}: such a mesh cannot be drawn (mesh {mesh.source or 'made in memory'})."
        )
    if cmap not in matplotlib.colormaps:
        raise ParameterError(f"matplotlib has no colour map {cmap!r}; try 'viridis', 'magma' or 'coolwarm'.")
    colors = None if field is None else shade(mesh, field, component, unit)
    surface = skin(mesh)
    norm = (
        Normalize(*(_checked(clim) if clim is not None else _padded(colors.limits()))) if colors is not None else None
    )
    if up not in ("x", "y", "z"):
        raise ParameterError(f"up is 'x', 'y' or 'z', not {up!r}.")
    axes = camera((float(view[0]), float(view[1])), up)
    owned = ax is None
    with style():
        places = surface.points if mesh.dim < 3 else surface.points @ axes.T
        wide = mesh.dim > 1 and shape_ratio(places) < WIDE
        if owned:
            _, ax = plt.subplots(figsize=figure_size(places), layout="constrained")
        lines = len(surface.segments) <= MOST_EDGES if edges is None else edges
        if mesh.dim == 1:
            curve(ax, mesh, surface, colors)
        else:
            mappable = _draw(ax, mesh, surface, colors, norm, plt.get_cmap(cmap), lines, axes, backend)
            with_bar = mappable is not None and colors is not None and colorbar
            if with_bar and colors is not None:
                add_colorbar(ax, mappable, colors.label, below=wide)
            if tags:
                _tags(ax, mesh, tags, surface, 1.0 if with_bar and wide else 0.25)
        if title:
            ax.set_title(title)
        finish(ax.figure, file, show, owned)
    return ax


def _draw(
    ax: Any, mesh: Mesh, surface: Skin, colors: Shade | None, norm: Any, cmap: Any, edges: bool, axes: Any, backend: str
) -> Any:
    if mesh.dim == 2:
        return draw(ax, surface, colors, norm, cmap, edges)
    with_pyvista = backend == "pyvista" or (backend == "auto" and can_render())
    return (render if with_pyvista else paint)(ax, surface, colors, norm, cmap, edges, axes)


def _tags(ax: Any, mesh: Mesh, tags: bool | Sequence[str], surface: Skin, depth: float) -> None:
    if mesh.dim != 2:
        raise ParameterError("tags are drawn on planar meshes only; draw the boundary set as a field instead.")
    names = list(mesh.point_sets) + [name for name in mesh.cell_sets if name not in mesh.point_sets]
    chosen = names if tags is True else list(tags)  # type: ignore[arg-type]
    missing = [name for name in chosen if name not in names]
    if missing:
        raise FieldError(f"the mesh has no set {missing[0]!r}.\n  sets: {', '.join(names) or 'none'}")
    draw_tags(ax, mesh, chosen, surface.points, depth)


def _checked(clim: Sequence[float | int]) -> tuple[float, float]:
    low, high = (float(value) for value in clim)
    if not low <= high:
        raise ParameterError(f"clim is (smallest, largest), got {tuple(clim)}.")
    return _padded((low, high))


def _padded(limits: tuple[float, float]) -> tuple[float, float]:
    """A scale of some width even for constant fields, so that rounding errors do not look like a pattern."""
    low, high = limits
    size = max(abs(low), abs(high))
    return (low, high) if high - low > 1e-6 * size else (low - 0.5 * (size or 1.0), high + 0.5 * (size or 1.0))
