"""Sections in a frame of their own (centred, of unit size, turned), with signed distances on grids of their planes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.io.sections import CrossSections
from meshlearn.models.cross_sections.raster import signed_distances
from meshlearn.models.cross_sections.trust import Doubt, doubts_of

REACH = 1.35
"""Half the side of the square (of the cube) in which fields are known; all contours lie within the unit ball."""
MEMORY = 1.2e9
"""Bytes that the grids of all planes and labels may take."""
HALF_SPACES = 160
"""That the hull of all contours is made of, at most."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The map between input coordinates and the unit ball: input = centre + size * rotation.T @ unit."""

    centre: np.ndarray
    size: float
    rotation: np.ndarray

    @classmethod
    def of(cls, sections: CrossSections) -> Frame:
        """The frame that moves with the sections, whatever their position, direction and unit."""
        points = sections.points
        low, high = points.min(0), points.max(0)
        if sections.is_parallel:
            plane = next(plane for plane in sections if plane.rings)
            rotation = np.concatenate([plane.axes, plane.normal[None]])
        else:
            rotation = _principal(sections)
        turned = points @ rotation.T
        low, high = turned.min(0), turned.max(0)
        centre = rotation.T @ (0.5 * (low + high))
        size = float(np.linalg.norm(points - centre, axis=1).max())
        if not size > 0 or not np.isfinite(size):
            raise ParameterError(f"the contours have the size {size}: they bound no region.")
        return cls(centre, size, rotation)

    def to_unit(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) points in the unit ball."""
        return (points - self.centre) @ self.rotation.T / self.size

    def from_unit(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) points in input coordinates."""
        return self.centre + self.size * points @ self.rotation


def _principal(sections: CrossSections) -> np.ndarray:
    """(3, 3) principal axes of the contours, weighted by length; signs by the third moments."""
    starts, lengths = [], []
    for plane in sections:
        for label in plane.labels:
            segments = plane.segments(label)
            starts.append(plane.lift(segments.mean(1)))
            lengths.append(np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1))
    points, weight = np.concatenate(starts), np.concatenate(lengths)
    points = points - (weight @ points) / weight.sum()
    _, axes = np.linalg.eigh((points * weight[:, None]).T @ points)
    skew = weight @ (points @ axes) ** 3
    axes = axes * np.where(skew < 0, -1.0, 1.0)
    rotation = axes.T[::-1].copy()
    if np.linalg.det(rotation) < 0:
        rotation[2] *= -1
    return rotation


class Body:
    """Sections in the unit frame, and for every plane a grid of signed distances of all channels.

    channels  the labels; before them 0, what is outside of all, where there are several
    data      (n_planes, n_channels, n, n) float32 on grids of spacing `step` that start at `lows` (n_planes, 2)
    gap       typical distance of neighbouring planes
    cap       how far the body may reach beyond what the planes show
    doubts    places where planes contradict each other
    """

    def __init__(
        self,
        sections: CrossSections,
        frame: Frame,
        grid: int,
        cap: float | None = None,
        data: Tensor | None = None,
        channels: list[int] | None = None,
        doubts: list[Doubt] | None = None,
    ):
        self.frame = frame
        self.doubts = doubts_of(sections.conflicts()) if doubts is None else doubts
        self.sections = sections
        several = len(sections.labels) > 1
        self.channels: list[int] = channels or ([0, *sections.labels] if several else list(sections.labels))
        self.grid = grid
        self.step = 2 * REACH / (grid - 1)
        planes = sections.planes
        self.parallel = sections.is_parallel
        self.normals = np.array([plane.normal for plane in planes])
        self.offsets = np.array([plane.normal @ plane.origin for plane in planes])
        self.axes = np.array([plane.axes for plane in planes])
        self.origins = np.array([plane.origin for plane in planes])
        feet = self.offsets[:, None] * self.normals
        self.lows = np.einsum("kij,kj->ki", self.axes, feet - self.origins) - REACH
        self.gap = self._gap()
        self.given_cap = cap is not None
        self.cap = self.gap if cap is None else cap
        if data is None:
            rows = [
                signed_distances(plane, self.channels, low, self.step, (grid, grid), absent=max(self.gap, 0.05))
                for plane, low in zip(planes, self.lows, strict=True)
            ]
            data = torch.from_numpy(np.stack(rows))
        self.data = data

    @classmethod
    def of(cls, sections: CrossSections, frame: Frame, cap: float | None = None) -> Body:
        """The body of sections in input coordinates; `cap` in their unit."""
        turn = frame.rotation
        unit = sections.moved(turn, -turn @ frame.centre / frame.size, 1.0 / frame.size)
        if sections.is_parallel:
            unit = _with_common_axes(unit)
        channels = len(sections.labels) + (len(sections.labels) > 1)
        grid = int(np.clip(np.sqrt(MEMORY / (4 * len(sections) * channels)), 64, 272))
        return cls(unit, frame, grid, None if cap is None else cap / frame.size)

    def only(self, keep: list[int]) -> Body:
        """The body that some of the planes show, with the cap of all of them."""
        rows = torch.tensor(keep)
        number = {k: i for i, k in enumerate(keep)}
        doubts = [replace(doubt, plane=number[doubt.plane]) for doubt in self.doubts if doubt.plane in number]
        part = Body(
            self.sections[keep], self.frame, self.grid, self.cap, self.data.index_select(0, rows), self.channels, doubts
        )
        part.given_cap, part.parallel = self.given_cap, self.parallel
        return part

    def _gap(self) -> float:
        """Median distance of neighbouring parallel planes; of others, what as many parallel planes would have."""
        if len(self.offsets) > 1 and self.parallel:
            signs = np.sign(self.normals @ self.normals[0])
            steps = np.diff(np.sort(signs * self.offsets))
            steps = steps[steps > 1e-9]
            return float(np.median(steps)) if len(steps) else 0.5
        return 2.0 / max(len(self.offsets), 1)

    @cached_property
    def hull(self) -> np.ndarray:
        """(m, 4) float32 outward half-spaces of the convex hull of all contours, at most `HALF_SPACES` of them."""
        from scipy.spatial import ConvexHull, QhullError

        points = self.sections.points
        try:
            hull = ConvexHull(points)
        except QhullError:  # flat: the box does
            low, high = points.min(0), points.max(0)
            return np.concatenate([np.c_[np.eye(3), -high], np.c_[-np.eye(3), low]]).astype(np.float32)
        _, different = np.unique(np.round(hull.equations, 3), axis=0, return_index=True)
        equations = hull.equations[different]
        if len(equations) > HALF_SPACES:
            corners = points[hull.simplices[different]]
            areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
            equations = equations[_all_round(equations[:, :3], areas)]
        return equations.astype(np.float32)


def _all_round(normals: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Numbers of the largest face in each of `HALF_SPACES` equal parts of all directions, where there is one.

    So that no direction is left open: what lies beyond the chosen faces is little, wherever the hull is curved.
    """
    count = np.arange(HALF_SPACES)
    z = 1.0 - (2.0 * count + 1.0) / HALF_SPACES
    angle = np.pi * (1.0 + np.sqrt(5.0)) * count  # Fibonacci's lattice on the sphere
    centres = np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)
    part = (normals @ centres.T).argmax(1)
    order = np.argsort(-areas, kind="stable")
    return order[np.unique(part[order], return_index=True)[1]]


def _with_common_axes(sections: CrossSections) -> CrossSections:
    """Parallel planes in the unit frame, all with the axes x and y."""
    from meshlearn.io.sections import Ring, Section

    axes = np.eye(3)[:2]
    planes = []
    for plane in sections:
        origin = np.array([0.0, 0.0, float(plane.origin[2])])
        rings = tuple(Ring(ring.label, plane.lift(ring.points)[:, :2]) for ring in plane.rings)
        planes.append(Section(origin, axes, rings))
    order = np.argsort([plane.origin[2] for plane in planes], kind="stable")
    return CrossSections([planes[int(i)] for i in order], sections.label_names, sections.source, sections.report)
