"""Networks on regular grids, by name, for `GridOperator`."""

from meshlearn.grids.cores.registry import CORES, build_core, register_core

__all__ = ["CORES", "build_core", "register_core"]
