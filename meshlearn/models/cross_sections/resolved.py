"""Whether a surface has what the planes show: parts thinner than a voxel are lost, or come out as thick as one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshlearn.io.sections import Section
from meshlearn.io.sections.cutting import cut
from meshlearn.io.sections.polygons import distance, inside, pieces_of, ring_segments, signed_area
from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.raster import grid_points, parity

OFF = 0.6
"""Voxels that contours may be off on average: on planes that the grid resolves it is a tenth."""
ALIKE = 0.7
"""Dice below which a cut of the surface is not what the plane shows, however small the voxels."""
RASTER = 48
PER_PART = 0.75
"""Voxels must be smaller than this share of the thinnest part."""


@dataclass(frozen=True)
class Unresolved:
    """Planes on which a surface is not what the field says, and the side of voxels that would do, in unit frame."""

    planes: tuple[int, ...]
    voxel: float


def unresolved(
    margin: Callable[[Tensor], Tensor],
    body: Body,
    label: int,
    points: np.ndarray,
    triangles: np.ndarray,
    voxel: float,
    contradicted: Collection[int] = (),
) -> Unresolved | None:
    """Planes on which the surface differs from the field, though the field is what the plane shows; None if none does.

    margin        of the label at points (n, 3), positive inside
    points        (n, 3) of the surface, triangles (m, 3), both in unit frame
    contradicted  planes that others contradict: they are not looked at
    """
    found: list[int] = []
    thin: list[float] = []
    for k, section in enumerate(body.sections):
        if k in contradicted:
            continue
        plane = (section.origin, section.normal)
        rings = [section.project(ring) for ring in cut(points, triangles, plane, f"plane {k}")]
        if not rings and label not in section.labels:
            continue
        flat, surface, shown = _raster(section, label, rings)
        total = int(surface.sum() + shown.sum())
        alike = 2 * int((surface & shown).sum()) / total if total else 1.0
        if alike > ALIKE and not _differ(section, label, rings, voxel):
            continue
        field = margin(torch.from_numpy(section.lift(flat).astype(np.float32))).numpy() > 0
        wrong = flat[(surface != shown) & (field == shown)]
        if 2 * len(wrong) > int((surface != shown).sum()):  # else the field gives way to other planes there
            found.append(k)
            width = _width(section, label, wrong)
            # where a part is too thin within its plane, that says it; on planes that it should not reach, the next one
            thin.append(width if np.isfinite(width) else _room(body, k, section.lift(wrong)))
    return Unresolved(tuple(found), PER_PART * min(thin)) if found else None


def told(label: int, planes: list[int], resolution: int, finer: float) -> str:
    """What is to be told of planes on which a surface is not what they show; `finer`: how much smaller voxels do."""
    better = max(int(np.ceil(resolution * finer)), 2 * resolution)
    shown = ", ".join(map(str, planes[:6])) + ", …" * (len(planes) > 6)
    return (
        f"label {label} has parts thinner than the voxels of resolution={resolution}: on {len(planes)} plane"
        f"{'s' * (len(planes) > 1)} ({shown}) the surface is not what the plane shows; parts are too thick or missing. "
        f"Use resolution={better}."
    )


def _raster(section: Section, label: int, rings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """((n, 2) places around all contours, whether the surface is around them, whether the label is)."""
    every = [*rings, *(ring.points for ring in section.rings if ring.label == label)]
    corners = np.concatenate(every)
    low, size = corners.min(0), np.ptp(corners, axis=0)
    step = max(float(size.max()) / RASTER, 1e-9)
    n0, n1 = (int(np.ceil(s / step)) + 1 for s in size)
    low = low + 0.37 * step  # no raster lines along sides of rings
    # small parts have places of their own: the middles of their contours
    flat = np.concatenate([grid_points(low, step, (n0, n1)), *(ring.mean(0)[None] for ring in every)])
    segments = _segments(rings)
    surface = np.concatenate([parity(segments, low, step, (n0, n1)).reshape(-1), inside(flat[n0 * n1 :], segments)])
    shown = section.covers(flat, label)
    for smaller in section.overlaps.get(label, ()):
        shown &= ~section.covers(flat, smaller)
    return flat, surface, shown


def _segments(rings: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((0, 2, 2)), *(ring_segments(ring) for ring in rings)])


def _differ(section: Section, label: int, rings: list[np.ndarray], voxel: float) -> bool:
    """Whether contours of the surface are off what a plane shows: on average, or one that is there in one only."""
    segments = _segments(rings)
    own = [ring.points for ring in section.rings if ring.label == label]
    if not own:
        return sum(abs(signed_area(ring)) for ring in rings) > voxel * voxel
    if not section.overlaps[label]:  # else parts of a contour may be under that of another label
        off = distance(np.concatenate(own), segments)
        first = np.concatenate([[0], np.cumsum([len(ring) for ring in own])[:-1]])
        if (np.minimum.reduceat(off, first) > voxel).any():
            return True
    there = pieces_of(segments, voxel)
    length = np.linalg.norm(there[:, 1] - there[:, 0], axis=1)
    off = np.abs(section.signed_distance(there.mean(1), label)) if len(there) else length
    return bool(length @ np.minimum(off, 4 * voxel) > OFF * voxel * length.sum())


def _room(body: Body, plane: int, places: np.ndarray) -> float:
    """How far the next plane is from places of a plane, as a rule."""
    others = [k for k in range(len(body.sections)) if k != plane]
    heights = np.abs(places @ body.normals[others].T - body.offsets[others]).min(1)
    return max(float(np.median(heights)), 1e-4)


def _width(section: Section, label: int, places: np.ndarray) -> float:
    """Twice the area over the length of the thinnest contour that is around one of these places; infinite for none."""
    found = [np.inf]
    for ring in section.rings:
        if ring.label == label and inside(places, ring_segments(ring.points)).any():
            length = float(np.linalg.norm(np.roll(ring.points, -1, axis=0) - ring.points, axis=1).sum())
            found.append(max(2 * abs(signed_area(ring.points)) / max(length, 1e-300), 1e-4))
    return min(found)
