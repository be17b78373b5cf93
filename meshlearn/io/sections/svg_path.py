"""The little language of SVG's path data: lines, curves and arcs, as closed rings of points."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np

from meshlearn.errors import MeshReadError

_NUMBER, _BETWEEN = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", r"[\s,]*"
_COMMAND = re.compile(r"([MmLlHhVvCcSsQqTtAaZz])([^MmLlHhVvCcSsQqTtAaZz]*)")
# flags are single digits, and may stand without a gap before what follows
_ARC = re.compile(_BETWEEN.join([_NUMBER] * 3 + ["([01])"] * 2 + [_NUMBER] * 2))
_COUNT = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
CHORDS = 32


def path_rings(text: str, path: Path) -> list[np.ndarray]:
    """Rings (k, 2) of path data. Raises MeshReadError for subpaths that are open, and for what is no path data."""
    rings: list[np.ndarray] = []
    ring: list[np.ndarray] = []
    here = start = control = np.zeros(2)
    before = ""

    def finish(closed: bool) -> None:
        if len(ring) > 1:
            points = np.array(ring)
            if not closed and np.abs(points[0] - points[-1]).max() > 1e-6 * np.ptp(points, axis=0).max():
                raise MeshReadError(
                    f"{path}: a path is open: it starts at {points[0].tolist()} and ends at {points[-1].tolist()}.\n"
                    "  Regions need closed contours: end the path with Z."
                )
            rings.append(points)
        ring.clear()

    for letter, numbers in _commands(text, path):
        kind = letter.upper()
        base = here if letter.islower() else np.zeros(2)
        if kind == "M":
            finish(closed=False)
            here = start = base + numbers
            ring.append(here)
            before = "M"
            continue
        if kind == "Z":
            finish(closed=True)
            here, before = start, "Z"
            continue
        if not ring:
            ring.append(here)
        if kind == "L":
            points = (base + numbers)[None]
        elif kind in "HV":
            end = here.copy()
            axis = 0 if kind == "H" else 1
            end[axis] = numbers[0] + (here[axis] if letter.islower() else 0.0)
            points = end[None]
        elif kind == "A":
            points = _arc(here, numbers, base + numbers[5:])
        else:
            given = base + numbers.reshape(-1, 2)
            cubic = kind in "CS"
            if kind in "ST":
                mirrored = 2 * here - control if before in ("CS" if cubic else "QT") else here
                given = np.concatenate([mirrored[None], given])
            points = _bezier(np.concatenate([here[None], given]))
            control = given[-2]
        ring += list(points)
        here, before = points[-1], kind
    finish(closed=False)
    return rings


def _commands(text: str, path: Path) -> list[tuple[str, np.ndarray]]:
    """(letter, its numbers) for every command, repeated commands written out."""
    head = text[: first.start()] if (first := _COMMAND.search(text)) else text
    if head.strip(" ,\t\r\n"):
        raise MeshReadError(f"{path}: path data starts with {head.strip()[:20]!r} instead of M.")
    found: list[tuple[str, np.ndarray]] = []
    for letter, arguments in _COMMAND.findall(text):
        size = _COUNT[letter.upper()]
        numbers = _arc_numbers(arguments, path) if size == 7 else _numbers(arguments, path)
        if (size == 0 and numbers) or (size and (not numbers or len(numbers) % size)):
            raise MeshReadError(f"{path}: the path command {letter} has {len(numbers)} numbers, {size} each expected.")
        if size == 0:
            found.append((letter, np.zeros(0)))
        for k in range(0, len(numbers), size or 1):
            again = {"M": "L", "m": "l"}.get(letter, letter) if k else letter
            found.append((again, np.array(numbers[k : k + size])))
    return found


def _numbers(arguments: str, path: Path) -> list[float]:
    """The numbers of a command; raises MeshReadError for what is none."""
    rest = re.sub(_NUMBER, "", arguments).strip(" ,\t\r\n")
    if rest.replace(",", "").strip():
        raise MeshReadError(f"{path}: path data holds {rest[:20]!r}, which is no command and no number.")
    return [float(number) for number in re.findall(_NUMBER, arguments)]


def _arc_numbers(arguments: str, path: Path) -> list[float]:
    """Seven numbers for every arc; raises MeshReadError for what is no sequence of arcs."""
    numbers: list[float] = []
    rest = arguments.lstrip(" ,\t\r\n")
    while rest:
        arc = _ARC.match(rest)
        if arc is None:
            raise MeshReadError(
                f"{path}: the path command A has the numbers {rest[:40]!r}: two radii, an angle, two flags that are 0 "
                "or 1, and a point are expected for every arc."
            )
        numbers += [float(number) for number in arc.groups()]
        rest = rest[arc.end() :].lstrip(" ,\t\r\n")
    return numbers


def _bezier(control: np.ndarray) -> np.ndarray:
    """(CHORDS, 2) points behind the first of a Bézier curve, by de Casteljau's scheme."""
    t = (np.arange(1, CHORDS + 1) / CHORDS)[:, None]
    rows = [np.broadcast_to(p, (CHORDS, 2)) for p in control]
    while len(rows) > 1:
        rows = [(1 - t) * a + t * b for a, b in itertools.pairwise(rows)]
    return rows[0]


def _arc(start: np.ndarray, numbers: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Points behind the first of an elliptic arc, from its end-point form (SVG 1.1, appendix F.6)."""
    rx, ry = abs(numbers[0]), abs(numbers[1])
    if rx == 0 or ry == 0 or np.allclose(start, end):
        return end[None]
    phi, large, sweep = np.deg2rad(numbers[2]), bool(numbers[3]), bool(numbers[4])
    turn = np.array([[np.cos(phi), np.sin(phi)], [-np.sin(phi), np.cos(phi)]])
    half = turn @ (start - end) / 2
    size = (half[0] / rx) ** 2 + (half[1] / ry) ** 2
    if size > 1:
        rx, ry = rx * np.sqrt(size), ry * np.sqrt(size)
        size = 1.0
    root = np.sqrt(max(1 / size - 1, 0.0)) * (-1 if large == sweep else 1)
    middle = root * np.array([rx * half[1] / ry, -ry * half[0] / rx])
    a0 = np.arctan2((half[1] - middle[1]) / ry, (half[0] - middle[0]) / rx)
    a1 = np.arctan2((-half[1] - middle[1]) / ry, (-half[0] - middle[0]) / rx)
    span = a1 - a0
    span += 2 * np.pi * ((span < 0) and sweep) - 2 * np.pi * ((span > 0) and not sweep)
    angle = a0 + span * np.arange(1, 2 * CHORDS + 1) / (2 * CHORDS)
    round_ = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=1) + middle
    points = round_ @ turn + (start + end) / 2
    points[-1] = end
    return points
