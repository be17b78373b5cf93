"""Which point of the reference's boundary loop each point of another loop corresponds to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meshlearn.errors import TopologyError
from meshlearn.models.mmgp.morphing.corners import Anchor, assign, corner_anchor, sharp_corners
from meshlearn.models.mmgp.morphing.loop import Loop
from meshlearn.models.mmgp.morphing.rotation import best_shift
from meshlearn.models.mmgp.morphing.tag_ends import matching_ends

Pairs = list[tuple[int, int]]


def corresponding_fractions(loop: Loop, reference: Loop, fixed: Pairs | None = None, where: str = "") -> np.ndarray:
    """(k,) increasing: fraction of the reference's length for every point of the loop; in [t, t + 1), with period 1.

    Fixed pairs (landmarks), ends of tagged parts, and the reference's corners are anchors: they go to their
    counterparts. In between, arc length. Without any anchor, arc length in the best rotation.

    fixed  (position in the reference, position in the loop) of points that are known to correspond

    Raises TopologyError if landmarks and tags contradict each other.
    """
    pairs = anchor_pairs(loop, reference, fixed, where)
    if not pairs:
        return loop.fraction + best_shift(loop, reference)
    return _between(loop, reference, pairs)


def anchor_pairs(loop: Loop, reference: Loop, fixed: Pairs | None = None, where: str = "") -> Pairs:
    """[(position in the reference, position in the loop)] of all anchors, in ascending order of the first."""
    known = _known_pairs(loop, reference, fixed, where)
    taken = set(known)
    corners = [int(c) for c in sharp_corners(reference) if int(c) not in taken]
    for wide in (False, True):
        anchors = {c: corner_anchor(loop, reference, c, wide) for c in corners}
        pairs = _assigned(loop, reference, known, anchors)
        if pairs is not None:
            return pairs
    pairs = _assigned(loop, reference, known, {})  # fewer points than corners: arc length between what is known
    if pairs is None:
        raise TopologyError(f"landmarks and tags follow each other in another order than on the reference{where}.")
    return pairs


def _known_pairs(loop: Loop, reference: Loop, fixed: Pairs | None, where: str) -> dict[int, int]:
    known = dict(fixed or [])
    for there, here in matching_ends(loop, reference, where):
        if known.get(there, here) != here:
            raise TopologyError(f"a landmark and the end of a tagged part contradict each other{where}.")
        known[there] = here
    return known


def _assigned(loop: Loop, reference: Loop, known: dict[int, int], corners: Mapping[int, Anchor]) -> Pairs | None:
    anchors = dict(corners)
    for there, here in known.items():
        anchors[there] = Anchor(float(reference.fraction[there]), np.array([here]), np.zeros(1))
    order = sorted(anchors)
    if not order:
        return []
    chosen = assign(loop, [anchors[k] for k in order])
    return None if chosen is None else [(k, int(c)) for k, c in zip(order, chosen, strict=True)]


def _between(loop: Loop, reference: Loop, pairs: Pairs) -> np.ndarray:
    """Piecewise linear in arc length from anchor to anchor, once around the loop."""
    there = np.array([reference.fraction[a] for a, _ in pairs])
    here = np.array([loop.fraction[b] for _, b in pairs])
    # from the first anchor once round to itself
    along = np.append(np.mod(here - here[0], 1.0), 1.0)
    target = np.append(there, there[0] + 1.0)
    position = np.mod(loop.fraction - here[0], 1.0)
    return np.interp(position, along, target)
