"""Contours of radiotherapy structure sets (DICOM RTSTRUCT), through pydicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.errors import MeshReadError, require
from meshlearn.io.sections.contours import LabelledRings, checked_ring, fitted_plane, section_at
from meshlearn.io.sections.cross_sections import CrossSections


def read_rtstruct(path: Path) -> CrossSections:
    """Sections in millimetres of the patient's frame; the label of a structure is its ROI number, its name is kept.

    Contours are put on one plane where they lie within a hundredth of a millimetre of it. Points and open contours are
    left out with a note.
    """
    pydicom = require("pydicom", "volume", "reading RTSTRUCT files")
    try:
        data = pydicom.dcmread(path)
    except (pydicom.errors.InvalidDicomError, EOFError) as error:
        raise MeshReadError(f"{path}: this is no readable DICOM file ({error}).") from None
    if data.get("Modality") != "RTSTRUCT" or "ROIContourSequence" not in data:
        raise MeshReadError(f"{path}: a DICOM file of modality {data.get('Modality')!r}; RTSTRUCT is expected.")
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in data.get("StructureSetROISequence", [])}
    notes: list[str] = []
    planes: list[tuple[np.ndarray, np.ndarray, LabelledRings]] = []
    for roi in data.ROIContourSequence:
        label = int(roi.ReferencedROINumber)
        if label < 1:
            raise MeshReadError(f"{path}: a structure has the number {label}; labels count from 1.")
        for contour in roi.get("ContourSequence", []):
            kind = str(contour.get("ContourGeometricType", "CLOSED_PLANAR"))
            if not kind.startswith("CLOSED"):
                notes.append(f"a contour of {names.get(label, label)!r} is {kind} and was left out")
                continue
            where = f"{path}: structure {names.get(label, label)!r}"
            ring = checked_ring(np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3), where, MeshReadError)
            _put(planes, label, ring, where)
    sections = [section_at((origin, normal), rings) for origin, normal, rings in planes]
    if sections:
        across = sections[0].normal
        sections.sort(key=lambda section: float(section.origin @ across))
    found = CrossSections(sections, names, source=str(path))
    return found.noted(notes + found.defects())


def _put(planes: list[tuple[np.ndarray, np.ndarray, LabelledRings]], label: int, ring: np.ndarray, where: str) -> None:
    """Add a ring to the plane it lies in, or start a new one."""
    for origin, normal, rings in planes:
        if np.abs((ring - origin) @ normal).max() < 0.01:
            rings.append((label, ring))
            return
    origin, normal = fitted_plane([(label, ring)], where)
    if len(planes) and abs(normal @ planes[0][1]) > 1 - 1e-6:
        normal = planes[0][1]  # slices of one scan share their direction
    planes.append((origin, normal, [(label, ring)]))
