"""Checks of the arguments of `CrossSectionReconstructor` and of the sections it is given."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.io.sections import CrossSections
from meshlearn.models.cross_sections.contest import FEW
from meshlearn.models.cross_sections.priors import SMOOTH
from meshlearn.train.option_checks import number, require, whole
from meshlearn.train.survey import FitWarning

BASES = ("auto", "linear", "cubic", "distance", "rbf", "hermite", "mean")


def check(model: Any) -> None:
    """Raise ParameterError for a parameter that is not allowed."""
    require(model.base in BASES, "base", model.base, f"one of {list(BASES)}")
    require(isinstance(model.network, bool), "network", model.network, "True or False")
    for name, least in (("hidden", 1), ("layers", 1), ("iterations", 1), ("steps", 1), ("centres", 50)):
        whole(least)(name, getattr(model, name))
    number("a positive number of seconds, or None", lambda x: x > 0, optional=True)("time_budget", model.time_budget)
    number("a positive length in the unit of the sections, or None", lambda x: x > 0, optional=True)("cap", model.cap)
    whole(0)("seed", model.seed)


def check_base(base: str, sections: CrossSections) -> None:
    """Raise ParameterError for a base that is not to be had for these sections."""
    able = ["linear", "cubic"] if sections.is_parallel else ["distance"]
    few = len(sections.labels) <= FEW
    if base in SMOOTH and not few:
        raise ParameterError(f"base={base!r} is for up to {FEW} labels, there are {len(sections.labels)}.")
    able += [*SMOOTH] if few else []
    if base != "auto" and base not in able:
        kind = "parallel planes have" if sections.is_parallel else "planes that are not parallel have"
        raise ParameterError(f"base={base!r} is not allowed here: {kind} {able}.")


def check_cap(cap: Any, size: float) -> None:
    """Raise ParameterError for bodies that would reach farther beyond the planes than their contours measure."""
    if cap is not None and cap > size:
        raise ParameterError(
            f"cap={cap:g} is farther than the contours measure across, {size:.4g}: nothing is known there.\n"
            "  Give at most that, in the unit of the sections, or leave cap= out: bodies then end about a gap beyond."
        )


def as_sections(sections: Any) -> CrossSections:
    """The sections, read from a file where a path is given; checked for what no reconstruction can do without.

    Conflicts and defects are told in a FitWarning.
    """
    if isinstance(sections, (str, os.PathLike)):
        sections = CrossSections.read(Path(sections))
    if not isinstance(sections, CrossSections):
        raise ParameterError(
            f"fit takes CrossSections, got a {type(sections).__name__}: make them with CrossSections.read(path), "
            "from_mesh, from_contours or from_volume."
        )
    filled = [plane for plane in sections if plane.rings]
    if not filled:
        raise ParameterError(f"none of the {len(sections)} planes has a contour: there is nothing to reconstruct.")
    if len(sections) < 2:
        raise ParameterError(
            "one plane does not determine a body: give at least two, better ten.\n"
            "  A plane without contours counts too: it says where the body has ended."
        )
    _check_distinct(sections)
    return sections


def _check_distinct(sections: CrossSections) -> None:
    """Planes that are the same must not be given twice: put their contours into one."""
    box = sections.bounding_box()
    size = float(np.linalg.norm(box[1] - box[0]))
    centre = box.mean(0)
    rows = []
    for plane in sections:
        normal = plane.normal
        offset = float((plane.origin - centre) @ normal) / max(size, 1e-300)
        turn = np.sign(normal[np.argmax(np.abs(normal) > 1e-6)])
        rows.append(np.round([*(turn * normal), turn * offset], 6) + 0.0)
    _, first, count = np.unique(np.array(rows), axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        twice = int(first[count > 1][0])
        same = [k for k, row in enumerate(rows) if np.array_equal(row, rows[twice])]
        raise ParameterError(f"planes {same} are the same plane: put their contours into one plane.")


def warn_of_conflicts(conflicts: list[Any], defects: list[str]) -> None:
    """Tell what the sections contradict themselves in."""
    notes = [str(conflict) for conflict in conflicts] + defects
    if notes:
        more = f"\n  and {len(notes) - 4} more: see sections.conflicts() and sections.defects()" * (len(notes) > 4)
        warnings.warn(
            "the sections contradict themselves; near such places the result is a compromise.\n  "
            + "\n  ".join(notes[:4])
            + more,
            FitWarning,
            stacklevel=4,
        )
