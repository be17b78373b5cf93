"""Pictures in space, rendered to a plane: with matplotlib by the painter's algorithm, or with pyvista off screen."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from meshlearn.errors import MissingDependencyError, require
from meshlearn.viz.finer import finer, without_creases
from meshlearn.viz.planar import draw
from meshlearn.viz.shade import Shade
from meshlearn.viz.skin import Skin
from meshlearn.viz.style import BODY_COLOR, NAN_COLOR

VIEW = (25.0, -60.0)
"""Elevation and azimuth of the camera in degrees."""

Angles = tuple[float, float]


def camera(view: Angles, up: str = "z") -> np.ndarray:
    """(3, 3) rows: the directions right, up, and towards the camera, for an elevation and an azimuth in degrees.

    >>> from meshlearn.viz.solid import camera
    >>> camera((0.0, -90.0)).round(12) + 0.0
    array([[ 1.,  0.,  0.],
           [ 0.,  0.,  1.],
           [ 0., -1.,  0.]])
    """
    high, around = np.deg2rad(view)
    towards = np.array([np.cos(high) * np.cos(around), np.cos(high) * np.sin(around), np.sin(high)])
    right = np.array([-np.sin(around), np.cos(around), 0.0])
    axes = np.stack([right, np.cross(towards, right), towards])
    return np.roll(axes, {"z": 0, "x": 1, "y": 2}[up], axis=1)


def paint(ax: Any, skin: Skin, shade: Shade | None, norm: Any, cmap: Any, edges: bool, axes: np.ndarray) -> Any:
    """Draw with matplotlib: project, sort by depth, shade by the angle to the light; far triangles first.

    axes  the `camera`
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PolyCollection

    seen = skin.points @ axes.T
    flat = replace(skin, points=seen[:, :2])
    ax.set_axis_off()
    if not len(skin.triangles):
        order = np.argsort(seen[:, 2])
        if not len(skin.segments):
            flat = replace(flat, points=seen[order, :2])
            shade = replace(shade, values=shade.values[order]) if shade is not None else None
        mappable = draw(ax, flat, shade, norm, cmap, edges)
        ax.set_aspect("equal")
        return mappable
    if shade is not None and shade.location == "point":
        skin, shade = finer(skin, shade)
        seen = skin.points @ axes.T
        flat = replace(skin, points=seen[:, :2])
    color = _lit(skin, shade, norm, cmap, axes)
    order = np.argsort(seen[skin.triangles, 2].mean(1))
    shapes, inks = _with_rims(flat, order, color) if edges else (flat.points[skin.triangles][order], color[order])
    faces = PolyCollection(shapes, facecolors=inks, edgecolors=inks, linewidths=0.3, rasterized=True)
    ax.add_collection(faces)
    ax.set_aspect("equal")
    ax.autoscale_view()
    return ScalarMappable(norm, cmap) if shade is not None else None


def _lit(skin: Skin, shade: Shade | None, norm: Any, cmap: Any, axes: np.ndarray) -> np.ndarray:
    """(t, 3) colours of the triangles under a light from above the camera's right shoulder."""
    from matplotlib.colors import to_rgb

    corners = skin.points[skin.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    light = np.array([0.25, 0.45, 0.85]) @ axes
    bright = 0.6 + 0.4 * np.abs(normal @ (light / np.linalg.norm(light)))
    color = np.tile(to_rgb(BODY_COLOR), (len(corners), 1))
    if shade is not None:
        values = shade.values[skin.owner] if shade.location == "cell" else shade.values[skin.triangles].mean(1)
        color = cmap(norm(np.nan_to_num(values)))[:, :3]
        color[~np.isfinite(values)] = to_rgb(NAN_COLOR)
    return np.clip(color * bright[:, None], 0.0, 1.0)


def _with_rims(flat: Skin, order: np.ndarray, color: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Every triangle followed by those of its sides that are cell edges, so that nearer triangles cover both."""
    n = len(flat.points)
    keys = flat.segments.min(1) * n + flat.segments.max(1)
    sides = np.stack([flat.triangles, np.roll(flat.triangles, -1, axis=1)], axis=2)
    is_rim = np.isin(sides.min(2) * n + sides.max(2), keys)
    shapes, inks = [], []
    for t in order:
        shapes.append(flat.points[flat.triangles[t]])
        inks.append(color[t])
        for side in sides[t][is_rim[t]]:
            shapes.append(flat.points[side])
            inks.append(color[t] * 0.6)
    return shapes, np.array(inks)


def render(ax: Any, skin: Skin, shade: Shade | None, norm: Any, cmap: Any, edges: bool, axes: np.ndarray) -> Any:
    """Draw with pyvista: an off-screen picture, cropped and put into the axes, so that fonts and bars are the same."""
    from matplotlib.cm import ScalarMappable

    pv = require("pyvista", "viz", "drawing with backend='pyvista'")
    if not can_render():
        raise MissingDependencyError(
            "pyvista is installed but cannot render off screen here (no OpenGL driver).\n"
            "  Use backend='matplotlib', or install a software driver (OSMesa or EGL)."
        )
    _quiet()
    plotter = pv.Plotter(off_screen=True, window_size=(1400, 1100), lighting="light kit")
    plotter.set_background("white")
    look: dict[str, Any] = {"color": BODY_COLOR}
    if shade is not None:
        span = {"clim": (norm.vmin, norm.vmax), "cmap": cmap, "nan_color": NAN_COLOR, "show_scalar_bar": False}
        look = {"scalars": "shade", **span}
    if len(skin.triangles):
        smooth, tones = (skin, None) if shade is None else without_creases(skin, shade)
        body = pv.PolyData.from_regular_faces(smooth.points, smooth.triangles)
        if tones is not None:
            on_cells = tones.location == "cell"
            (body.cell_data if on_cells else body.point_data)["shade"] = (
                tones.values[smooth.owner] if on_cells else tones.values
            )
        plotter.add_mesh(body, ambient=0.4, diffuse=0.65, specular=0.08, **look)
        if edges:
            nearer = skin.points + 2e-3 * float(np.ptp(skin.points, axis=0).max()) * axes[2]
            rims = pv.PolyData(nearer, lines=_counted(skin.segments))
            plotter.add_mesh(rims, color="black", opacity=0.45, line_width=1.6, lighting=False)
    elif len(skin.segments):
        wires = pv.PolyData(skin.points, lines=_counted(skin.segments))
        if shade is not None:
            on_cells = shade.location == "cell"
            data = wires.cell_data if on_cells else wires.point_data
            data["shade"] = shade.values[skin.line_owner] if on_cells else shade.values
        plotter.add_mesh(wires, line_width=4.0, **look)
    else:
        cloud = pv.PolyData(skin.points)
        if shade is not None:
            cloud.point_data["shade"] = shade.values
        size = 4.75 * float(np.clip(36000 / max(len(skin.points), 1), 1.5, 36.0)) ** 0.5
        plotter.add_mesh(cloud, render_points_as_spheres=True, point_size=size, ambient=0.6, diffuse=0.5, **look)
    middle = (skin.points.min(0) + skin.points.max(0)) / 2
    plotter.camera.focal_point = middle
    plotter.camera.position = middle + axes[2] * (np.ptp(skin.points, axis=0).max() or 1.0) * 4
    plotter.camera.up = axes[1]
    plotter.enable_parallel_projection()
    plotter.reset_camera()
    plotter.enable_anti_aliasing("ssaa")
    picture = np.asarray(plotter.screenshot(return_img=True))
    plotter.close()
    ax.imshow(_cropped(picture), interpolation="antialiased")
    ax.set_axis_off()
    return ScalarMappable(norm, cmap) if shade is not None else None


def _counted(segments: np.ndarray) -> np.ndarray:
    return np.insert(segments, 0, 2, axis=1).reshape(-1)


def _cropped(picture: np.ndarray, margin: int = 12) -> np.ndarray:
    """Cut the white frame off."""
    inked = np.asarray(picture[..., :3]).min(axis=2) < 250
    if not inked.any():
        return picture
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    return picture[top : rows[-1] + margin, left : columns[-1] + margin]


def _quiet() -> None:
    """Keep VTK from writing its warnings about a missing X server to the terminal; errors still appear."""
    from vtkmodules.vtkCommonCore import vtkLogger

    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)


@cache
def can_render() -> bool:
    """True if pyvista is installed and can render off screen, tried once in a process of its own.

    VTK ends the whole process when it finds no OpenGL, which no exception handler can catch.
    """
    import subprocess
    from importlib.util import find_spec

    if find_spec("pyvista") is None:
        return False
    script = (
        "import pyvista as p; q = p.Plotter(off_screen=True); q.add_mesh(p.Sphere()); q.screenshot(return_img=True)"
    )
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=90)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
