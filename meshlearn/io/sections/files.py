"""Files of sections: which reader and writer a suffix stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError, MeshWriteError, ParameterError
from meshlearn.io.paths import checked_path
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.write import atomic

DRAWINGS = (".svg", ".dxf", ".csv")
VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".npz")
SUFFIXES = (".csl", *DRAWINGS, *VOLUMES, ".dcm")


def suffix_of(path: Path) -> str:
    """The suffix that decides, in lower case; `.nii.gz` is one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def read_sections(path: Any, **options: Any) -> CrossSections:
    """`CrossSections.read`. Options by format:

    .svg, .dxf, .csv  plane  where a drawing of two coordinates lies: (point, normal), (A, B, C, D) or a number z
                      label  of contours that carry none
                      empty  True: the drawing may hold no contour, which says that nothing is on its plane
    .svg, .dxf        labels  {name of a layer: label}; other layers are left out
    volumes           axis, slices, labels: see `CrossSections.from_volume`
    """
    path = checked_path(path, MeshReadError)
    if not path.is_file():
        raise MeshReadError(f"{path}: there is no such file.")
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise MeshReadError(
            f"{path}: sections are read from {', '.join(SUFFIXES)}, not from {suffix or 'no suffix'!r}."
        )
    allowed = set()
    if suffix in DRAWINGS:
        allowed = {"plane", "label", "empty"} | ({"labels"} if suffix != ".csv" else set())
    elif suffix in VOLUMES:
        allowed = {"axis", "slices", "labels"}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise ParameterError(f"{unknown[0]}= is no option of {suffix} files; they take {sorted(allowed) or 'none'}.")
    if suffix in VOLUMES:
        labels, affine = _volume_reader(suffix)(path)
        found = CrossSections.from_volume(labels, affine, **options)
        return CrossSections(found.planes, source=str(path), report=found.report)
    return _reader(suffix)(path, **options)


def _volume_reader(suffix: str) -> Callable[[Path], Any]:
    if suffix in (".nrrd", ".nhdr"):
        from meshlearn.io.sections.nrrd import read_nrrd

        return read_nrrd
    from meshlearn.io.sections.volumes import read_nifti, read_npz

    return read_npz if suffix == ".npz" else read_nifti


def _reader(suffix: str) -> Callable[..., CrossSections]:
    if suffix == ".csl":
        from meshlearn.io.sections.csl import read_csl

        return read_csl
    if suffix == ".csv":
        from meshlearn.io.sections.tables import read_csv

        return read_csv
    if suffix == ".svg":
        from meshlearn.io.sections.svg import read_svg

        return read_svg
    if suffix == ".dxf":
        from meshlearn.io.sections.dxf import read_dxf

        return read_dxf
    from meshlearn.io.sections.rtstruct import read_rtstruct

    return read_rtstruct


def write_sections(sections: CrossSections, path: Any) -> Path:
    """`CrossSections.write`: the whole file or none."""
    path = checked_path(path, MeshWriteError)
    suffix = suffix_of(path)
    if suffix == ".csl":
        from meshlearn.io.sections.csl import csl_text as text_of
    elif suffix == ".csv":
        from meshlearn.io.sections.tables import csv_text as text_of
    elif suffix == ".svg":
        from meshlearn.io.sections.svg import svg_text as text_of
    else:
        raise MeshWriteError(f"{path}: sections are written as .csl, .csv or .svg.")
    if not len(sections):
        raise MeshWriteError(f"{path}: sections without a plane cannot be read back, and are not written.")
    text = text_of(sections)
    if not path.parent.is_dir():
        raise MeshWriteError(f"{path}: the folder {path.parent} does not exist.")
    try:
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MeshWriteError(f"{path}: cannot be written ({error.strerror or error}).") from error
    return path
