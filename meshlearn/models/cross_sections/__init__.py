"""Shapes from planar cross-sections: `CrossSectionReconstructor`."""

from meshlearn.models.cross_sections.reconstructor import CrossSectionReconstructor

__all__ = ["CrossSectionReconstructor"]
