"""Planar cross-sections: `CrossSections`, their files, volumes, meshes, and where planes contradict each other."""

from meshlearn.io.sections.conflicts import Conflict
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.planes import parallel_planes, random_planes
from meshlearn.io.sections.section import Ring, Section

__all__ = ["Conflict", "CrossSections", "Ring", "Section", "parallel_planes", "random_planes"]
