"""Contour files .csl, as they occur.

    CSLC
    <planes> <labels>                          labels count "outside"
    <id> <vertices> <contours> <A> <B> <C> <D> A x + B y + C z + D = 0
    <x> <y> <z>                                one per vertex
    <k>[h<parent>] <label> <i0> ... <i(k-1)>   one per contour; vertex numbers count from 0 within the plane

Read is what is meant: blank lines and spaces anywhere, normals of any length, D of the opposite sign, contours of any
direction (inside is decided by counting), parents after their holes, holes under a label of their own (a hole bounds
the region it is cut from), planes without contours, coordinates with exponents. What had to be changed is noted.
Messages count planes and contours from 0, as `sections[k]` does, whatever number the file gives them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.sections.contours import LabelledRings, checked_ring, fitted_plane, section_at
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.polygons import signed_area
from meshlearn.io.sections.section import Section

_COUNT = re.compile(r"(\d+)(?:[hH](\d+)?)?$")
OFF_PLANE = 1e-3
"""Vertices farther off the stated plane than this share of their extent disagree with it."""
FEW_OFF = 0.05
"""Share of the vertices of a plane that may be off it: they are mistakes, and the plane is right."""


class _Words:
    """The words of a text, with the lines they stand in."""

    def __init__(self, text: str, path: Path):
        self.words = [(word, n) for n, line in enumerate(text.splitlines(), 1) for word in line.split()]
        self.path, self.at = path, 0

    def next(self, what: str) -> str:
        if not self.words:
            raise MeshReadError(f"{self.path}: the file is empty.")
        if self.at >= len(self.words):
            raise MeshReadError(
                f"{self.path}: the file ends where {what} is expected: a count in the header or in the line of a "
                "plane is larger than what the file holds, or the file was cut off."
            )
        word = self.words[self.at][0]
        self.at += 1
        return word

    def whole(self, what: str) -> int:
        word = self.next(what)
        try:
            return int(word)
        except ValueError:
            raise self.error(f"{word!r} stands where {what} is expected") from None

    def number(self, what: str) -> float:
        word = self.next(what)
        try:
            value = float(word)
        except ValueError:
            raise self.error(f"{word!r} stands where {what} is expected") from None
        if not np.isfinite(value):
            raise self.error(f"{what} is {word}, which is not finite")
        return value

    def error(self, text: str) -> MeshReadError:
        line = self.words[max(self.at - 1, 0)][1] if self.words else 1
        return MeshReadError(
            f"{self.path}, line {line}: {text}.\n  The counts in the header or in the line of the plane may be wrong."
        )


def read_csl(path: Path) -> CrossSections:
    """The sections of a .csl file; MeshReadError names the line of what cannot be read."""
    words = _Words(path.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff"), path)
    magic = words.next("the word CSLC")
    if magic.upper() != "CSLC":
        raise MeshReadError(f"{path}: this is no .csl file: it starts with {magic[:20]!r} instead of CSLC.")
    n_planes, n_labels = words.whole("the number of planes"), words.whole("the number of labels")
    if n_planes < 1:
        raise words.error(f"the header counts {n_planes} planes; at least one is expected")
    notes: list[str] = []
    raw = [_plane(words, number, notes) for number in range(n_planes)]
    if words.at < len(words.words):
        word, line = words.words[words.at]
        raise MeshReadError(
            f"{path}, line {line}: the header counts {n_planes} planes, and {word!r} follows after the last of them: "
            "the count of planes, or of the contours of a plane, is too small."
        )
    used = {label for _, _, rings in raw for label, _ in rings}
    if used and max(used) >= n_labels:
        notes.append(f"the header counts {n_labels} labels with the outside, contours have labels up to {max(used)}")
    sections = _placed(raw, notes)
    found = CrossSections(sections, source=str(path))
    return found.noted(notes + found.defects())


RawPlane = tuple[np.ndarray, float, LabelledRings]


def _plane(words: _Words, number: int, notes: list[str]) -> RawPlane:
    """(unit normal, D / |normal|, rings) of the plane that comes next."""
    where = f"plane {number}"
    stated = words.whole(f"the number of {where}")
    n_points, n_rings = words.whole(f"the vertex count of {where}"), words.whole(f"the contour count of {where}")
    if n_points < 0 or n_rings < 0:
        raise words.error(f"{where} counts {n_points} vertices and {n_rings} contours")
    equation = np.array([words.number(f"A, B, C or D of {where}") for _ in range(4)])
    length = float(np.linalg.norm(equation[:3]))
    if length == 0.0:
        raise words.error(f"{where} has the normal 0 0 0")
    if stated != number + 1:
        notes.append(f"{where} calls itself {stated} in the file, where {number + 1} is expected")
    flat = [words.number(f"a coordinate of {where} ({n_points} vertices)") for _ in range(3 * n_points)]
    points = np.array(flat).reshape(-1, 3)
    read = [_contour(words, f"contour {i} of {where}", len(points)) for i in range(n_rings)]
    rings = []
    for i, (label, parent, nodes) in enumerate(read):
        if parent is not None:
            label = _label_of_hole(read, i, notes, where)
        rings.append((label, checked_ring(points[nodes], f"{words.path}: {where}, contour {i}", MeshReadError)))
    return equation[:3] / length, float(equation[3] / length), rings


Contour = tuple[int, int | None, list[int]]


def _contour(words: _Words, where: str, n_points: int) -> Contour:
    """(label, parent or None, vertex numbers); the parent is -1 where a hole names none."""
    word = words.next(f"the size of {where}")
    found = _COUNT.match(word)
    if not found:
        raise words.error(f"{word!r} stands where the size of {where} is expected")
    size = int(found.group(1))
    hole = "h" in word.lower()
    label = words.whole(f"the label of {where}")
    if size < 3:
        raise words.error(f"{where} is open: it has {size} vertices, a closed contour has at least 3")
    if label < 1 and not hole:
        raise words.error(f"{where} has the label {label}; labels count from 1, 0 is the outside")
    nodes = [words.whole(f"a vertex number of {where} ({size} vertices)") for _ in range(size)]
    wrong = [node for node in nodes if not 0 <= node < n_points]
    if wrong:
        raise words.error(f"{where} names vertex {wrong[0]}; its plane has {n_points} vertices, 0 to {n_points - 1}")
    parent = None if not hole else int(found.group(2)) if found.group(2) else -1
    return label, parent, nodes


def _label_of_hole(read: list[Contour], index: int, notes: list[str], where: str) -> int:
    """The label of the region that a hole is cut from: that of its parent, or of its parent's parent."""
    seen = set()
    while (parent := read[index][1]) is not None:
        if not 0 <= parent < len(read) or parent in seen or parent == index:
            notes.append(f"{where}: contour {index} is a hole of contour {parent}, which is no region of it")
            return max(read[index][0], 1)
        seen.add(parent)
        index = parent
    return read[index][0]


def _placed(raw: list[RawPlane], notes: list[str]) -> list[Section]:
    """Sections on their planes; where vertices disagree with the stated plane, they are right, unless they are few."""
    flipped: list[int] = []
    planes: list[Section | None] = []
    for number, (normal, d, rings) in enumerate(raw):
        if not rings:
            planes.append(None)
            continue
        points = np.concatenate([ring for _, ring in rings])
        allowed = OFF_PLANE * max(float(np.ptp(points, axis=0).max()), 1e-300)
        level = points @ normal
        off, opposite = np.abs(level + d), np.abs(level - d)
        few = max(int(FEW_OFF * len(points)), 1) if len(points) > 4 else 0
        stray = int(min((off > allowed).sum(), (opposite > allowed).sum()))
        if stray <= few:
            turned = int((off > allowed).sum()) > stray
            flipped += [number] if turned else []
            origin = (d if turned else -d) * normal
            if stray:
                far = float((opposite if turned else off).max())
                notes.append(
                    f"plane {number}: {stray} of {len(points)} vertices are up to {far:.3g} off the plane, which the "
                    "others are on; they were put on it"
                )
        else:
            far = float(off.max())
            origin, normal = fitted_plane(rings, f"plane {number}", normal)
            rest = float(np.abs((points - origin) @ normal).max())
            notes.append(
                f"plane {number}: vertices are up to {far:.3g} off the stated plane; it was fitted to them"
                + (f", and they are up to {rest:.3g} off it" if rest > allowed else "")
            )
        planes.append(section_at((origin, normal), rings))
    if flipped:
        names = "all planes" if len(flipped) == sum(bool(rings) for _, _, rings in raw) else f"planes {flipped}"
        notes.append(f"{names} are stated as A x + B y + C z = D (D of the opposite sign)")
    mostly = len(flipped) > sum(plane is not None for plane in planes) / 2
    return [
        plane if plane is not None else Section.at((d if mostly else -d) * normal, normal)
        for plane, (normal, d, _) in zip(planes, raw, strict=True)
    ]


def csl_text(sections: CrossSections) -> str:
    """The text of a .csl file: unit normals, fixed-point numbers, outer contours counter-clockwise, holes clockwise."""
    size = float(np.abs(sections.bounding_box()).max()) if len(sections) else 1.0
    digits = 10 if size <= 0 else int(np.clip(10 - np.floor(np.log10(size)), 10, 30))
    fixed = lambda values: " ".join(f"{x:.{digits}f}" for x in values)  # noqa: E731
    lines = ["CSLC", f"{len(sections)} {max(sections.labels, default=1) + 1}"]
    for number, plane in enumerate(sections, 1):
        normal = plane.normal
        points = [plane.lift(ring.points) for ring in plane.rings]
        total = sum(map(len, points))
        d = -float(normal @ plane.origin)
        lines.append(f"\n{number} {total} {len(points)} {' '.join(f'{x:.16f}' for x in normal)} {fixed([d])}")
        lines += [fixed(point) for ring in points for point in ring]
        start = 0
        for ring, depth, around in zip(plane.rings, plane.depths, plane.enclosing, strict=True):
            order = range(start, start + len(ring.points))
            ahead = (signed_area(ring.points) > 0) == (depth % 2 == 0)
            hole = f"h{around[0]}" if depth % 2 else ""
            nodes = " ".join(map(str, order if ahead else reversed(order)))
            lines.append(f"{len(ring.points)}{hole} {ring.label} {nodes}")
            start += len(ring.points)
    return "\n".join(lines) + "\n"
