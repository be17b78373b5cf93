"""Names that a format could not give back, such as empty ones and lines of text, in a form that it can."""

from __future__ import annotations

import re
from typing import Any

from meshlearn.io.components import spelled
from meshlearn.mesh.mesh import Mesh

_CONTROL = r"[\x00-\x1f\x7f]"
# format -> what cannot stand in a name; none of them holds empty names. The others hold all, or spell names themselves
_CANNOT = {
    **dict.fromkeys(("vtu", "vtp", "pvd", "vtk", "xdmf", "npz"), "(?!)"),
    **dict.fromkeys(("avs-ucd", "exodus", "tabular"), rf"{_CONTROL}|^\s|\s$"),
    "med": rf"{_CONTROL}|^\s|\s$|^\.+$",
    "cgns": rf"{_CONTROL}|^\s|\s$|^\.+$|/",  # names of groups in HDF5
    "abaqus": rf'{_CONTROL}|^\s|\s$|"',
}
_PARTS = {
    "point_data": "point data", "cell_data": "cell data", "global_data": "global data",
    "point_sets": "point set", "cell_sets": "cell set",
}  # fmt: skip
_FIELDS = ("point_data", "cell_data", "global_data")
_HOLDS = {
    **dict.fromkeys(("vtu", "vtp", "pvd", "vtk"), _FIELDS), "abaqus": ("point_sets", "cell_sets"),
    "tabular": ("point_data",), "avs-ucd": ("point_data", "cell_data"),
    "med": ("point_data", "cell_data", "point_sets", "cell_sets"),
}  # fmt: skip


def nameable(given: Any, format_name: str) -> tuple[Any, list[str]]:
    """(the Mesh or Trajectory with names that the format can hold, which names were changed)."""
    losses: list[str] = []
    if format_name not in _CANNOT:
        return given, losses
    pattern = re.compile(_CANNOT[format_name])
    changes: dict[str, Any] = {}
    for part in _HOLDS.get(format_name, _PARTS):
        fields = getattr(given, part, {})
        if any(not name or pattern.search(name) for name in fields):
            names = spelled(_PARTS[part], fields, lambda name: pattern.sub(_instead, name) or "unnamed", losses)
            changes[part] = {names[name]: field for name, field in fields.items()}
    if not isinstance(given, Mesh):
        mesh, more = nameable(given.mesh, format_name)
        if more:
            changes["mesh"] = mesh
            losses += more
    return given.replace(**changes) if changes else given, losses


def _instead(found: re.Match[str]) -> str:
    return "|" if found[0] == "/" else "_"
