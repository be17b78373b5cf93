"""Pictures: `plot`, `plot_series` (rows of frames, films), `triptych` (truth, prediction, error), `movement` (a mesh
before and after a mover), `latents` (of neural fields), `resolutions` (one field on coarse and fine meshes),
`training_curves`, `score_bars`."""

from meshlearn.viz.curves import score_bars, training_curves
from meshlearn.viz.latent_points import latents
from meshlearn.viz.movement import movement
from meshlearn.viz.panels import triptych
from meshlearn.viz.picture import plot
from meshlearn.viz.resolutions import resolutions
from meshlearn.viz.series import plot_series

__all__ = [
    "latents",
    "movement",
    "plot",
    "plot_series",
    "resolutions",
    "score_bars",
    "training_curves",
    "triptych",
]
