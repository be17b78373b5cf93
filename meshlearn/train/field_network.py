"""Bases of networks that give fields: losses by name, the reported error among them, and steps in time as changes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.increments import from_changes, to_changes
from meshlearn.train.loss import POINTWISE
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.relative_loss import relative_losses

LOSSES = ("relative", *POINTWISE)


def check_loss(loss: Any) -> None:
    """Raise ParameterError for anything but the name of a loss.

    >>> check_loss("relative")
    """
    if not isinstance(loss, str) or loss not in LOSSES:
        hint = did_you_mean(loss, LOSSES) if isinstance(loss, str) else "."
        raise ParameterError(f"loss={loss!r} is not known{hint}\n  Choose one of {', '.join(map(repr, LOSSES))}.")


class RelativeLossEstimator(NetworkEstimator):
    """A network whose loss may be what `score` reports: `loss` is "relative", "mse", "mae" or "huber".

    Subclasses call `check_loss` where they check their arguments.
    """

    loss: str = "relative"

    def sample_losses(self, outputs: dict[str, Tensor], batch: Any) -> Tensor:
        """(n_meshes,) loss of every mesh."""
        if self.loss != "relative":
            return super().sample_losses(outputs, batch)
        return relative_losses(outputs, batch, self.fields_, self.normalizers_)


class FieldNetworkEstimator(RelativeLossEstimator):
    """A network that learns fields, and of those that are stepped in time the change from frame to frame."""

    def targets(self, source: Mesh, target: Mesh) -> dict[str, Tensor]:
        """The outputs on `target`; for outputs that are also inputs, the change since `source`."""
        return to_changes(self.fields_, source, super().targets(source, target))

    def decode(self, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `targets`."""
        return from_changes(self.fields_, mesh, tables)
