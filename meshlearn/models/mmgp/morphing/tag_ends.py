"""Ends of the tagged parts of a boundary loop, matched with those of another loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshlearn.errors import TopologyError
from meshlearn.models.mmgp.morphing.loop import Loop


def matching_ends(loop: Loop, reference: Loop, where: str = "") -> list[tuple[int, int]]:
    """[(position in the reference, position in the loop)]: where one tagged part ends and the next begins.

    Both loops must know the same tags. Untagged parts that only one of the loops has are closed: the point in their
    middle stands for the end of one part and the beginning of the next. Empty if no tag has an end on the loop.

    Raises TopologyError if the tags follow each other in another order.
    """
    vary = (loop.tagged != loop.tagged[:1]).any(0) | (reference.tagged != reference.tagged[:1]).any(0)
    loop, reference = _with_tags(loop, vary), _with_tags(reference, vary)
    mine, other = _parts(loop), _parts(reference)
    if len(mine) < 2 and len(other) < 2:
        return []
    for closed in (False, True):
        if closed:
            mine, other = _without_gaps(loop, mine), _without_gaps(reference, other)
        turn = _best_turn(loop, mine, reference, other)
        if turn is not None:
            return sorted((o[0], mine[(k + turn) % len(mine)][0]) for k, o in enumerate(other)) if len(mine) > 1 else []
    raise TopologyError(
        f"the tagged parts of the boundary follow each other in another order than on the reference{where}: "
        f"{_names(loop, mine)}, against {_names(reference, other)}.\n"
        '  correct the tags, or morph without them: morphing_options={"tags": False}.'
    )


Part = tuple[int, tuple[bool, ...]]


def _with_tags(loop: Loop, chosen: np.ndarray) -> Loop:
    names = tuple(tag for tag, keep in zip(loop.tags, chosen, strict=True) if keep)
    return replace(loop, tags=names, tagged=loop.tagged[:, chosen])


def _parts(loop: Loop) -> list[Part]:
    """(position of the first point, membership in each tag) of the maximal parts with equal tags."""
    changes = np.flatnonzero((loop.tagged != np.roll(loop.tagged, 1, axis=0)).any(1))
    starts = changes if len(changes) else np.array([0])
    return [(int(s), tuple(bool(b) for b in loop.tagged[s])) for s in starts]


def _without_gaps(loop: Loop, parts: list[Part]) -> list[Part]:
    """Parts without the untagged ones; the part after a gap starts in the middle of the gap."""
    kept: list[Part] = []
    for k, (start, label) in enumerate(parts):
        if not any(label):
            continue
        before = parts[k - 1]
        if len(parts) > 1 and not any(before[1]):
            start = _middle(loop, before[0], start)
        kept.append((start, label))
    return kept


def _middle(loop: Loop, start: int, stop: int) -> int:
    k = len(loop.nodes)
    inside = np.arange(start, stop + (0 if stop > start else k) + 1) % k
    inside = inside[loop.corner[inside]]
    along = np.mod(loop.fraction[inside] - loop.fraction[start], 1.0)
    return int(inside[np.argmin(np.abs(along - 0.5 * along[-1]))])


def _best_turn(loop: Loop, mine: list[Part], reference: Loop, other: list[Part]) -> int | None:
    """Cyclic shift that makes the labels agree; of several, the one that moves the ends least."""
    if len(mine) != len(other):
        return None
    n, found = len(mine), []
    for turn in range(n):
        if all(other[k][1] == mine[(k + turn) % n][1] for k in range(n)):
            starts = [mine[(k + turn) % n][0] for k in range(n)]
            move = loop.placed[starts] - reference.placed[[part[0] for part in other]]
            found.append((float((move**2).sum()), turn))
    return min(found)[1] if found else None


def _names(loop: Loop, parts: list[Part]) -> str:
    names = ["+".join(t for t, has in zip(loop.tags, label, strict=True) if has) or "untagged" for _, label in parts]
    return " - ".join(names) or "nothing tagged"
