"""The steps of a fit: bases compared, a prior made, the network tried on planes left out and trained on all."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import Any

import torch

from meshlearn.models.cross_sections import choice
from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.contest import FEW, Contest, no_time
from meshlearn.models.cross_sections.field import Field
from meshlearn.models.cross_sections.network import ResidualNetwork
from meshlearn.models.cross_sections.priors import SMOOTH, blend_of, make_field, make_prior
from meshlearn.models.cross_sections.progress import bar
from meshlearn.models.cross_sections.resuming import Notes
from meshlearn.models.cross_sections.training import fit_network, network_grid

LEAST_TRAINING = 2.0
"""Seconds below which training is not begun."""
TRIAL = 0.35
"""Share of the steps, and of the time, that the trial of the network takes."""


class Learner:
    """One fit. `run` sets `field`, `base`, `base_scores`, `share`, `share_scores`, `steps`, `skipped` and `seconds`."""

    def __init__(self, model: Any, body: Body, deadline: float, progress: bool, notes: Notes):
        self.model, self.body, self.deadline, self.progress, self.notes = model, body, deadline, progress, notes
        self.base_scores: dict[str, float] = {}
        self.share_scores: dict[float, float] = {}
        self.skipped: dict[str, str] = {}
        self.share, self.steps = 0.0, 0
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """All steps, each in the time that is left."""
        with bar("reconstruct", self.progress) as report:
            self.report = report or (lambda share: None)
            with self._timed("base"):
                self.base, self.base_scores, self.skipped, self.centres = self.notes.once("base", self._choose_base)
                self.report(0.2)
            with self._timed("prior"):
                self.field = self._field()
                self.report(0.3)
            self._learn()
            self.report(1.0)

    def _choose_base(self) -> list[Any]:
        """[base, its scores and those of others, {base: why it was not tried}, centres]."""
        model = self.model
        if model.base != "auto":
            return [model.base, {}, {}, int(model.centres)]
        contest = Contest(self.body, int(model.centres), model.seed, self.deadline, self.notes)
        return [contest.run(), contest.scores, contest.skipped, contest.centres]

    @contextmanager
    def _timed(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def _left(self) -> float:
        return self.deadline - time.perf_counter()

    def _field(self) -> Field:
        model, body = self.model, self.body
        if self.base not in SMOOTH:
            return Field(body, self.base)
        prior = self.notes.tensor_once("prior", lambda: make_prior(body, self.base, self.centres, model.seed))
        with self._timed("field"):
            return Field(body, blend_of(body), prior, local=True)

    def _network(self) -> ResidualNetwork:
        model = self.model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(model.seed)
            return ResidualNetwork(len(self.body.channels), model.hidden, model.layers, model.iterations)

    def _why_no_network(self) -> str | None:
        """Why the network is not tried; None if it is."""
        hidden, keep = self._hidden()
        if not self.model.network:
            return "not asked for"
        if len(self.body.sections.labels) > FEW:
            return f"there are more than {FEW} labels"
        if not hidden or len(keep) < 3:
            return "there are too few planes to leave some out"
        # the trial makes the base again without some planes, and looks at several shares
        needed = self.seconds["prior"] + len(choice.WEIGHTS) * self.seconds.get("field", 1.0) + LEAST_TRAINING
        return None if self._left() > needed else no_time(needed, self._left())

    def _hidden(self) -> tuple[list[int], list[int]]:
        hidden = choice.left_out(self.body)[::2]
        return hidden, [k for k in range(len(self.body.sections)) if k not in hidden]

    def _learn(self) -> None:
        """Train without some planes, see what share of the network helps there, then train on all."""
        why = self._why_no_network() if "trial" not in self.notes.known else None
        if why is not None:
            self.skipped["network"] = why
            return
        steps = self.model.steps
        with self._timed("trial"):
            tried = self.notes.once("trial", self._trial)
            if tried["steps"]:
                self.share_scores = {float(share): score for share, score in tried["scores"]}
                self.share = choice.best_share(self.share_scores)
            else:
                self.skipped["network"] = "no time was left to train it"
        if self.share == 0.0:
            return
        with self._timed("network"):
            reserve = 2 * self.seconds.get("field", 1.0) if math.isfinite(self._left()) else 0.0
            self.steps, grid = self._train(self.field, steps, self.deadline - reserve, 0.5, 1.0, self.notes)
            # a network cut short is no longer the one that was tried
            if self.steps >= min(steps, tried["steps"]):
                self.field = choice.mixed(self.field, grid, self.share)
            else:
                self.share = 0.0
                self.skipped["network"] = f"no time: {self.steps} of {steps} steps were done"

    def _trial(self) -> dict[str, Any]:
        """Steps that were done without some planes, and the overlap on those by share of the network."""
        model, (hidden, keep) = self.model, self._hidden()
        field = make_field(self.body.only(keep), self.base, self.centres, model.seed, levels=1)
        left = self._left() - len(choice.WEIGHTS) * self.seconds.get("field", 1.0)
        deadline = time.perf_counter() + TRIAL * max(left, 0.0)
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
