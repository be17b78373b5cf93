"""Pictures of meshes and fields: `plot`, `triptych` (truth, prediction, error), `training_curves`, `score_bars`."""

from meshlearn.viz.curves import score_bars, training_curves
from meshlearn.viz.panels import triptych
from meshlearn.viz.picture import plot

__all__ = ["plot", "score_bars", "training_curves", "triptych"]
