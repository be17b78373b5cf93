"""Label volumes: numpy arrays with an affine, NIfTI, NRRD and .npz files, and the contours of their slices."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError, require
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.labels import checked_label
from meshlearn.io.sections.section import Ring, Section
from meshlearn.io.sections.tracing import mask_rings


def sections_of_volume(volume: Any, affine: Any, axis: Any, slices: Any, labels: Any) -> CrossSections:
    """See `CrossSections.from_volume`."""
    volume = label_array(volume)
    affine = checked_affine(affine)
    if axis not in (0, 1, 2) or isinstance(axis, bool):
        raise ParameterError(f"axis={axis!r} is not allowed: 0, 1 or 2 is expected.")
    volume = np.moveaxis(volume, axis, 2)
    # after moveaxis the in-plane axes are the two others, in ascending order
    columns = [k for k in range(3) if k != axis]
    u, v, w = affine[:3, columns[0]], affine[:3, columns[1]], affine[:3, axis]
    present = [label for label in np.unique(volume).tolist() if label != 0]
    keep = set(present) if labels is None else _kept(labels, present)
    chosen = _chosen(slices, volume)
    sections = []
    for k in chosen:
        image = volume[:, :, k]
        place = affine[:3, 3] + k * w
        rings = []
        for label in np.unique(image).tolist():
            if label not in keep:
                continue
            for ring in mask_rings(image == label):
                rings.append((label, place + ring[:, :1] * u + ring[:, 1:] * v))
        sections.append(_section(place, u, v, rings))
    found = CrossSections(sections)
    missed = sorted(keep - set(found.labels))
    if not missed or not found.labels:  # sections of empty slices alone are told by whoever needs contours
        return found
    shown = ", ".join(map(str, missed[:8])) + (", …" if len(missed) > 8 else "")
    return found.noted([f"{len(missed)} of {len(keep)} labels lie between the chosen slices and are lost: {shown}"])


def _kept(labels: Any, present: list[int]) -> set[int]:
    """The labels to keep; raises ParameterError for those that the volume does not have."""
    try:
        given = [checked_label(label, "labels") for label in np.atleast_1d(labels).tolist()]
    except (TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"labels={labels!r} is not allowed: a list of labels is expected.") from None
    shown = ", ".join(map(str, present[:20])) + (", …" if len(present) > 20 else "") or "none"
    missing = [label for label in given if label not in present]
    if missing or not given:
        raise ParameterError(f"labels={labels!r}: {missing or 'nothing'} is no label of the volume; it has {shown}.")
    return set(given)


def _section(place: np.ndarray, u: np.ndarray, v: np.ndarray, rings: list[tuple[int, np.ndarray]]) -> Section:
    """A section whose first axis is that of the slice, so that slices share their coordinates."""
    first = u / np.linalg.norm(u)
    second = v - (v @ first) * first
    axes = np.stack([first, second / np.linalg.norm(second)])
    return Section(place, axes, tuple(Ring(label, (points - place) @ axes.T) for label, points in rings))


def label_array(volume: Any) -> np.ndarray:
    """The volume as whole numbers; raises ParameterError for other numbers of axes, fractions and negative labels."""
    volume = np.asarray(volume.detach().cpu() if hasattr(volume, "detach") else volume)
    if volume.ndim == 4 and volume.shape[3] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3 or 0 in volume.shape:
        raise ParameterError(f"a label volume has three axes, this has the shape {volume.shape}.")
    if volume.dtype.kind == "f":
        if missing := int((~np.isfinite(volume)).sum()):
            raise ParameterError(f"{missing} of {volume.size} voxels are NaN or infinite: set them to 0, the outside.")
        if (volume != np.round(volume)).any():
            raise ParameterError("a label volume holds whole numbers, this holds fractions: is it an image of greys?")
        volume = volume.astype(np.int64)
    if volume.dtype.kind == "b":
        volume = volume.astype(np.uint8)  # a mask: what is true has the label 1
    if volume.dtype.kind not in "iu":
        raise ParameterError(f"a label volume holds whole numbers, this holds {volume.dtype}.")
    if volume.dtype.kind == "i" and volume.min() < 0:
        raise ParameterError(f"a label volume has labels from 0 on, this has {volume.min()}.")
    return volume


def checked_affine(affine: Any) -> np.ndarray:
    """(4, 4) float64, the identity for None; raises ParameterError for others and for singular ones."""
    if affine is None:
        return np.eye(4)
    try:
        matrix = np.asarray(affine, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-300:
        raise ParameterError(f"affine={affine!r} is not allowed: an invertible (4, 4) matrix is expected.")
    return matrix


def _chosen(slices: Any, volume: np.ndarray) -> list[int]:
    n = volume.shape[2]
    if slices is None:
        return list(range(n))
    if isinstance(slices, str) and slices == "labelled":
        numbers = np.flatnonzero(volume.any(axis=(0, 1))).tolist()
        if not numbers:
            raise ParameterError("slices='labelled': the volume has no label, all of it is 0.")
        return numbers
    if isinstance(slices, slice):
        numbers = list(range(n))[slices]
        if not numbers:
            raise ParameterError(f"slices={slices!r} names none of the {n} slices along this axis.")
        return numbers
    if isinstance(slices, str):
        raise ParameterError(f"slices={slices!r} is not allowed: numbers, a slice object or 'labelled'.")
    try:
        numbers = [int(k) for k in slices]
    except (TypeError, ValueError):
        raise ParameterError(f"slices={slices!r} is not allowed: numbers, a slice object or 'labelled'.") from None
    if not numbers:
        raise ParameterError(f"slices={slices!r} names no slice: name at least one of the {n} along this axis.")
    wrong = [k for k in numbers if not -n <= k < n]
    if wrong:
        raise ParameterError(f"there is no slice {wrong[0]}: the volume has {n} slices along this axis.")
    return sorted({k % n for k in numbers})


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(labels, affine) of a .nii or .nii.gz file, in the file's unit (millimetres, as a rule)."""
    nibabel = require("nibabel", "volume", "reading NIfTI files")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            image = nibabel.load(path)
            return label_array(np.asarray(image.dataobj)), np.asarray(image.affine, dtype=np.float64)
    except (nibabel.filebasedimages.ImageFileError, EOFError, OSError, zlib.error) as error:
        raise MeshReadError(f"{path}: this is no readable NIfTI file ({error}).") from None


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(labels, affine) of a .npz file with an array `labels` and, if need be, `affine`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "labels" not in archive:
                raise MeshReadError(f"{path}: it has no array 'labels', only {archive.files}.")
            return label_array(archive["labels"]), checked_affine(archive.get("affine", None))
    except (ValueError, OSError) as error:
        if isinstance(error, MeshReadError):
            raise
        raise MeshReadError(f"{path}: this is no readable .npz file ({error}).") from None
