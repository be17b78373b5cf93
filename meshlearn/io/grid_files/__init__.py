"""Readers of published collections of simulations on regular grids: CFDBench, PDEBench, The Well."""

from __future__ import annotations

from meshlearn.io.grid_files.cfdbench import CFDBench
from meshlearn.io.grid_files.pdebench import PDEBench
from meshlearn.io.grid_files.the_well import TheWell

__all__ = ["CFDBench", "PDEBench", "TheWell"]
