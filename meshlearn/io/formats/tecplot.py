"""Tecplot's ASCII files (.tec, .dat, .plt): the first finite-element zone, read through meshio."""

from __future__ import annotations

import re
from pathlib import Path

from meshlearn.errors import MeshReadError
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.meshio_adapter import read_with_meshio

_ZONE = re.compile(rb"^\s*ZONE\b", re.M | re.I)
_TIME = re.compile(rb",?[ \t]*\b(?:SOLUTIONTIME|STRANDID)\s*=\s*[-+.\w]+", re.I)


def read(path: Path) -> MeshBuilder:
    """Read the first zone; further ones are named as lost. Zones of ordered points (I=, J=, K=) have no cells to read.

    Raises MeshReadError for what is not one finite-element zone of nodes and elements.
    """
    zones = len(_ZONE.findall(path.read_bytes()))
    try:
        builder = read_with_meshio(path, "tecplot", "Tecplot")
    except (MeshReadError, OSError):
        raise
    # meshio's reader ends in errors of all kinds at what it does not know
    except Exception as error:
        raise MeshReadError(
            f"{path}: this is a Tecplot file of a kind that is not read ({type(error).__name__}: {error}).\n"
            "  read are finite-element zones (ZONETYPE=FETRIANGLE, FETETRAHEDRON ...) of nodes and elements; export "
            "other data from Tecplot, or through ParaView, as .vtu or .cgns"
        ) from error
    if zones > 1:
        builder.lost(f"{zones - 1} of {zones} zones: the first is read")
    return builder


def without_times(text: bytes) -> bytes:
    """The file without entries of time, at which meshio's reader stumbles."""
    return re.sub(rb"(\bZONE)\s*,", rb"\1 ", _TIME.sub(b"", text), flags=re.I)
