"""The reconstruction of a fit that was interrupted, from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshlearn.models.giorom.learned_reconstruction.learned import LearnedReconstruction
from meshlearn.train import checkpoint
from meshlearn.train.network import under


def stored_reconstruction(folder: Any) -> LearnedReconstruction | None:
    """What the checkpoint in a folder has learned; None where there is no checkpoint, or one of a fit without.

    Whether the checkpoint belongs to the fit that goes on is checked where training resumes. Raises CheckpointError
    for a damaged one.
    """
    folder = Path(folder)
    if not checkpoint.exists(folder) or checkpoint.read_meta(folder)["params"].get("reconstruction") != "learned":
        return None
    meta, groups = checkpoint.read(folder)
    found = LearnedReconstruction()
    with checkpoint.taking(folder, "state"):
        found.set_state(under("reconstruction.", groups["model"]), meta["state"]["reconstruction"])
    return found
