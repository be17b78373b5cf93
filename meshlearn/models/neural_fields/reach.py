"""Meshes that are much larger, or smaller, than those of the training."""

from __future__ import annotations

import warnings

from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError

UNUSUAL, IMPOSSIBLE = 1.5, 20.0


class ExtrapolationWarning(UserWarning):
    """A mesh reaches further than all of the training, or less far: what a network says of it is a guess."""


def reach(points: Float[Tensor, "n dim"], weights: Float[Tensor, " n"]) -> float:
    """How far points reach from the origin; those that stand for no area or volume (of no cell) do not count."""
    return float(points.norm(dim=1)[weights > 0].max())


def check_extent(extent: float, length: float, where: str, least: float = 0.0) -> None:
    """Compare how far a mesh reaches from its centre with the farthest that a training mesh did (`length`), and with
    the nearest (`least`; 0: not known).

    Raises MeshError at 20 times as far, or as near (most likely another unit of length); an ExtrapolationWarning from
    1.5 times.
    """
    ratio = extent / length
    if ratio > IMPOSSIBLE:
        raise MeshError(
            f"{where} reaches {extent:.3g} from its centre, {ratio:.0f} times as far as any training mesh "
            f"({length:.3g}).\n  Is it in another unit of length? Scale its points, or train on meshes of this size."
        )
    if extent * IMPOSSIBLE < least:
        raise MeshError(
            f"{where} reaches {extent:.3g} from its centre, every training mesh at least {least:.3g}.\n"
            "  Is it in another unit of length? Scale its points, or train on meshes of this size."
        )
    if extent * UNUSUAL < least:
        warnings.warn(
            f"{where} reaches {extent:.3g} from its centre, every training mesh at least {least:.3g}: it is smaller "
            "than what the model knows.",
            ExtrapolationWarning,
            stacklevel=4,
        )
    warn_beyond(extent, length, where, 5)


def warn_beyond(extent: float, length: float, where: str, level: int = 4) -> None:
    """An ExtrapolationWarning from 1.5 times as far as the farthest training mesh reached.

    level  frames between the warning and the user
    """
    ratio = extent / length
    if ratio > UNUSUAL:
        warnings.warn(
            f"{where} reaches {extent:.3g} from its centre, {ratio:.1f} times as far as any training mesh "
            f"({length:.3g}): what lies beyond is a guess.",
            ExtrapolationWarning,
            stacklevel=level,
        )
