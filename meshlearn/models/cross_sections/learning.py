"""The steps of a fit: bases compared, a prior made, the network tried on planes left out and trained on all."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from meshlearn.errors import ParameterError
from meshlearn.models.cross_sections import choice
from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.field import Field
from meshlearn.models.cross_sections.network import ResidualNetwork
from meshlearn.models.cross_sections.priors import SMOOTH, blend_of, make_field, make_prior
from meshlearn.models.cross_sections.progress import bar
from meshlearn.models.cross_sections.resuming import Notes
from meshlearn.models.cross_sections.training import fit_network, network_grid

FEW = 8
"""More labels than these have no radial basis functions and no network: blends of distances are what they get."""
TRIAL = 0.35
"""Share of the steps, and of the time, that the trial of the network takes."""


class Learner:
    """One fit. `run` sets `field`, `base`, `base_scores`, `share`, `share_scores`, `steps` and `seconds`."""

    def __init__(self, model: Any, body: Body, deadline: float, progress: bool, notes: Notes):
        self.model, self.body, self.deadline, self.progress, self.notes = model, body, deadline, progress, notes
        self.base_scores: dict[str, float] = {}
        self.share, self.share_scores, self.steps = 0.0, {0.0: math.nan}, 0
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """All steps, each in the time that is left."""
        with bar("reconstruct", self.progress) as report:
            self.report = report or (lambda share: None)
            with self._timed("base"):
                self.base = self.notes.once("base", self._choose_base)
                self.base_scores = self.notes.known.get("base_scores", {})
                self.report(0.2)
            with self._timed("prior"):
                self.field = self._field()
                self.report(0.3)
            if self.model.network and len(self.body.sections.labels) <= FEW:
                self._learn()
            self.report(1.0)

    @contextmanager
    def _timed(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def _left(self) -> float:
        return self.deadline - time.perf_counter()

    def _choose_base(self) -> str:
        body, base = self.body, self.model.base
        able = ["linear", "cubic"] if body.parallel else ["distance"]
        few = len(body.sections.labels) <= FEW
        able += [*SMOOTH] if few else []
        if base != "auto":
            if base in SMOOTH and not few:
                raise ParameterError(f"base={base!r} is for up to {FEW} labels, there are {len(body.sections.labels)}.")
            if base not in able:
                kind = "parallel planes have" if body.parallel else "planes that are not parallel have"
                raise ParameterError(f"base={base!r} is not allowed here: {kind} {able}.")
            return base
        start = time.perf_counter()
        folds = choice.left_out(body)
        scores = {name: self._score(name, [name], folds) for name in able if name not in SMOOTH}
        needed = 4 * (time.perf_counter() - start)
        if few and folds and self._left() > needed:
            # all of them on every plane, as their mean needs no more than the two
            scores |= {name: self._score("smooth", [*SMOOTH], folds, name) for name in SMOOTH}
        known = {name: score for name, score in scores.items() if not math.isnan(score)}
        self.notes.once("base_scores", lambda: known)
        if not known:
            return able[0] if not few else "hermite" if not body.parallel else "linear"
        return max(known, key=lambda name: known[name])

    def _score(self, group: str, names: list[str], folds: list[int], name: str | None = None) -> float:
        """Overlap on planes left out one at a time; NaN where none can be left out."""
        centres, seed = self.model.centres // 2, self.model.seed
        rows = [
            self.notes.once(f"{group}/{plane}", partial(choice.score_plane, self.body, plane, names, centres, seed))
            for plane in folds
        ]
        return choice.share_right([row[name or group] for row in rows]) if rows else math.nan

    def _field(self) -> Field:
        model, body = self.model, self.body
        if self.base not in SMOOTH:
            return Field(body, self.base)
        prior = self.notes.tensor_once("prior", lambda: make_prior(body, self.base, model.centres, model.seed))
        return Field(body, blend_of(body), prior, local=True)

    def _network(self) -> ResidualNetwork:
        model = self.model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(model.seed)
            return ResidualNetwork(len(self.body.channels), model.hidden, model.layers, model.iterations)

    def _learn(self) -> None:
        """Train without some planes, see what share of the network helps there, then train on all."""
        body, steps = self.body, self.model.steps
        hidden = choice.left_out(body)[::2]
        keep = [k for k in range(len(body.sections)) if k not in hidden]
        if not hidden or len(keep) < 3 or self._left() < 2.0:
            return
        with self._timed("trial"):
            share_end = time.perf_counter() + TRIAL * self._left()
            tried = self.notes.once("trial", lambda: self._trial(hidden, keep, share_end))
            if tried["steps"]:
                self.share_scores = {float(share): score for share, score in tried["scores"]}
                self.share = choice.best_share(self.share_scores)
        if self.share == 0.0:
            return
        with self._timed("network"):
            reserve = 0.1 * max(self._left(), 0.0) if math.isfinite(self._left()) else 0.0
            self.steps, grid = self._train(self.field, steps, self.deadline - reserve, 0.5, 1.0, self.notes)
            # a network cut short is no longer the one that was tried
            if self.steps >= min(steps, tried["steps"]):
                self.field = choice.mixed(self.field, grid, self.share)
            else:
                self.share = 0.0

    def _trial(self, hidden: list[int], keep: list[int], deadline: float) -> dict[str, Any]:
        """Steps that were done without some planes, and the overlap on those by share of the network."""
        model = self.model
        field = make_field(self.body.only(keep), self.base, model.centres, model.seed, levels=1)
        done, grid = self._train(field, max(int(TRIAL * model.steps), 1), deadline, 0.3, 0.5, None)
        scores = choice.share_of_network(field, grid, self.body, hidden) if done else {}
        return {"steps": done, "scores": [[share, score] for share, score in scores.items()]}

    def _train(
        self, field: Field, steps: int, deadline: float, low: float, high: float, notes: Notes | None
    ) -> tuple[int, torch.Tensor]:
        network = self._network()
        report = lambda share, loss: self.report(low + (high - low) * share)  # noqa: E731
        done = fit_network(field.body, field.spline, network, steps, deadline, self.model.seed, report, notes)
        return done, network_grid(network, field.body, None if field.prior is None else field.prior.shape[1])
