"""The fit loop on Lightning Fabric: one process or several, the same arithmetic."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from meshlearn.train.batching import Budget, Step, epoch_steps, mix, pack
from meshlearn.train.callbacks import Callback, FitContext, as_callbacks
from meshlearn.train.compilation import compile_module
from meshlearn.train.diagnosis import describe_targets
from meshlearn.train.ema import WeightAverage, all_finite, copy_weights
from meshlearn.train.interrupt import InterruptGuard
from meshlearn.train.network import check_outputs
from meshlearn.train.optimizer import fit_for
from meshlearn.train.options import FitOptions
from meshlearn.train.precision import moved
from meshlearn.train.sample import Sample
from meshlearn.train.schedule import learning_rate_factor
from meshlearn.train.state import Position, TrainingState
from meshlearn.train.store import SampleStore
from meshlearn.train.survey import FitWarning


class Job:
    """All a process needs to train: the estimator with an untrained `module_`, the options and the samples.

    Not a dataclass: Fabric would look into every entry of one when it sends it to a new process.
    """

    def __init__(
        self,
        model: Any,
        options: FitOptions,
        training: SampleStore,
        validation: SampleStore | None,
        budget: Budget,
        fingerprint: str,
    ):
        self.model, self.options, self.training, self.validation = model, options, training, validation
        self.budget, self.fingerprint = budget, fingerprint


class Result(NamedTuple):
    """What a fit leaves: weights to keep, history, a message if the loss did not stay finite, whether Ctrl-C ended it.

    The weights are safetensors bytes: tensors do not outlive a process they were made in.
    """

    weights: bytes
    history: list[dict[str, Any]]
    diverged: str | None
    interrupted: bool


class Diverged(Exception):
    """The loss or the gradient is not finite; raised and caught inside the loop."""


def run(fabric: Any, job: Job) -> Result:
    """Train in this process; the entry point that Fabric launches in every process."""
    if fabric.world_size > 1:
        own_memory(job.model.module_)
    return Trainer(fabric, job).train()


def own_memory(module: nn.Module) -> None:
    """Give a module memory of its own: tensors sent to a spawned process are shared with the sender otherwise."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()


class Opaque:
    """Carries a batch through Fabric, which would otherwise copy every tensor of a dataclass at each call."""

    def __init__(self, batch: Sample):
        self.batch = batch


class Forward(nn.Module):
    """`model.network` as a module, so that Fabric wraps all of it: precision, gradient synchronisation."""

    def __init__(self, model: Any, compiled: bool):
        super().__init__()
        self.model = model
        self.module = compile_module(model.module_) if compiled else model.module_

    def forward(self, carried: Opaque) -> dict[str, Tensor]:
        """Normalised outputs of a batch, checked."""
        batch = carried.batch
        return check_outputs(self.model.network(self.module, batch), batch, self.model.fields_)


class Trainer:
    """State and steps of one fit in one process."""

    def __init__(self, fabric: Any, job: Job):
        self.fabric, self.job, self.options, self.model = fabric, job, job.options, job.model
        self.module: nn.Module = job.model.module_
        self.raw = self.model.build_optimizer(self.module, self.options.learning_rate, self.options.weight_decay)
        fit_for(self.raw, fabric.device, self.options.precision)
        self.peaks = [group["lr"] for group in self.raw.param_groups]
        self.wrapped, self.optimizer = fabric.setup(Forward(self.model, self.options.compile), self.raw)
        self.model.normalizers_.to(fabric.device)
        self.average = WeightAverage(self.module, self.options.ema) if self.options.ema is not None else None
        self.dtype = next((p.dtype for p in self.module.parameters()), torch.float32)
        self.at = Position()
        self.torn = False
        self.best: dict[str, Tensor] | None = None
        self.good = copy_weights(self.module)
        self.context = FitContext(
            self.model, self.options.epochs, history=self.at.history, is_main=fabric.is_global_zero
        )
        self.callbacks = _callbacks(self.options)
        self.state = TrainingState(self)

    # -- the loop --------------------------------------------------------------------------------------------------

    def train(self) -> Result:
        """Run until the epochs, the steps, the time or the patience are used up."""
        if self.options.resume:
            self.state.resume()
            self._warn_if_done()
        self.context.history, self.context.epoch, self.context.step = self.at.history, self.at.epoch, self.at.step
        self.good = copy_weights(self.module)
        diverged = None
        self._call("on_fit_start")
        with InterruptGuard() as guard:
            self.guard = guard
            self.clock = time.perf_counter() - self.at.elapsed
            try:
                while self.at.epoch < self.options.epochs and not self._finished():
                    self._epoch()
            except Diverged as error:
                diverged = str(error)
                if not all_finite(copy_weights(self.module)):
                    self.module.load_state_dict(self.good)
            except KeyboardInterrupt:
                guard.requested = True
            finally:
                self._call("on_fit_end")
        if diverged is None:
            if guard.requested:
                guard.warn(self.options.checkpoint, self.at.epoch, self.at.step)
            if not self.at.closed and not self.torn:  # a step cut in two is not kept: the checkpoint before it is
                self.state.save()
        weights = {name: value.cpu().contiguous() for name, value in self.final_weights().items()}
        return Result(safetensors.torch.save(weights), self.at.history, diverged, guard.requested)

    def _warn_if_done(self) -> None:
        """A FitWarning when a resumed fit had come to its end before."""
        if self.fabric.is_global_zero and (self.at.epoch >= self.options.epochs or self._finished()):
            warnings.warn(
                f"the fit in {self.options.checkpoint} is finished: {self.at.epoch} epochs of {self.options.epochs}, "
                f"{self.at.step} steps; nothing is trained.\n  Ask for more epochs (or max_steps) to go on.",
                FitWarning,
                stacklevel=2,
            )

    def _finished(self) -> bool:
        out_of_patience = self.options.patience is not None and self.at.stale >= self.options.patience
        out_of_steps = self.options.max_steps is not None and self.at.step >= self.options.max_steps
        return out_of_patience or out_of_steps or self.at.stop

    def _epoch(self) -> None:
        options, at = self.options, self.at
        steps = epoch_steps(
            self.job.training.costs,
            self.job.budget,
            options.accumulate,
            self.fabric.world_size,
            options.seed,
            at.epoch,
        )
        self.context.epoch, self.context.steps_in_epoch = at.epoch, len(steps)
        self.wrapped.train()
        started = time.perf_counter()
        for number in range(at.step_in_epoch, len(steps)):
            self._step(steps[number], (at.epoch + number / len(steps)) / options.epochs)
            if self._finished() and at.step_in_epoch < len(steps):
                break
            if options.checkpoint_steps and at.step % options.checkpoint_steps == 0 and at.step_in_epoch < len(steps):
                at.epoch_seconds += time.perf_counter() - started
                started = time.perf_counter()
                self.state.save()
        at.epoch_seconds += time.perf_counter() - started
        if at.step_in_epoch < len(steps):
            self._close_partial_epoch()
        else:
            self._close_epoch()

    def _close_epoch(self) -> None:
        """Validate, record, and go on to the next epoch."""
        self._record()
        at = self.at
        at.next_epoch()
        if all_finite(weights := copy_weights(self.module)):
            self.good = weights
        self._call("on_epoch_end")
        at.stop = at.stop or self.context.stopping
        if at.epoch % self.options.checkpoint_every == 0 or at.epoch == self.options.epochs or self._finished():
            self.state.save()
            at.closed = True

    def _close_partial_epoch(self) -> None:
        """The fit ends within an epoch: the checkpoint keeps the position, the model gets a record of what was done."""
        frozen = self.state.capture()
        if not self.guard.requested:
            self._record()
            self._call("on_epoch_end")
        self.state.save(frozen)
        self.at.closed = True

    def _record(self) -> None:
        at = self.at
        train_loss = at.loss_sum / max(at.loss_count, 1)
        started = time.perf_counter()
        val_loss = self._validate()
        at.epoch_seconds += time.perf_counter() - started
        at.history.append(
            {
                "epoch": at.epoch,
                "step": at.step,
                "train_loss": train_loss,
                "val_loss": val_loss,
                "lr": self.context.learning_rate,
                "seconds": at.epoch_seconds,
            }
        )
        if val_loss is None:
            return
        if math.isfinite(val_loss) and (at.best_loss is None or val_loss < at.best_loss):
            at.best_loss, at.stale = val_loss, 0
            self.best = self.current_weights() if self.options.keep_best else None
        else:
            at.stale += 1

    # -- one step --------------------------------------------------------------------------------------------------

    def _step(self, step: Step, progress: float) -> None:
        at, options = self.at, self.options
        self._set_learning_rate(progress)
        self._seed(mix(options.seed, 3, at.step, self.fabric.global_rank))
        self.optimizer.zero_grad()
        total = self._zero()
        rounds = step.batches[self.fabric.global_rank]
        for number, indices in enumerate(rounds):
            final = number == len(rounds) - 1
            with self.fabric.no_backward_sync(self.wrapped, enabled=not final and self.fabric.world_size > 1):
                loss = self._batch_loss(indices)
                self.fabric.backward(loss * (self.fabric.world_size / step.n_meshes))
            total += loss.detach()
        norm = self._zero()
        if options.clip is not None:
            norm += self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=options.clip, error_if_nonfinite=False
            )
        loss_sum, largest_norm, at.elapsed = self._agree(total, norm)
        self._check_finite(loss_sum, "loss", rounds)
        if options.precision != "16-mixed":  # there the loss scaler skips such a step and lowers its scale
            self._check_finite(largest_norm, "norm of the gradient", rounds)
        self.torn = True
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.module)
        at.step += 1
        at.step_in_epoch += 1
        at.loss_sum += loss_sum
        at.loss_count += step.n_meshes
        self.torn = False
        self.context.step, self.context.step_in_epoch = at.step, at.step_in_epoch
        self.context.loss = loss_sum / step.n_meshes
        self._call("on_step_end")
        at.stop = at.stop or self.context.stopping

    def _seed(self, seed: int) -> None:
        """Seed the generators a step draws from (torch.manual_seed would spend a millisecond on absent devices)."""
        torch.default_generator.manual_seed(seed)
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _zero(self) -> Tensor:
        """A sum that stays on the device: reading a number makes the host wait for all that was queued there."""
        device = self.fabric.device
        return torch.zeros((), dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)

    def _batch_loss(self, indices: list[int] | None) -> Tensor:
        """Sum of the losses of the meshes of a batch; 0, with a graph, where there is none for this process."""
        batch = self._batch(self.job.training, indices or [0])
        batch = self.model.normalizers_.normalise(self.model.augment(batch))
        outputs = self.wrapped(Opaque(batch))
        loss = self.model.sample_losses(outputs, batch).sum()
        return loss if indices else loss * 0.0

    def _batch(self, store: SampleStore, indices: list[int]) -> Sample:
        batch = self.model.collate([store[i] for i in indices])
        return moved(batch, self.dtype, self.fabric.device)

    def _set_learning_rate(self, progress: float) -> None:
        options = self.options
        if options.max_steps is not None:
            progress = max(progress, self.at.step / options.max_steps)
        if options.time_budget is not None:
            progress = max(progress, self.at.elapsed / options.time_budget)
        factor = learning_rate_factor(options.schedule, options.warmup, progress)
        for group, peak in zip(self.raw.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.context.learning_rate = self.peaks[0] * factor

    def _check_finite(self, value: float, what: str, rounds: list[list[int] | None]) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"the {what} is {value} in epoch {self.at.epoch} (step {self.at.step}): training has diverged.\n"
                f"  The outputs, the most extreme first, on meshes of this step:\n{self._diagnosis(rounds)}\n"
                "  The model keeps the last good weights. Try a smaller learning_rate, clip=1.0, precision='32', "
                "and look for extreme values in the fields."
            )

    @torch.no_grad()
    def _diagnosis(self, rounds: list[list[int] | None]) -> str:
        """The outputs of the first batch that has something infinite, or of the last."""
        text = "    (this process had no mesh in the step)"
        for indices in filter(None, rounds):
            batch = self._batch(self.job.training, indices)
            outputs = self.model.network(self.module, self.model.normalizers_.normalise(batch))
            text = describe_targets(self.model, batch, outputs)
            if not all(bool(torch.isfinite(table).all()) for table in outputs.values()):
                break
        return text

    # -- validation ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _validate(self) -> float | None:
        """Mean loss of the validation meshes, with the average weights where they are used."""
        store = self.job.validation
        if store is None:
            return None
        self.wrapped.eval()
        batches = pack(range(len(store)), store.costs, self.job.budget)
        total, count = self._zero(), 0
        own = copy_weights(self.module)
        if self.average is not None:
            self.module.load_state_dict(self.average.average)
        try:
            for indices in batches[self.fabric.global_rank :: self.fabric.world_size]:
                batch = self.model.normalizers_.normalise(self._batch(store, indices))
                outputs = self.wrapped(Opaque(batch))
                total += self.model.sample_losses(outputs, batch).sum()
                count += len(indices)
        finally:
            if self.average is not None:
                self.module.load_state_dict(own)
            self.wrapped.train()
        if self.fabric.world_size > 1:
            total, count = self.fabric.all_gather(torch.stack([total, total.new_tensor(count)])).sum(0).tolist()
        return float(total) / count

    # -- what is kept ----------------------------------------------------------------------------------------------

    def current_weights(self) -> dict[str, Tensor]:
        """The averaged weights if there is an average, else the weights of the moment."""
        if self.average is None:
            return copy_weights(self.module)
        return {name: value.clone() for name, value in self.average.average.items()}

    def final_weights(self) -> dict[str, Tensor]:
        """The weights the model gets if the fit ends here."""
        return self.best if self.best is not None else self.current_weights()

    # -- several processes -----------------------------------------------------------------------------------------

    def _agree(self, loss: Tensor, norm: Tensor) -> tuple[float, float, float]:
        """(sum of losses, largest norm, longest time) over the processes; all learn of an interrupt or the time limit.

        The one place of a step where numbers are read from the device.
        """
        numbers = torch.stack([loss, norm])
        if self.fabric.world_size == 1:
            loss_sum, largest = numbers.tolist()
            elapsed = time.perf_counter() - self.clock
        else:
            elapsed = time.perf_counter() - self.clock
            mine = torch.cat([numbers, numbers.new_tensor([elapsed, float(self.guard.requested)])])
            table = self.fabric.all_gather(mine).cpu()
            loss_sum, (_, largest, elapsed, requested) = float(table[:, 0].sum()), table.amax(0).tolist()
            self.guard.requested = bool(requested)
        limit = self.options.time_budget
        self.at.stop = self.at.stop or self.guard.requested or (limit is not None and elapsed >= limit)
        return loss_sum, largest, elapsed

    def _call(self, name: str) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self.context)


def _callbacks(options: FitOptions) -> list[Callback]:
    from meshlearn.train.logs import CSVLog, TensorBoardLog
    from meshlearn.train.progress import ProgressBar

    callbacks = as_callbacks(options.callbacks)
    if options.progress:
        callbacks.append(ProgressBar())
    if options.log is not None:
        callbacks.append(CSVLog(options.log))
        if options.tensorboard:
            callbacks.append(TensorBoardLog(options.log))
    return callbacks
