"""What went wrong in a morphing: told at the fit, told or refused at a prediction."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from meshlearn.errors import MeshError
from meshlearn.mesh.checks import of_mesh
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.train.survey import FitWarning

SLACK = 2.0


def warn_of_flips(quality: Mapping[str, Any], n: int, morphing: str) -> None:
    """A FitWarning if the morphing of a training set of n meshes turns cells inside out."""
    if not quality["flipped"]:
        return
    names = ", ".join(quality["flipped_meshes"][:3])
    many = f"{quality['flipped']} cells inside out on {len(quality['flipped_meshes'])} of {n} meshes ({names})"
    warnings.warn(_text(many, morphing), FitWarning, stacklevel=4)


def check_placed(placed: Placed, family: Family, worst: float) -> None:
    """A FitWarning if cells of a new mesh are turned inside out, or if another morphing than the family's was needed.

    worst  largest share of such cells on a training mesh

    Raises MeshError if they are many (`Placed.is_tangled`), and more than twice that share: that is not the shape of
    the training meshes, or its tags are wrong. Meshes that share their cells are not refused, for no field is carried
    from place to place there; `novelty` tells how unlike the others they are.
    """
    flipped, morphing, usual = placed.morph.flipped, placed.family.morpher.name, family.morpher.name
    remark = f"  The skin was matched without its edges: {placed.morph.remark}.\n" if placed.morph.remark else ""
    where = of_mesh(placed.mesh.source)
    many = f"{flipped} of {placed.mesh.n_cells} cells inside out{where}"
    if placed.is_tangled and placed.flipped_share > SLACK * worst:
        raise MeshError(
            f"the morphing {morphing!r} turns {many}: values would be those of other places.\n{remark}"
            "  Compare the boundary tags and the shape with those of the training meshes."
        )
    if flipped:
        warnings.warn(_text(many, morphing, remark), FitWarning, stacklevel=5)
    if usual not in (morphing, "identity"):
        warnings.warn(
            f"the morphing {usual!r} does not do{where}: {morphing!r} was taken. Compare `novelty` with 1.",
            FitWarning,
            stacklevel=5,
        )


def _text(many: str, morphing: str, remark: str = "") -> str:
    if morphing == "identity":
        return (
            f"against the reference, points turn {many}: they are mirrored, or their points are numbered in another "
            'order than the cells say.\n  Look at them with ml.check_mesh; name another morphing than "identity".'
        )
    return (
        f"the morphing {morphing!r} turns {many}: values near them are unreliable.\n{remark}"
        "  Try another morphing, or tag boundaries that correspond."
    )
