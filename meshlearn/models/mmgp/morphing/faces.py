"""Which face, corner and curve of a cut skin is which of another one's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from meshlearn.models.mmgp.morphing.creases import NO_FACE, Curve, CutSkin

_ROUNDS = 12
_NEIGHBOURS = 0.3
_OTHER_TAGS = 1e3


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Of two skins that are cut in the same way: counterparts of faces, corners (point numbers) and curves.

    curves  pairs that run in the same direction; for closed ones nothing is said of where they start
    """

    faces: list[int]
    corners: dict[int, int]
    curves: list[tuple[Curve, Curve]]


def correspondence(cut: CutSkin, other: CutSkin) -> Correspondence | None:
    """The way to match two cut skins; None if faces do not meet in the same way.

    Faces are matched by place, size, direction and bulge in normalised positions, then by which faces they meet; tags
    must agree. Corners are those between the same faces, curves those between the same faces and corners; the nearest
    if there are several.
    """
    if len(cut.faces) != len(other.faces) or not _same_kinds(cut, other):
        return None
    faces = _matched_faces(cut, other)
    if faces is None:
        return None
    around, around_other = _faces_at_corners(cut, faces), _faces_at_corners(other, None)
    pairs = _matched(
        [around[c] for c in cut.corners.tolist()],
        [around_other[c] for c in other.corners.tolist()],
        cut.placed[cut.corners],
        other.placed[other.corners],
    )
    if pairs is None:
        return None
    corners = {int(cut.corners[i]): int(other.corners[j]) for i, j in pairs}
    matched = _matched(
        [_key(curve, faces, corners) for curve in cut.curves],
        [_key(curve, None, None) for curve in other.curves],
        np.array([_place(curve) for curve in cut.curves]),
        np.array([_place(curve) for curve in other.curves]),
    )
    if matched is None:
        return None
    return Correspondence(faces, corners, [_alike(cut.curves[i], other.curves[j], corners) for i, j in matched])


def _place(curve: Curve) -> np.ndarray:
    """(2 dim,) its centre and its spread: a hole in the middle is not its outline."""
    return np.concatenate([curve.placed.mean(0), curve.placed.std(0)])


def _same_kinds(cut: CutSkin, other: CutSkin) -> bool:
    """Are there as many faces and curves of every sort?"""
    mine, theirs = (
        (
            len(c.corners),
            Counter(face.tags for face in c.faces),
            Counter((curve.closed, curve.tags, NO_FACE in curve.faces) for curve in c.curves),
        )
        for c in (cut, other)
    )
    return mine == theirs


def _matched_faces(cut: CutSkin, other: CutSkin) -> list[int] | None:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    forms, there = (np.array([face.form for face in c.faces]) for c in (cut, other))
    cost = cdist(forms, there)
    tags, tags_there = (np.array([face.tags for face in c.faces], dtype=float) for c in (cut, other))
    if tags.shape[1]:
        cost += _OTHER_TAGS * cdist(tags, tags_there, "cityblock")
    meets, meets_there = _meetings(cut), _meetings(other)
    more = np.zeros_like(cost)
    for _ in range(_ROUNDS):
        chosen = linear_sum_assignment(cost + more)[1]
        if (meets == meets_there[np.ix_(chosen, chosen)]).all():
            return [int(k) for k in chosen]
        back = np.argsort(chosen)
        more = 0.5 * more + _NEIGHBOURS * cdist(meets[:, back], meets_there, "cityblock")
    return None


def _meetings(cut: CutSkin) -> np.ndarray:
    """(n, n) numbers of curves between faces, and on the diagonal those at the rim."""
    table = np.zeros((len(cut.faces), len(cut.faces)))
    for curve in cut.curves:
        a, b = curve.faces
        a = b if a == NO_FACE else a
        table[a, b] += 1
        table[b, a] += a != b
    return table


def _renamed(faces: Iterable[int], names: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(sorted(f if names is None or f == NO_FACE else names[f] for f in faces))


def _faces_at_corners(cut: CutSkin, names: Sequence[int] | None) -> dict[int, Hashable]:
    """{corner: what meets there}."""
    found: dict[int, list[Hashable]] = defaultdict(list)
    for curve in cut.curves:
        if not curve.closed:
            for end in curve.ends():
                found[end].append((_renamed(curve.faces, names), curve.tags))
    return {corner: tuple(sorted(ends, key=repr)) for corner, ends in found.items()}


def _key(curve: Curve, names: Sequence[int] | None, corners: dict[int, int] | None) -> Hashable:
    ends = () if curve.closed else curve.ends()
    named = tuple(sorted(end if corners is None else corners[end] for end in ends))
    return _renamed(curve.faces, names), curve.tags, curve.closed, named


def _matched(
    keys: Sequence[Hashable], keys_there: Sequence[Hashable], places: np.ndarray, places_there: np.ndarray
) -> list[tuple[int, int]] | None:
    """Pairs with equal keys, of several the nearest in sum; None if keys are not the same ones."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if Counter(keys) != Counter(keys_there):
        return None
    groups: dict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, those in enumerate((keys, keys_there)):
        for k, key in enumerate(those):
            groups[key][side].append(k)
    pairs = []
    for mine, theirs in groups.values():
        rows, columns = linear_sum_assignment(cdist(places[mine], places_there[theirs], "sqeuclidean"))
        pairs += [(mine[i], theirs[j]) for i, j in zip(rows, columns, strict=True)]
    return pairs


def _alike(curve: Curve, other: Curve, corners: dict[int, int]) -> tuple[Curve, Curve]:
    """Both, in the same direction."""
    if curve.closed:
        return curve, other
    first, last = (corners[end] for end in curve.ends())
    if first == last:
        straight, turned = (_apart(curve, way) for way in (other, other.reversed()))
        return curve, other if straight <= turned else other.reversed()
    return curve, other if first == other.ends()[0] else other.reversed()


def _apart(curve: Curve, other: Curve) -> float:
    """Squares of the distances of points at the same fraction of the length."""
    there = np.stack([np.interp(curve.fraction, other.fraction, axis) for axis in other.placed.T], axis=1)
    return float(((there - curve.placed) ** 2).sum())
