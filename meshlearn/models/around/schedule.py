"""How much noise there is at which step of a refinement, and how a step goes back by one."""

from __future__ import annotations

import torch
from torch import Tensor


class NoiseSchedule:
    """Steps k = 0 … K of a diffusion y_k = sqrt(a_k) y + sqrt(1 - a_k) noise, from nearly none to nothing else.

    a_k is the product of 1 - b_i over i <= k, b_k = min_noise^((K - k) / K): b_0 = min_noise, b_K = 1. The network
    learns v = sqrt(a_k) noise - sqrt(1 - a_k) y (T. Salimans, J. Ho 2022, arXiv:2202.00512, appendix D).

    >>> from meshlearn.models.around.schedule import NoiseSchedule
    >>> NoiseSchedule(2, 1e-4).kept
    tensor([0.9999, 0.9899, 0.0000], dtype=torch.float64)
    """

    def __init__(self, steps: int, min_noise: float) -> None:
        exponents = torch.arange(steps, -1, -1, dtype=torch.float64) / steps
        self.added = min_noise**exponents
        self.kept = (1 - self.added).cumprod(0)
        self.steps = steps

    def noisy(self, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """y_k of rows, each with its own k in `level` (rows,)."""
        a = self._of(self.kept, level, clean)
        return a.sqrt() * clean + (1 - a).sqrt() * noise

    def velocity(self, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """v, what the network learns."""
        a = self._of(self.kept, level, clean)
        return a.sqrt() * noise - (1 - a).sqrt() * clean

    def cleaned(self, noisy: Tensor, velocity: Tensor, k: int) -> Tensor:
        """y, from y_k and v."""
        a = self.kept[k].to(noisy)
        return a.sqrt() * noisy - (1 - a).sqrt() * velocity

    def back(self, noisy: Tensor, clean: Tensor, noise: Tensor, k: int) -> Tensor:
        """A draw of y_(k-1), given y_k and an estimate of y (J. Ho, A. Jain, P. Abbeel 2020, arXiv:2006.11239, eq. 6
        and 7)."""
        a, before, added = (x.to(noisy) for x in (self.kept[k], self.kept[k - 1], self.added[k]))
        mean = before.sqrt() * added * clean + (1 - added).sqrt() * (1 - before) * noisy
        return mean / (1 - a) + ((1 - before) / (1 - a) * added).sqrt() * noise

    @staticmethod
    def _of(table: Tensor, level: Tensor, like: Tensor) -> Tensor:
        return table.to(like).index_select(0, level)[:, None]
