"""`Unrolled`: training on several steps in a row, each from the state that the network has made itself.

A network that has seen true states only meets its own errors for the first time in a rollout. Here it takes `steps`
steps from a true state during training, and every one of them counts.

Papers: J. Brandstetter, D. Worrall, M. Welling 2022, "Message passing neural PDE solvers", arXiv:2202.03376, section
3.1: the pushforward trick, gradients of each step on its own (`through=False`); gradients through all steps
(`through=True`) are the solver in the loop of K. Um et al. 2020, arXiv:2007.00016, section 3. Departure from the first:
the loss of all steps is taken, not that of the first and the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.around.windows import Windows, ahead, later
from meshlearn.models.around.wrapped import WrappedEstimator, WrappedSample
from meshlearn.train.fields import FieldSpec
from meshlearn.train.increments import present_values
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.option_checks import flag, whole
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class UnrolledSample(WrappedSample):
    """A sample, and in training what the steps after the first need.

    present  {location: (rows, width)} outputs at the start, 0 where they are not stepped in time; {} when predicting
    truths   per step after the first: {location: (rows, width)} outputs at its end
    driven   per step after the first: {name: (rows, size)} inputs at its start that are not outputs
    """

    present: dict[str, Tensor] | None = None
    truths: tuple[dict[str, Tensor], ...] = ()
    driven: tuple[dict[str, Tensor], ...] = ()

    def rows(self, location: str) -> int:
        """Rows of the outputs: those of all steps, one after the other."""
        return (1 + len(self.truths)) * super().rows(location)


class Unrolled(WrappedEstimator):
    """A network that steps in time, trained on several steps in a row.

    model    ml.GridOperator(...), ml.MeshGraphNet(...), ml.SliceTransformer(...) or another network with a writer
             (`meshlearn.train.writer`), with a state among its inputs and outputs; not fitted
    steps    steps in a row in training; every frame that has so many after it begins such a row
    through  gradients flow through all steps; else each step is trained on its own, from the state that the steps
             before it have made (the pushforward trick): gradients do not explode

    It predicts and rolls out as the model inside does. The loss is that of the model inside, averaged over the steps;
    a training step costs `steps` times as much as without. Trajectories whose points move are refused.

    >>> waves = ml.sim.make_kuramoto_sivashinsky(2, resolution=32, length=16.0, frames=8, start=20.0)
    >>> core = ml.GridOperator(["u"], ["u"], core="unet", core_options={"hidden": 8}, shape=32, periodic=True)
    >>> model = ml.Unrolled(core, steps=3).fit(waves, epochs=1, progress=False)
    >>> model.rollout(waves[0][0], steps=4).point_data["u"].shape
    torch.Size([5, 33])
    """

    steps: int
    through: bool

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(self, model: Any = None, steps: int = 2, through: bool = True) -> None:
        self.model = model
        self.steps = steps
        self.through = through

    def check(self) -> None:
        """Raise ParameterError for arguments that cannot be."""
        whole(1)("steps", self.steps)
        flag("through", self.through)
        inputs, outputs = (_names(getattr(self.template, role)) for role in ("inputs", "outputs"))
        if not set(inputs) & set(outputs):
            raise ParameterError(
                f"inputs {inputs}, outputs {outputs}: no output is an input, so there is no state to step.\n"
                "  Name the state in both, or fit the model alone."
            )

    @arguments_of(NetworkEstimator.fit)
    def fit(self, meshes: Any, **options: Any) -> Unrolled:
        """Train on several steps in a row; returns self. See `NetworkEstimator.fit`."""
        self.check()
        names = list(dict.fromkeys([*_names(self.template.inputs), *_names(self.template.outputs)]))
        held_out = options.get("validation")
        if held_out is not None and not isinstance(held_out, (float, int)):
            options["validation"] = Windows(held_out, names, self.steps, "validation")
        super().fit(Windows(meshes, names, self.steps), **options)
        return self

    # -- training --------------------------------------------------------------------------------------------------

    def prepare(self, mesh: Mesh) -> UnrolledSample:
        """The sample of the model inside."""
        self.check()
        return UnrolledSample.extending(self.wrap(mesh))

    def make_sample(self, source: Mesh, target: Mesh) -> Sample:
        """The first step as the model inside has it, and what the others need."""
        sample: Any = super().make_sample(source, target)
        fields = self.fields_
        present = present_values(fields, source, fields.targets(target))
        self._check_changes(sample.targets, fields.targets(target), present)
        names = [spec.name for spec in (*fields.inputs, *fields.outputs)]
        meshes = [later(source, names, k) for k in range(1, self.steps)]
        ends = [later(source, names, k + 1) for k in range(1, self.steps)]
        driven = [spec for spec in fields.inputs if spec not in fields.outputs and _changes(source, spec)]
        return sample.replace(
            present=present,
            truths=tuple(fields.targets(mesh) for mesh in ends),
            driven=tuple({spec.name: spec.values(mesh).to(mesh.points) for spec in driven} for mesh in meshes),
        )

    def network(self, module: nn.Module, batch: UnrolledSample) -> dict[str, Tensor]:  # type: ignore[override]
        """Normalised outputs; in training those of all steps, one after the other."""
        made = [module(batch.inner)]
        state = batch.present
        for driven in batch.driven:
            assert state is not None
            state = self._next(state, made[-1])
            written = self.writer.write(batch.inner, {**self._inputs(state), **driven}, batch.carriers)
            made.append(module(written))
        return {location: torch.cat([outputs[location] for outputs in made]) for location in made[0]}

    def sample_losses(self, outputs: dict[str, Tensor], batch: UnrolledSample) -> Tensor:  # type: ignore[override]
        """(n_meshes,) the loss of the model inside, averaged over the steps."""
        steps = 1 + len(batch.truths)
        parts = {location: table.chunk(steps) for location, table in outputs.items()}
        single = batch.replace(truths=(), driven=())
        losses, state, inner = [], batch.present, self.inner
        for k in range(steps):
            made = {location: chunks[k] for location, chunks in parts.items()}
            if k:
                truth = batch.truths[k - 1]
                assert state is not None
                changes = {location: truth[location].to(values) - values for location, values in state.items()}
                single = single.replace(targets=self._normal(changes))
            losses.append(inner.sample_losses(made, single))
            if k < steps - 1:
                assert state is not None
                state = self._next(state, made)
        return torch.stack(losses).mean(0)

    def _next(self, state: dict[str, Tensor], outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after a step: what was, and the change; 0 for outputs that are not stepped."""
        stepped = {spec.name for spec in self.fields_.inputs}
        physical, made = self.normalizers_.physical(outputs), {}
        for location, values in state.items():
            flags = [spec.name in stepped for spec in self.fields_.at("outputs", location) for _ in range(spec.size)]
            change = physical[location] * torch.tensor(flags, device=values.device)
            made[location] = values + (change if self.through else change.detach()).to(values)
        return made

    def _inputs(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """{name: (rows, size)} of the fields that are stepped in time."""
        stepped, tables = {spec.name for spec in self.fields_.inputs}, {}
        for location, values in state.items():
            specs = self.fields_.at("outputs", location)
            for spec, part in zip(specs, values.split([spec.size for spec in specs], dim=1), strict=True):
                if spec.name in stepped:
                    tables[spec.name] = part
        return tables

    def _normal(self, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        targets: Any = self.normalizers_.targets
        return {location: targets[location](table) for location, table in tables.items()}

    def _check_changes(self, learned: Any, truth: Any, present: Any) -> None:
        """Raise ParameterError unless the model inside learns changes of what is stepped in time."""
        for location, values in truth.items():
            size = values.abs().max() + 1e-30
            if float((learned[location] + present[location] - values).abs().max()) > 1e-4 * float(size):
                raise ParameterError(
                    f"{type(self.template).__name__} does not learn the change of its state from frame to frame, which "
                    "several steps in a row need.\n  Derive it from FieldNetworkEstimator, see meshlearn.train."
                )


def _changes(mesh: Mesh, spec: FieldSpec) -> bool:
    """True if a mesh of a window knows the field one frame later: it changes in time."""
    data: Sequence[str] | Any = getattr(mesh, f"{spec.location}_data")
    return ahead(spec.name, 1) in data


def _names(given: Any) -> list[Any]:
    """The names of fields; [] for what is none, which the fit tells."""
    return list(given) if isinstance(given, (list, tuple)) else []
