"""Which base: all that can be had are compared on planes left out, the cheapest first, as far as the time goes."""

from __future__ import annotations

import math
import time
from functools import partial

import numpy as np

from meshlearn.models.cross_sections import choice
from meshlearn.models.cross_sections.body import REACH, Body
from meshlearn.models.cross_sections.grid_field import COARSE, detail
from meshlearn.models.cross_sections.priors import SMOOTH
from meshlearn.models.cross_sections.resuming import Notes

FEW = 8
"""More labels than these have no radial basis functions and no network: blends of distances are what they get."""
FEWEST = 3
"""Planes left out, at least, where there are as many, before a base is compared with others."""
FIRST_GUESS = {"rbf": 20.0, "hermite": 1.5}
"""Time of the first plane: of "rbf" in terms of a blend, of "hermite" in terms of "rbf"; the next ones are measured."""
SHARES = (1.0, 0.75, 0.5)
"""Shares of the centres that the base in use may have, the largest for which there is time."""
PER_NODE = 1.5e-6
"""Seconds per node of a plane's grid that the corrections on the planes take, about."""


def bases_of(body: Body) -> list[str]:
    """The bases that can be had for sections, the cheapest first."""
    blends = ["linear", "cubic"] if body.parallel else ["distance"]
    return blends + ([*SMOOTH] if len(body.sections.labels) <= FEW else [])


def no_time(needed: float, left: float) -> str:
    """Why something was not tried."""
    return f"no time: about {needed:.2g} s needed, {max(left, 0.0):.2g} s left"


class Contest:
    """`run` returns the best base; it sets `scores` {base: overlap on planes left out} and `skipped` {base: why}.

    centres   of the base that will be made in the end; those compared have half of them. Fewer after `run`, where there
              is no time for all
    deadline  of `time.perf_counter`: it includes making the base that is chosen
    """

    def __init__(self, body: Body, centres: int, seed: int, deadline: float, notes: Notes):
        self.body, self.centres, self.seed, self.deadline, self.notes = body, centres, seed, deadline, notes
        folds = choice.left_out(body)
        self.folds = folds[::2] + folds[1::2]  # spread, however many there is time for
        self.clock: dict[str, tuple[float, float]] = {}
        self.counts: dict[str, dict[int, list[int]]] = {}
        self.scores: dict[str, float] = {}
        self.skipped: dict[str, str] = {}

    def run(self) -> str:
        """The best of the bases that are tried, and can be made in the time that is left."""
        able = bases_of(self.body)
        if len(self.body.sections.labels) > FEW:
            self.skipped = dict.fromkeys(SMOOTH, f"there are more than {FEW} labels")
        if not self.folds:
            chosen = "hermite" if "hermite" in able and not self.body.parallel else able[0]
            why = "there are too few planes to leave some out"
            self.skipped |= {name: why for name in able if name != chosen}
            return chosen
        start = time.perf_counter()
        blends = [name for name in able if name not in SMOOTH]
        for plane in self.folds:
            self._score(plane, blends)
        fold = (time.perf_counter() - start) / len(self.folds) / len(blends)
        for name, group in (("rbf", ["rbf"]), ("hermite", ["rbf", "hermite", "mean"])):
            if name in able:
                fold = self._stage(name, group, FIRST_GUESS[name] * fold)
        common = set.intersection(*(set(counts) for counts in self.counts.values()))
        self.scores = {
            name: choice.share_right([counts[plane] for plane in sorted(common)])
            for name, counts in self.counts.items()
        }
        for name in sorted(self.scores, key=lambda name: -self.scores[name]):
            for share in SHARES:
                if self._left() >= self.cost(name, share):
                    return self._with_centres(name, share)
            self.skipped[name] = no_time(self.cost(name), self._left()) + ", to make it for all planes"
        return blends[0]

    def _with_centres(self, name: str, share: float) -> str:
        if share < 1.0:
            needed, few = self.cost(name, 1.0), int(share * self.centres)
            self.skipped["centres"] = f"{no_time(needed, self._left())} for {self.centres}; {few} were used"
            self.centres = few
        return name

    def _stage(self, name: str, group: list[str], fold: float) -> float:
        """Score bases on planes left out as long as there is time; returns the seconds that a plane takes."""
        done: dict[str, dict[int, list[int]]] = {}
        fewest = min(FEWEST, len(self.folds))
        for number, plane in enumerate(self.folds):
            needed = max(fewest - number, 1) * fold + self.cost(name)
            if self._left() < needed:
                break
            start = time.perf_counter()
            for each, counts in self._score(plane, group, record=False).items():
                done.setdefault(each, {})[plane] = counts
            fold = time.perf_counter() - start
        new = [each for each in group if each not in self.counts]
        if len(done.get(name, {})) >= fewest:
            self.counts |= {each: done[each] for each in new}
            self.skipped = {each: why for each, why in self.skipped.items() if each not in self.counts}
        else:
            self.skipped |= dict.fromkeys(new, no_time(needed, self._left()))
        return fold

    def _score(self, plane: int, group: list[str], record: bool = True) -> dict[str, list[int]]:
        make = partial(choice.score_plane, self.body, plane, group, self.centres // 2, self.seed, self.clock)
        found: dict[str, list[int]] = self.notes.once(f"{'-'.join(group)}/{plane}", make)
        if record:
            for name, counts in found.items():
                self.counts.setdefault(name, {})[plane] = counts
        return found

    def cost(self, name: str, share: float = SHARES[-1]) -> float:
        """Seconds that making a base for all planes takes, with a share of the centres, as far as that is known from
        those compared."""
        if name not in SMOOTH:
            return 0.0
        parts = ["rbf", "hermite"] if name == "mean" else [name]
        field = PER_NODE * self.body.data.numel()
        more = 2 * share  # those compared have half the centres
        # before the first "hermite" is measured, it is taken to be as much work as "rbf"
        known = [self.clock[part] for part in parts if part in self.clock] or [*self.clock.values()]
        return field + sum(more**3 * make + more * self._nodes * per_point for make, per_point in known)

    @property
    def _nodes(self) -> float:
        """Nodes at which a smooth base is evaluated: all coarse ones near the hull, finer ones near the surface."""
        cell = 2 * REACH / (COARSE - 1)
        ends = [np.roll(ring.points, -1, axis=0) - ring.points for plane in self.body.sections for ring in plane.rings]
        length = sum(float(np.linalg.norm(part, axis=1).sum()) for part in ends)
        area = length * self.body.gap * (1.0 if self.body.parallel else math.pi / 2)
        return 0.6 * COARSE**3 + 2.4 * 8 * area / cell**2 * sum(4**k for k in range(detail(self.body)))

    def _left(self) -> float:
        return self.deadline - time.perf_counter()
