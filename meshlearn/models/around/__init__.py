"""Around other models: they work with any network that has a writer (`meshlearn.train.writer`)."""

from __future__ import annotations

from meshlearn.models.around.refiner import PDERefiner
from meshlearn.models.around.unrolled import Unrolled

__all__ = ["PDERefiner", "Unrolled"]
