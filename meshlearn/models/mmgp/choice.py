"""Which morphing a set of training meshes gets: the admissible one that carries fields there and back best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, MeshError, MeshlearnError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.morphing import admissible_morphings, make_morpher
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.steps import Work

LOOKED_AT = 5
CLEARLY = 0.33  # a morphing is taken before a likelier one if its error is less than this share of the other's
EXACT = 1e-6  # relative errors below it are alike


@dataclass
class Trial:
    """How one morphing did on a few of the training meshes.

    error    geometric mean of the relative errors of coordinates, and of output fields, after the way there and back
    flipped  number of cells turned inside out
    failure  why it cannot be taken, "" if it can
    """

    name: str
    family: Family | None = None
    error: float = math.inf
    flipped: int = 0
    failure: str = ""
    fault: MeshError | ConvergenceError | None = field(default=None, repr=False)

    @property
    def valid(self) -> bool:
        return not self.failure and not self.flipped

    def summary(self) -> dict[str, Any]:
        """What is told of it, as JSON data."""
        if self.failure:
            return {"failure": self.failure}
        return {"round_trip": self.error, "flipped": self.flipped} if math.isfinite(self.error) else {}


class Choice:
    """The morphings for a training set, best first.

    tried   {name: what came of it}
    ranked  the trials that did not fail; the first is the one to take

    "identity", where meshes share their cells, is taken unseen; of the others, the first that turns no cells over,
    unless another one carries fields clearly better (`CLEARLY`). "elastic", which takes much longer, is tried only
    where every other one fails or turns cells over. Exact morphings of affine families win by their exact coordinates.
    """

    def __init__(
        self, works: Sequence[Work], fields: FieldSet, names: Sequence[str], landmarks: Any, options: Any, transfer: str
    ) -> None:
        self.works, self.fields, self.landmarks, self.options = works, fields, landmarks, dict(options)
        self.transfer = transfer
        distance = distances([work.source for work in works])
        self.reference = int(distance.argmin())
        order = distance.argsort(stable=True).tolist()
        step = max(1.0, (len(order) - 1) / LOOKED_AT)
        self.looked_at = sorted({order[round(step * k)] for k in range(1, LOOKED_AT + 1) if step * k <= len(order) - 1})
        self.trials: list[Trial] = []
        self.left = list(names)
        self._try(alone=len(names) == 1)

    @property
    def tried(self) -> dict[str, Any]:
        return {trial.name: trial.summary() for trial in self.trials}

    def ranked(self) -> list[Trial]:
        """The trials that did not fail, best first."""
        usable = [trial for trial in self.trials if not trial.failure]
        valid = [trial for trial in usable if trial.valid]
        best = valid[:1]
        for trial in valid[1:]:
            if trial.error < CLEARLY * best[0].error:
                best = [trial]
        rest = [trial for trial in valid if trial not in best]
        return best + rest + sorted((t for t in usable if not t.valid), key=lambda trial: trial.flipped)

    def more(self) -> bool:
        """Try what was left out, now that all others failed; False if there is nothing."""
        if not self.left:
            return False
        self._try(alone=False)
        return True

    def _try(self, alone: bool) -> None:
        for name in list(self.left):
            if name == "elastic" and any(trial.valid for trial in self.trials):
                continue
            self.left.remove(name)
            self.trials.append(self._tried(name, alone))
            if name == "identity" and self.trials[-1].valid:
                return

    def fail(self, trial: Trial, error: MeshError | ConvergenceError) -> None:
        """Take a morphing out, for it does not do for all meshes."""
        trial.failure, trial.fault, trial.family = str(error).split("\n")[0], error, None

    def refusal(self) -> MeshError | ConvergenceError:
        """The error that says why no morphing can be taken."""
        first = next(trial.fault for trial in self.trials if trial.fault is not None)
        if len(self.trials) == 1:
            return first
        causes = "\n".join(f"  {trial.name}: {trial.failure}" for trial in self.trials)
        return type(first)(f"no morphing does for all training meshes:\n{causes}")

    def _tried(self, name: str, alone: bool) -> Trial:
        trial = Trial(name)
        work = self.works[self.reference]
        try:
            try:
                morpher = make_morpher(name, work.source, self.landmarks, **self.options)
            except (MeshError, ParameterError) as error:
                raise type(error)(f"{work.where}: {error}") from error
            trial.family = Family(morpher, self.transfer, others=not alone)
            if not alone and name != "identity":
                self._measure(trial, trial.family)
        except (MeshError, ConvergenceError) as error:
            self.fail(trial, error)
        return trial

    def _measure(self, trial: Trial, family: Family) -> None:
        logs = []
        for i in self.looked_at:
            work = self.works[i]
            try:
                placed = family.place(work.source)
            except MeshlearnError as error:
                raise type(error)(f"{work.where}: {error}") from error
            trial.flipped += placed.morph.flipped
            logs.append(_log_error(placed, work, self.fields))
        trial.error = math.exp(sum(logs) / len(logs))


def _log_error(placed: Placed, work: Work, fields: FieldSet) -> float:
    """Logarithm of the error of one mesh: half of it is that of coordinates, half that of output fields."""
    shape = math.log(_round_trip(placed, work.source.points, "point") or EXACT)
    outputs = [
        math.log(error)
        for spec in fields.outputs
        if spec.location != "global" and (error := _round_trip(placed, spec.values(work.target), spec.location))
    ]
    return 0.5 * (shape + sum(outputs) / len(outputs)) if outputs else shape


def _round_trip(placed: Placed, table: Tensor, location: str) -> float | None:
    """Error of a table (rows, size) after the way to the common mesh and back, relative to its spread.

    Without slopes: what they mend is the meshes', and no reason to take another morphing.
    """
    table = table.detach().double().cpu()
    weights = measure_weights(placed.mesh, location).detach().double().cpu()[:, None]
    spread = float(((table - (weights * table).sum(0) / weights.sum()).square() * weights).sum())
    if spread <= 1e-24 * float((table.square() * weights).sum()):
        return None
    there = placed.to_common(table, location, plain=True)
    back = placed.from_common(there[None], location, table.shape[1], plain=True)[0]
    return max((float(((table - back).square() * weights).sum()) / spread) ** 0.5, EXACT)


def distances(meshes: Sequence[Mesh]) -> Tensor:
    """(n,) how unlike the mean each mesh is, in extents, measure and number of points."""
    rows = []
    for mesh in meshes:
        extent = mesh.points.detach().double().cpu()
        size = mesh.measure().detach().double().cpu().reshape(1) if mesh.domain_types else extent.new_zeros(1)
        boxed = extent.amax(0) - extent.amin(0)
        rows.append(torch.cat([boxed, size, extent.new_tensor([float(mesh.n_points)]).log()]))
    table = torch.stack(rows)
    if not bool(torch.isfinite(table).all()):
        raise ParameterError("some meshes have no finite extent or measure: repair them, or leave them out.")
    spread = table.std(0, correction=0)
    scaled = (table - table.mean(0)) / torch.where(spread > 1e-9 * table.abs().amax(0), spread, torch.inf)
    return scaled.square().sum(1)


def choose(
    works: Sequence[Work], fields: FieldSet, morphing: str, landmarks: Any, options: Any, transfer: str
) -> Choice:
    """The morphings to take for a training set: the one that is named, or the admissible ones ("auto").

    Raises TopologyError for meshes of unlike topology, with the name of the mesh.
    """
    names: tuple[str, ...] = (morphing,)
    if morphing == "auto":
        names = admissible_morphings([work.source for work in works], dict(options), [work.where for work in works])
    return Choice(works, fields, names, landmarks, options, transfer)
