"""Sections from files of coordinates, as collections of airfoils have them: Selig's order and Lednicer's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.sim.airfoil import DENSE, resampled

FEWEST = 10  # points of a file
THIN, THICK = 0.02, 0.5  # largest thickness over the chord
BLUNT = 0.1  # largest gap between the ends of both sides, over the chord
REPEATED = 1e-9  # distance of points that are one


def read_airfoil(path: str | Path, n: Any = 80) -> Float[np.ndarray, "n 2"]:
    """(n, 2) corners of the section in a file, of chord 1, as those of `sim.airfoil.naca`.

    path  a text file with a name, then one point per line, x and y. Either all around from the trailing edge over one
          side to the leading edge and back over the other (Selig), or, after a line with the numbers of points of both,
          the upper and then the lower side, each from the leading to the trailing edge (Lednicer). Other lines of text,
          and a line of four numbers (the domain of a flow solver), are passed over
    n     an even number of corners, closer to each other at the leading edge

    Points are joined by monotone cubics, so that sides neither overshoot nor wave. A blunt trailing edge is closed as
    the last coefficient of NACA's formula does: by a wedge taken off both sides. Raises MeshReadError for a file that
    cannot be read, has no section in one of these forms, or one that crosses itself, or is thinner than 2 % or thicker
    than 50 % of its chord.
    """
    path = Path(path)
    curve = _closed(path, _sides(path, _rows(path)))
    section = resampled(_smooth(curve), n)
    half = n // 2
    thickness = section[1:half, 1] - section[:half:-1, 1]  # corners of both sides lie at the same places of the chord
    if not (thickness > 0).all() or not THIN <= thickness.max() <= THICK:
        raise MeshReadError(
            f"{path}: the section is between {thickness.min():.3g} and {thickness.max():.3g} of its chord thick; it "
            f"must not cross itself, and its largest thickness is expected between {THIN:g} and {THICK:g}."
        )
    return section


def check_coordinates(coordinates: Any) -> list[Path]:
    """The paths; raises ParameterError for anything but a path or a list of them."""
    given = [coordinates] if isinstance(coordinates, (str, Path)) else coordinates
    good = isinstance(given, (list, tuple)) and len(given) > 0 and all(isinstance(p, (str, Path)) for p in given)
    if not good:
        raise ParameterError(
            f"coordinates={coordinates!r} is not allowed: paths of files with the coordinates of airfoils are expected."
        )
    return [Path(p) for p in given]


def _rows(path: Path) -> Float[np.ndarray, "n 2"]:
    """All lines of two numbers."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MeshReadError(f"{path}: the file cannot be read ({error.strerror}).") from error
    rows = []
    for line in text.splitlines():
        try:
            values = [float(part) for part in line.replace(",", " ").split()]
        except ValueError:
            continue
        if len(values) == 2:
            rows.append(values)
    table = np.array(rows).reshape(-1, 2)
    if len(table) < FEWEST or not np.isfinite(table).all():
        raise MeshReadError(
            f"{path}: {len(table)} lines with two numbers were found; an airfoil is a list of at least {FEWEST} "
            "points, x and y, all of them finite."
        )
    return table


def _sides(path: Path, rows: np.ndarray) -> list[np.ndarray]:
    """The two sides, each from the leading to the trailing edge."""
    if (rows[0] > 1.5).all() and (rows[0] == rows[0].round()).all():  # numbers of points: Lednicer
        first, second = (int(count) for count in rows[0])
        if first + second != len(rows) - 1:
            raise MeshReadError(
                f"{path}: its first line announces {first} and {second} points, but {len(rows) - 1} follow."
            )
        return [rows[1 : first + 1], rows[first + 1 :]]
    front = int(rows[:, 0].argmin())
    if not 2 <= front < len(rows) - 2:
        raise MeshReadError(
            f"{path}: the leading edge (the smallest x) is point {front} of {len(rows)}; it is expected in the middle, "
            "between a side that begins and one that ends at the trailing edge."
        )
    return [rows[front::-1], rows[front:]]


def _closed(path: Path, sides: list[np.ndarray]) -> np.ndarray:
    """From the trailing edge over the upper side and back over the lower one, with one trailing edge."""
    front, tail = sides[0][0], (sides[0][-1] + sides[1][-1]) / 2
    chord = tail[0] - front[0]
    gap = float(np.linalg.norm(sides[1][-1] - sides[0][-1]))
    if not gap <= BLUNT * chord:
        raise MeshReadError(
            f"{path}: one side ends at {sides[0][-1]}, the other at {sides[1][-1]}; both are expected at the trailing "
            f"edge, no farther apart than {BLUNT:g} of the chord."
        )
    sides = [side - ((side[:, :1] - front[0]) / chord).clip(0, 1) * (side[-1] - tail) for side in sides]
    sides.sort(key=lambda side: -float(np.mean(side[:, 1])))
    curve = (np.concatenate([sides[0][::-1], sides[1]]) - front) / chord
    apart = [np.linalg.norm(b - a) > REPEATED for a, b in pairwise(curve)]
    return curve[np.array([True, *apart])]


def _smooth(curve: np.ndarray) -> np.ndarray:
    """Monotone cubics of the length of the polygon, densely."""
    from scipy.interpolate import PchipInterpolator

    length = np.concatenate([[0.0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])
    where = np.unique(np.concatenate([np.linspace(0.0, length[-1], DENSE + 1), length]))
    return PchipInterpolator(length, curve)(where)
