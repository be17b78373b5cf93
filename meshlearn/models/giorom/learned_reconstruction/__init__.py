"""How points follow nodes where it is learned: a kernel of moving least squares, and a correction of what it leaves."""

from meshlearn.models.giorom.learned_reconstruction.fit import learn_reconstruction
from meshlearn.models.giorom.learned_reconstruction.learned import LearnedReconstruction

__all__ = ["LearnedReconstruction", "learn_reconstruction"]
