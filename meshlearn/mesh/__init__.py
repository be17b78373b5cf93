"""The one data type: Mesh, MeshBatch and Trajectory, with topology, geometry, quality, location and shapes.

Public names come from `meshlearn` itself, lazily. The modules here are imported when they are first named, so that
`ml.mesh.quality.min_angle(mesh)` needs no import of its own.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    path = f"{__name__}.{name}"
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
