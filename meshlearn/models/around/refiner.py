"""`PDERefiner`: predictions made in several steps, each from the one before with ever smaller noise on it.

A network that is trained on a squared error learns the large waves of a field and neglects the small ones, which in a
chaotic flow are tomorrow's large ones. Here the network predicts once, and then K times takes noise off its own
prediction: at noise of amplitude s it has to say what is as small as s. With noise drawn anew the predictions are
samples, whose spread is an uncertainty.

Paper: P. Lippe, B. Veeling, P. Perdikaris, R. Turner, J. Brandstetter 2023, "PDE-Refiner: achieving accurate long
rollouts with neural PDE solvers", arXiv:2308.05732: section 3.1, algorithm 1 and its form as a diffusion (appendix B),
with v-prediction, K = 3, min_noise = 4e-7 (a variance), the exponential moving average of the weights evaluated.

Departures: it works around any network estimator, so the present estimate and the step are input fields (the step as
a number, which cores with `takes_time` are conditioned on, and as one channel per step); what is refined is what the
model inside learns (the change of fields that are stepped in time), normalised by its spread; noise is drawn where the
network can see it, on the nodes of its grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.around.schedule import NoiseSchedule
from meshlearn.models.around.wrapped import WrappedEstimator, WrappedSample
from meshlearn.train.batching import mix
from meshlearn.train.estimator import Fields
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.loss import mesh_losses, pointwise_loss
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.option_checks import number, whole
from meshlearn.train.precision import narrowed
from meshlearn.train.reach import check_reach

STEP, LEVELS = "refinement step", "refinement level"
EMA = 0.995


@dataclass(frozen=True)
class RefinerSample(WrappedSample):
    """A sample, and in training how much of which noise is on its outputs.

    seed   (n_meshes,) int64: decides the noise of a prediction
    level  (n_meshes,) int64: k of every mesh; None when predicting
    noise  {location: (rows, width)}
    """

    seed: Tensor | None = None
    level: Tensor | None = None
    noise: dict[str, Tensor] | None = None


class PDERefiner(WrappedEstimator):
    """Iterative refinement around a network, for steps in time and for steady fields.

    model      the network: ml.GridOperator(...) with any core, ml.MeshGraphNet(...), ml.SliceTransformer(...) or one of
               your own with a writer (`meshlearn.train.writer`), not fitted; its `loss` and `noise` are not used
    steps      K: refinements after the first prediction; the network is called K + 1 times
    min_noise  variance of the noise of the last refinement, relative to the spread of what is learned
    samples    draws of which `predict(..., return_std=True)` gives the mean and the spread

    The defaults are made for rollouts: the first prediction is nearly a mean, and only what is smaller than the noise
    of the second is drawn, so that draws spread less than the truth could. For spreads that are uncertainties, take
    more steps with more noise (steps=8, min_noise=0.03).

    It is probabilistic: a prediction is one draw (always the same, and the same alone as among others), a rollout one
    future, chosen by its `seed`. `fit` has the arguments of `NetworkEstimator.fit`; `ema` is 0.995 unless given. The
    validation loss is the mean squared error of one draw.

    >>> waves = ml.sim.make_kuramoto_sivashinsky(2, resolution=32, length=16.0, frames=8, start=20.0)
    >>> core = ml.GridOperator(["u"], ["u"], core="unet", core_options={"hidden": 8}, shape=32, periodic=True)
    >>> model = ml.PDERefiner(core, steps=2).fit(waves, epochs=1, progress=False)
    >>> model.rollout(waves[0][0], steps=3, seed=1).point_data["u"].shape
    torch.Size([4, 33])
    """

    probabilistic = True
    steps: int
    min_noise: float
    samples: int

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(self, model: Any = None, steps: int = 3, min_noise: float = 4e-7, samples: int = 8) -> None:
        self.model = model
        self.steps = steps
        self.min_noise = min_noise
        self.samples = samples

    def check(self) -> None:
        """Raise ParameterError for arguments that cannot be."""
        whole(1)("steps", self.steps)
        whole(2)("samples", self.samples)
        number("a number between 0 and 1", lambda value: 0 < value < 1)("min_noise", self.min_noise)
        if getattr(self.template, "noise", 0):
            raise ParameterError(
                f"noise={self.template.noise!r} of the model inside: a PDERefiner adds its own. Leave it at 0."  # type: ignore[attr-defined]
            )

    def more_inputs(self, fields: FieldSet) -> tuple[FieldSpec, ...]:
        """The present estimate of every output, the step as a number and as one channel per step."""
        estimates = (FieldSpec(_estimate(spec), spec.location, spec.shape) for spec in fields.outputs)
        return (*estimates, FieldSpec(STEP, "global"), FieldSpec(LEVELS, "global", (self.steps + 1,)))

    def inner_params(self, template: NetworkEstimator) -> dict[str, Any]:
        """Cores that take a time are conditioned on the step."""
        return {"time": STEP} if template.get_params().get("time", 0) is None else {}

    @arguments_of(NetworkEstimator.fit)
    def fit(self, meshes: Any, **options: Any) -> PDERefiner:
        """Train the network to take noise off at every step; returns self. See `NetworkEstimator.fit`."""
        self.check()
        super().fit(meshes, **{"ema": EMA, **options})
        return self

    # -- training --------------------------------------------------------------------------------------------------

    def prepare(self, mesh: Mesh) -> RefinerSample:
        """The sample of the model inside, with room for the estimate and the step."""
        self.check()
        wrapped = self.wrap(mesh)
        return RefinerSample.extending(wrapped, seed=torch.zeros(1, dtype=torch.int64))

    def augment(self, batch: RefinerSample) -> RefinerSample:  # type: ignore[override]
        """The batch with a step and noise drawn for every mesh."""
        device = batch.counts["global"].device
        level = torch.randint(self.steps + 1, (batch.n_meshes,), device=device)
        noise = {}
        for location in self.fields_.output_locations:
            count = int(self.writer.noise_counts(batch.inner, location).sum())
            drawn = torch.randn(count, self.fields_.width("outputs", location), device=device, dtype=self.dtype)
            noise[location] = self.writer.spread(batch.inner, location, drawn)
        return batch.replace(level=level, noise=noise)

    def network(self, module: nn.Module, batch: RefinerSample) -> dict[str, Tensor]:  # type: ignore[override]
        """In training v at the steps drawn; else a draw of what the model inside learns, after all steps."""
        if batch.level is None or batch.noise is None:
            return self._refined(module, batch)
        schedule, noisy = self._schedule, {}
        for location, clean in batch.targets.items():
            level = self._rows(batch.level, batch, location)
            noisy[location] = schedule.noisy(clean, batch.noise[location].to(clean), level)
        return module(self._written(batch, noisy, batch.level))

    def sample_losses(self, outputs: dict[str, Tensor], batch: RefinerSample) -> Tensor:  # type: ignore[override]
        """(n_meshes,) mean squared error of v; of the draw, where nothing was drawn in training."""
        wanted = batch.targets
        if batch.level is not None and batch.noise is not None:
            wanted = {
                location: self._schedule.velocity(
                    clean, batch.noise[location].to(clean), self._rows(batch.level, batch, location)
                )
                for location, clean in batch.targets.items()
            }
        return mesh_losses(outputs, wanted, batch, pointwise_loss("mse"))

    # -- predictions -----------------------------------------------------------------------------------------------

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """One draw for every mesh; or mean and spread of `samples` draws."""
        if not return_std:
            yield from super().predict_fields(meshes)
            return
        for mesh in meshes:
            check_reach(self.fields_, mesh, self.dtype, role="inputs")
            sample = narrowed(self.prepare(mesh), self.dtype, self.device)
            self.normalizers_.check(sample)
            draws = [sample.replace(seed=torch.full_like(sample.seed, i)) for i in range(self.samples)]  # type: ignore[arg-type]
            made = [fields for fields, _ in self._predict_batch([(mesh, draw) for draw in draws])]
            stacks = {spec: torch.stack([fields[spec] for fields in made]) for spec in made[0]}
            yield ({s: x.mean(0) for s, x in stacks.items()}, {s: x.std(0) for s, x in stacks.items()})

    def rollout(
        self, start: Mesh | Trajectory, steps: int | None = None, time_step: float | None = None, seed: int = 0
    ) -> Trajectory:
        """One future: as `Estimator.rollout`, with noise drawn anew in every step; `seed` chooses which."""
        whole(0)("seed", seed)
        self._clock = [int(seed), 0]
        try:
            return super().rollout(start, steps, time_step)
        finally:
            del self._clock

    def _predict_batch(self, work: list[tuple[Mesh, Any]]) -> Iterator[tuple[Fields, Fields]]:
        clock = self.__dict__.get("_clock")
        if clock is not None:
            clock[1] += 1
            work = [(mesh, sample.replace(seed=sample.seed + mix(*clock) // 2)) for mesh, sample in work]
        yield from super()._predict_batch(work)

    def _refined(self, module: nn.Module, batch: RefinerSample) -> dict[str, Tensor]:
        """A draw of the normalised outputs."""
        schedule, random = self._schedule, _Noise(self, batch)
        state = random.draw()
        for k in range(schedule.steps, -1, -1):
            level = torch.full_like(batch.counts["global"], k)
            velocity = module(self._written(batch, state, level))
            clean = {place: schedule.cleaned(y, velocity[place].to(y), k) for place, y in state.items()}
            if k == 0:
                return clean
            noise = random.draw()
            state = {place: schedule.back(y, clean[place], noise[place], k) for place, y in state.items()}
        raise AssertionError("the last step returns")

    def _written(self, batch: RefinerSample, state: dict[str, Tensor], level: Tensor) -> Any:
        """The batch of the model inside with this estimate and step."""
        tables: dict[str, Tensor] = {}
        for location, table in state.items():
            specs = self.fields_.at("outputs", location)
            parts = table.split([spec.size for spec in specs], dim=1)
            tables |= {_estimate(spec): part for spec, part in zip(specs, parts, strict=True)}
        like = next(iter(state.values()))
        tables[STEP] = (2.0 * level[:, None] / self.steps - 1.0).to(like)
        tables[LEVELS] = torch.nn.functional.one_hot(level, self.steps + 1).to(like)
        return self.writer.write(batch.inner, tables, batch.carriers)

    @property
    def _schedule(self) -> NoiseSchedule:
        return NoiseSchedule(self.steps, self.min_noise)

    @staticmethod
    def _rows(level: Tensor, batch: RefinerSample, location: str) -> Tensor:
        return level if location == "global" else level.index_select(0, batch.mesh_index(location))


class _Noise:
    """Draws for the meshes of a batch, each from a generator of its own: the others beside it do not matter."""

    def __init__(self, model: PDERefiner, batch: RefinerSample) -> None:
        assert batch.seed is not None
        self.model, self.batch = model, batch
        self.generators = [torch.Generator().manual_seed(mix(seed, 7)) for seed in batch.seed.tolist()]

    def draw(self) -> dict[str, Tensor]:
        """{location: (rows, width)} of standard normal numbers."""
        model, inner, made = self.model, self.batch.inner, {}
        for location in model.fields_.output_locations:
            width, counts = model.fields_.width("outputs", location), model.writer.noise_counts(inner, location)
            rows = [
                torch.randn(n, width, generator=generator)
                for n, generator in zip(counts.tolist(), self.generators, strict=True)
            ]
            drawn = torch.cat(rows).to(model.device, model.dtype)
            made[location] = model.writer.spread(inner, location, drawn)
        return made


def _estimate(spec: FieldSpec) -> str:
    return f"{spec.name} (estimate)"
