"""`CrossSections`: planes in space with labelled regions, from files, volumes and meshes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadWarning, ParameterError
from meshlearn.io.sections import polygons
from meshlearn.io.sections.conflicts import Conflict, find_conflicts
from meshlearn.io.sections.planes import as_planes
from meshlearn.io.sections.section import Section


class CrossSections:
    """What planes say of a body: closed, labelled contours on each of them. Immutable.

    planes       the `Section`s, in any position and direction. A plane without contours says that nothing is there.
                 They are counted from 0, in all messages and reports too
    labels       the labels in use, ascending; they are whole numbers from 1 on. 0 is what is outside of all
    label_names  {label: name}, where names are known
    source       where the sections came from (a path), for messages
    report       what a reader changed, and what looks wrong

    Inside is decided by counting: a point is in a region if it lies within an odd number of its rings, so that holes,
    islands in holes, and rings of any direction are right. Coordinates are float64 in any one unit of length.

    >>> square = [[0.0, 0.0, 0.5], [1.0, 0.0, 0.5], [1.0, 1.0, 0.5], [0.0, 1.0, 0.5]]
    >>> ml.CrossSections.from_contours([[square]])
    CrossSections(1 plane, 1 contour, label 1)
    """

    def __init__(
        self,
        planes: Iterable[Section],
        label_names: Mapping[int, str] | None = None,
        source: str | None = None,
        report: Iterable[str] = (),
    ) -> None:
        self.planes: tuple[Section, ...] = tuple(planes)
        self.label_names: dict[int, str] = {int(k): str(v) for k, v in (label_names or {}).items()}
        self.source = source
        self.report: tuple[str, ...] = tuple(report)

    # -- where they come from --------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path, **options: Any) -> CrossSections:
        """From a file: .csl, .csv, .svg, .dxf, .nii, .nii.gz, .nrrd, .npz or .dcm (RTSTRUCT).

        options  of the format. Drawings (.svg, .dxf, and .csv of two coordinates): `plane=` on which they lie, `label=`
                 of contours that carry none, `labels={layer: label}` (.svg, .dxf), and `empty=True` where no contour
                 means that nothing is there. Volumes: `axis=`, `slices=` and `labels=`, see `from_volume`

        What had to be changed is told in a `MeshReadWarning` and kept in `report`. Raises MeshReadError for files that
        cannot be read as sections: the message names the place.
        """
        from meshlearn.io.sections.files import read_sections

        return read_sections(path, **options)

    def write(self, path: str | Path) -> Path:
        """To a file .csl (all planes and labels), .csv (the same as a table), or .svg (one plane); returns the path.

        All of them can be read back, planes without contours and the place of a drawing in space included.
        """
        from meshlearn.io.sections.files import write_sections

        return write_sections(self, path)

    @classmethod
    def from_mesh(cls, mesh: Any, planes: Any, labels: Any = None) -> CrossSections:
        """Cuts of planes through a watertight surface or a solid.

        planes  pairs (point, normal) or rows (A, B, C, D); see `parallel_planes` and `random_planes`
        labels  name of an integer cell field of the mesh, one label per value from 1 on; default: everything is 1

        Raises TopologyError where a plane meets an opening of the surface, and for a mesh without faces.
        """
        from meshlearn.io.sections.cutting import cut_mesh

        return cut_mesh(mesh, as_planes(planes), labels)

    @classmethod
    def from_contours(
        cls, contours: Iterable[Any], planes: Any = None, label_names: Mapping[int, str] | None = None
    ) -> CrossSections:
        """From points in space: for every plane a list of rings (k, 3), or a dictionary {label: list of rings}.

        planes  pairs (point, normal) or rows (A, B, C, D), one per plane; needed where a plane has no contour or only
                such of points in a line; default: fitted to the points

        Raises ParameterError for rings of fewer than three points, that are not finite, or do not lie in a plane.
        """
        from meshlearn.io.sections.contours import sections_of_contours

        return sections_of_contours(contours, planes, label_names)

    @classmethod
    def from_volume(
        cls, volume: Any, affine: Any = None, axis: int = 2, slices: Any = None, labels: Any = None
    ) -> CrossSections:
        """From slices of a label volume: integers (n0, n1, n2), 0 is outside.

        volume  of whole numbers, or a mask: what is True has the label 1
        affine  (4, 4) from voxel numbers to coordinates, as in NIfTI; default: voxel numbers are coordinates
        axis    direction across the slices: 0, 1 or 2
        slices  numbers of the slices that are known, a slice object, or "labelled" for those that hold any label;
                default: all. Negative numbers count from the end, a slice named twice counts once. A known slice
                without labels says that nothing is there
        labels  the labels to keep; default: all but 0

        A MeshReadWarning tells of labels that lie between the chosen slices. Raises ParameterError for labels that the
        volume does not have, and where no slice is chosen. Contours run through the middles between voxel centres of
        different labels.
        """
        from meshlearn.io.sections.volumes import sections_of_volume

        return sections_of_volume(volume, affine, axis, slices, labels)

    # -- what they are ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.planes)

    def __iter__(self) -> Iterator[Section]:
        return iter(self.planes)

    def __getitem__(self, index: Any) -> Any:
        """One plane, or CrossSections of some of them: a slice, numbers, or a mask with an entry per plane."""
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"there is no plane {index}: planes count from 0, and there are {len(self)}.")
            return self.planes[index]
        chosen = self.planes[index] if isinstance(index, slice) else [self[int(i)] for i in self._numbers(index)]
        return CrossSections(chosen, self.label_names, self.source, self.report)

    def _numbers(self, index: Any) -> np.ndarray:
        numbers = np.asarray(index)
        if numbers.dtype == bool and numbers.shape == (len(self),):
            return np.flatnonzero(numbers)
        if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
            raise ParameterError(
                f"sections[{index!r}] names no planes: a number, a slice, a list of numbers, or a mask of {len(self)} "
                "entries is expected."
            )
        return numbers

    def __add__(self, other: CrossSections) -> CrossSections:
        if not isinstance(other, CrossSections):
            return NotImplemented
        names = {**other.label_names, **self.label_names}
        unlike = [k for k, name in other.label_names.items() if names[k] != name]
        if unlike:
            k = unlike[0]
            raise ParameterError(
                f"label {k} is {self.label_names[k]!r} in the one and {other.label_names[k]!r} in the other: give both "
                "the same labels when they are read, for example with labels={layer: label} for drawings."
            )
        return CrossSections(self.planes + other.planes, names, self.source, self.report + other.report)

    def __repr__(self) -> str:
        n_rings = sum(len(plane.rings) for plane in self.planes)
        empty = sum(not plane.rings for plane in self.planes)
        labels = self.labels
        shown = ", ".join(map(str, labels[:8])) + (", …" if len(labels) > 8 else "")
        text = f"{len(self)} plane{'s' * (len(self) != 1)}" + (f" ({empty} empty)" if empty else "")
        text += f", {n_rings} contour{'s' * (n_rings != 1)}"
        text += f", label{'s' * (len(labels) != 1)} {shown}" if labels else ""
        return f"CrossSections({text})"

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """The labels in use, ascending."""
        return tuple(sorted({label for plane in self.planes for label in plane.labels}))

    @cached_property
    def is_parallel(self) -> bool:
        """True if all normals agree up to sign (to 1e-4 radian)."""
        normals = np.array([plane.normal for plane in self.planes]).reshape(-1, 3)
        return bool(len(normals)) and bool((np.linalg.norm(np.cross(normals, normals[0]), axis=1) < 1e-4).all())

    @cached_property
    def points(self) -> np.ndarray:
        """(n, 3) float64: the points of all contours."""
        parts = [plane.lift(ring.points) for plane in self.planes for ring in plane.rings]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    def bounding_box(self) -> np.ndarray:
        """(2, 3) smallest and largest coordinates of the contours; of the planes' origins where there are none."""
        points = self.points if len(self.points) else np.array([plane.origin for plane in self.planes]).reshape(-1, 3)
        if not len(points):
            raise ParameterError("sections without a plane have no bounding box.")
        return np.stack([points.min(0), points.max(0)])

    def conflicts(self, tolerance: float | None = None) -> list[Conflict]:
        """Pairs of planes that contradict each other where they cross, the deepest contradiction first.

        tolerance  differences up to this distance from a contour are no contradiction; default: 0.5 % of the size of
                   the sections
        """
        box = self.bounding_box()
        size = float(np.linalg.norm(box[1] - box[0]))
        grown = box + np.array([[-0.05], [0.05]]) * size
        return find_conflicts(self.planes, grown, 0.005 * size if tolerance is None else float(tolerance))

    def defects(self) -> list[str]:
        """Contours that cross themselves, or cross or cover another one of their label, and labels that overlap, in
        words."""
        found = []
        for number, plane in enumerate(self.planes):
            for label in plane.labels:
                places = polygons.crossings(plane.segments(label))
                if len(places):
                    x, y, z = plane.lift(places[:1])[0]
                    found.append(
                        f"plane {number}: contours of label {label} cross at {len(places)} "
                        f"place{'s' * (len(places) > 1)}, first at ({x:.4g}, {y:.4g}, {z:.4g}); inside is what lies "
                        "within an odd number of turns"
                    )
                elif plane.covered(label):
                    found.append(
                        f"plane {number}: contours of label {label} cover the same region, for example number "
                        f"{' and '.join(map(str, plane.covered(label)[0]))}; inside is what lies within an odd number "
                        "of contours: two that are the same enclose nothing"
                    )
            for label, smaller in plane.overlaps.items():
                if smaller:
                    found.append(f"plane {number}: label {label} overlaps {list(smaller)}, which keep what they cover")
        return found

    # -- changed copies --------------------------------------------------------------------------------------------

    def moved(self, rotation: Any = None, shift: Any = (0.0, 0.0, 0.0), scale: float = 1.0) -> CrossSections:
        """The sections under x -> scale * rotation @ x + shift; `rotation` (3, 3) is orthogonal."""
        turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
        if turn.shape != (3, 3) or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6):
            raise ParameterError(f"rotation={rotation!r} is not allowed: an orthogonal (3, 3) matrix is expected.")
        if not 0 < scale < np.inf:
            raise ParameterError(f"scale={scale!r} is not allowed: a positive number is expected.")
        along = np.asarray(shift, dtype=np.float64)
        if along.shape != (3,) or not np.isfinite(along).all():
            raise ParameterError(f"shift={shift!r} is not allowed: three finite numbers are expected.")
        moved = [plane.moved(turn, along, float(scale)) for plane in self.planes]
        return CrossSections(moved, self.label_names, self.source, self.report)

    def noted(self, notes: Sequence[str], warn: bool = True) -> CrossSections:
        """The sections with notes added to their report, which are also told in a MeshReadWarning."""
        if notes and warn:
            name = Path(self.source).name if self.source else "sections"
            more = f"\n  and {len(notes) - 5} more, see `report`" if len(notes) > 5 else ""
            warnings.warn(f"{name}: " + "\n  ".join(notes[:5]) + more, MeshReadWarning, stacklevel=4)
        return CrossSections(self.planes, self.label_names, self.source, (*self.report, *notes))
