"""How points follow nodes, as it was learned: a kernel, a correction, and what each was worth on motions held out."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.models.giorom.learned_reconstruction.kernel import LearnedKernel
from meshlearn.models.giorom.learned_reconstruction.residual import LearnedResidual
from meshlearn.train.network import under


class LearnedReconstruction:
    """What `GIOROM(reconstruction="learned")` has learned of how points follow nodes.

    kernel, residual              the networks; kept also where they are not in use
    kernel_share, residual_share  1.0 where it is in use, 0.0 where it did not lower the error of motions held out
    scores                        errors of points that follow true nodes, on training motions that were held out, root
                                  mean squares over the largest displacement: {"least_squares", "kernel", "residual"}
                                  ("residual" on top of the kernel, where that is in use); empty where every point is a
                                  node, and there was nothing to learn
    """

    def __init__(self) -> None:
        self.kernel, self.residual = LearnedKernel(), LearnedResidual()
        self.kernel_share = self.residual_share = 0.0
        self.scores: dict[str, float] = {}

    @property
    def kernel_in_use(self) -> LearnedKernel | None:
        """The kernel, or None where least squares are better without."""
        return self.kernel if self.kernel_share else None

    @property
    def residual_in_use(self) -> LearnedResidual | None:
        """The correction, or None where points are better off without."""
        return self.residual if self.residual_share else None

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, and what is in use."""
        tensors = {f"kernel.{name}": value for name, value in self.kernel.state_dict().items()}
        tensors |= {f"residual.{name}": value for name, value in self.residual.state_dict().items()}
        shares = {"kernel_share": self.kernel_share, "residual_share": self.residual_share}
        return tensors, {**shares, "scores": self.scores}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.kernel.load_state_dict(under("kernel.", tensors))
        self.residual.load_state_dict(under("residual.", tensors))
        self.kernel_share, self.residual_share = float(meta["kernel_share"]), float(meta["residual_share"])
        self.scores = {str(name): float(value) for name, value in meta["scores"].items()}

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in self.scores.items())
        parts = f"kernel_share={self.kernel_share:g}, residual_share={self.residual_share:g}"
        return f"LearnedReconstruction({parts}{'; ' if scores else ''}{scores})"
