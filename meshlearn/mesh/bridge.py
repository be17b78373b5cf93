"""The way from `Mesh.from_...` up to the room that knows other libraries, taken only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def bridge(library: str) -> ModuleType:
    """The module `meshlearn.io.bridges.<library>`; by name, because `mesh` does not import upwards."""
    return import_module(f"meshlearn.io.bridges.{library}")
