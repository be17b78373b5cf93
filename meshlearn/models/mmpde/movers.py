"""Movers as data: what is written into the file of a model that holds one, and back."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.errors import CheckpointError
from meshlearn.models.movers.mover import MongeAmpereMover
from meshlearn.train.estimator import Estimator, rebuilt
from meshlearn.train.params import json_params


def mover_state(mover: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """({name: tensor}, JSON-able dictionary) of a `MongeAmpereMover` or a fitted estimator.

    Raises CheckpointError for other movers, and for arguments that JSON cannot hold.
    """
    if type(mover) is MongeAmpereMover:
        return {}, {"kind": "MongeAmpereMover", "options": json_params("MongeAmpereMover", mover.get_params())}
    if isinstance(mover, Estimator):
        mover.check_fitted("saving the model that uses it")
        tensors, meta = mover.saved()
        return tensors, {"kind": "estimator", "saved": meta}
    raise CheckpointError(
        f"this MMPDE cannot be saved: its mover is a {type(mover).__name__}, which is code.\n"
        "  A saved model holds data only: MongeAmpereMover, DataFreeMeshMover and other estimators are, with arguments "
        "that are data."
    )


def mover_from(tensors: dict[str, Tensor], meta: dict[str, Any]) -> Any:
    """The inverse of `mover_state`."""
    if meta.get("kind") == "MongeAmpereMover":
        return MongeAmpereMover(**meta["options"])
    if meta.get("kind") == "estimator":
        return rebuilt(meta["saved"], tensors, "the mover of this MMPDE")
    raise CheckpointError(f"the file holds a mover of the unknown kind {meta.get('kind')!r}.")
