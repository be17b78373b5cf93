"""Pictures in the plane with matplotlib: cells, lines, point clouds, edges and tags, on any axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.mesh.mesh import Mesh
from meshlearn.viz.finer import without_creases
from meshlearn.viz.layout import inches, set_aspect
from meshlearn.viz.shade import Shade
from meshlearn.viz.skin import Skin
from meshlearn.viz.style import BODY_COLOR, EDGE_COLOR, NAN_COLOR

TAG_COLORS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf", "#8c564b", "#e377c2", "#bcbd22")


def draw(ax: Any, skin: Skin, shade: Shade | None, norm: Any, cmap: Any, edges: bool) -> Any:
    """Draw a skin with 2-D points; returns what a colour bar needs, or None without a field."""
    from matplotlib.collections import LineCollection

    mappable: Any
    if len(skin.triangles):
        mappable = _triangles(ax, skin, shade, norm, cmap)
        if edges:
            ax.add_collection(
                LineCollection(skin.points[skin.segments], colors=[EDGE_COLOR], linewidths=0.35, zorder=2)
            )
    elif len(skin.segments):
        mappable = _lines(ax, skin, shade, norm, cmap)
    else:
        mappable = _cloud(ax, skin.points, shade, norm, cmap)
    set_aspect(ax, skin.points)
    return mappable if shade is not None else None


def _triangles(ax: Any, skin: Skin, shade: Shade | None, norm: Any, cmap: Any) -> Any:
    from matplotlib.collections import PolyCollection

    if shade is None:
        faces = PolyCollection(
            skin.points[skin.triangles], facecolors=BODY_COLOR, edgecolors=BODY_COLOR, linewidths=0.2
        )
        return ax.add_collection(faces)
    if shade.location == "cell":
        values = shade.values[skin.owner]
        faces = PolyCollection(skin.points[skin.triangles], array=values, norm=norm, cmap=cmap, linewidths=0.2)
        faces.set_edgecolor("face")
        return ax.add_collection(faces)
    skin, shade = without_creases(skin, shade)
    whole = np.isfinite(shade.values[skin.triangles]).all(1)
    if not whole.all():
        ax.add_collection(PolyCollection(skin.points[skin.triangles[~whole]], facecolors=NAN_COLOR, linewidths=0))
    values = np.where(np.isfinite(shade.values), shade.values, 0.0)
    x, y = skin.points.T
    triangles = skin.triangles[whole] if whole.any() else skin.triangles[:0]
    if not len(triangles):
        return _scale(norm, cmap)
    return ax.tripcolor(x, y, triangles, values, shading="gouraud", norm=norm, cmap=cmap, rasterized=True)


def _lines(ax: Any, skin: Skin, shade: Shade | None, norm: Any, cmap: Any) -> Any:
    from matplotlib.collections import LineCollection

    ends = skin.points[skin.segments]
    if shade is None:
        return ax.add_collection(LineCollection(ends, colors="0.3", linewidths=1.2))
    on_cells = shade.location == "cell"
    values = shade.values[skin.line_owner] if on_cells else shade.values[skin.segments].mean(1)
    return ax.add_collection(LineCollection(ends, array=values, norm=norm, cmap=cmap, linewidths=2.0, capstyle="round"))


def _cloud(ax: Any, points: np.ndarray, shade: Shade | None, norm: Any, cmap: Any) -> Any:
    size = float(np.clip(12000 / max(len(points), 1), 1.0, 36.0))
    if shade is None:
        return ax.scatter(*points.T, s=size, color="0.35", linewidths=0)
    return ax.scatter(*points.T, s=size, c=shade.values, norm=norm, cmap=cmap, linewidths=0)


def _scale(norm: Any, cmap: Any) -> Any:
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm, cmap)


def curve(ax: Any, mesh: Mesh, skin: Skin, shade: Shade | None) -> None:
    """A field over a 1-D mesh as a graph: the coordinate to the right, the value upwards."""
    x = skin.points[:, 0]
    if shade is None:
        ax.plot(x, np.zeros_like(x), "|-", color="0.3", markersize=9, linewidth=1.0)
        ax.set_yticks([])
    elif shade.location == "cell" and len(skin.segments):
        for (a, b), owner in zip(skin.segments, skin.line_owner, strict=True):
            ax.plot(x[[a, b]], shade.values[[owner, owner]], color="#1f77b4", linewidth=1.6)
    else:
        order = np.argsort(x)
        ax.plot(x[order], shade.values[order], ".-", color="#1f77b4", linewidth=1.4, markersize=4)
    ax.set_xlabel("x")
    if shade is not None:
        ax.set_ylabel(shade.label)


def draw_tags(ax: Any, mesh: Mesh, names: list[str], places: np.ndarray, depth: float = 0.25) -> None:
    """Draw point sets as dots and cell sets as lines or dots at `places` (n_points, 2), with a legend so many inches
    below the axes."""
    from matplotlib.collections import LineCollection
    from matplotlib.transforms import blended_transform_factory

    from meshlearn.mesh.boundary import tagged_points

    for i, name in enumerate(names):
        color = TAG_COLORS[i % len(TAG_COLORS)]
        lines = mesh.cell_sets.get(name, {})
        pairs = [mesh.cells[kind][rows].cpu().numpy() for kind, rows in lines.items() if kind in ("line", "line3")]
        if pairs:
            for nodes in pairs:
                path = nodes[:, [0, 2, 1]] if nodes.shape[1] == 3 else nodes
                ax.add_collection(LineCollection(places[path], colors=color, linewidths=2.2, zorder=3))
            ax.plot([], [], color=color, linewidth=2.2, label=name)
        else:
            chosen = tagged_points(mesh, name).cpu().numpy()
            ax.scatter(*places[chosen].T, s=14, color=color, label=name, zorder=4, linewidths=0)
    if names:
        below = blended_transform_factory(ax.transAxes, inches(ax, 0.0, 0.0))
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -depth),
            bbox_transform=below,
            ncols=min(len(names), 5),
            handlelength=1.2,
        )
