"""Pictures of meshes and fields: `plot`, `triptych` (truth, prediction, error), `training_curves`, `score_bars`."""

from meshlearn.viz.curves import score_bars, training_curves
from meshlearn.viz.picture import plot
from meshlearn.viz.panels import triptych

__all__ = ["plot", "score_bars", "training_curves", "triptych"]
