"""MgNO: layers that are multigrid cycles whose smoothers and transfers are learned.

J. He, X. Liu, J. Xu 2024, "MgNO: efficient parameterization of linear operators via multigrid", arXiv:2310.19809:
u <- act(W u + B u), W a V-cycle of convolutions, B a pointwise map; nothing is lifted, and one pointwise map ends it.
Theirs for rough and multiscale Darcy flow has hidden=24, layers=4 and six levels with iterations=(1, 1, 1, 1, 1, 2).

Departures: 1-D and 3-D; grids of any number of nodes (a coarser one has every second, and what is prolonged is cut to
the finer one), where the published code needs its own sizes; padding by boundary condition in every convolution, and
in the transposed ones, which there are padded by zeros even along periodic axes. Their variant for flows (a LayerNorm
after each correction, no B) is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.padding import Convolution, Doubling, check_periods, crop
from meshlearn.train.option_checks import flag


class Smoothing(nn.Module):
    """u <- u + S (f - A u); the first of all, which has no u yet: u <- S f."""

    def __init__(self, n_in: int, hidden: int, periodic: Sequence[bool], first: bool = False) -> None:
        super().__init__()
        self.smoother = Convolution(n_in, hidden, periodic, bias=False)
        self.operator = None if first else Convolution(hidden, n_in, periodic, bias=False)

    def forward(self, f: Tensor, u: Tensor | None) -> Tensor:
        """(batch, n_in, *shape), (batch, hidden, *shape) -> (batch, hidden, *shape)."""
        if self.operator is None or u is None:
            return self.smoother(f)
        return u + self.smoother(f - self.operator(u))


class MultigridCycle(nn.Module):
    """A linear map f -> u, one V-cycle: smoothings and restrictions down, prolonged corrections and smoothings up.

    iterations  (before, after) for every level from the finest: smoothings on the way down, and up
    residual    restrict f - A u instead of f
    """

    def __init__(
        self,
        n_in: int,
        hidden: int,
        periodic: Sequence[bool],
        iterations: Sequence[tuple[int, int]],
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        for level, (before, after) in enumerate(iterations):
            own = [Smoothing(n_in, hidden, periodic, first=level == k == 0) for k in range(before)]
            self.before.append(nn.ModuleList(own))
            self.after.append(nn.ModuleList(Smoothing(n_in, hidden, periodic) for _ in range(after)))
        steps = range(len(iterations) - 1)
        self.restrict_f = nn.ModuleList(Convolution(n_in, n_in, periodic, stride=2, bias=False) for _ in steps)
        self.restrict_u = nn.ModuleList(Convolution(hidden, hidden, periodic, stride=2, bias=False) for _ in steps)
        self.prolong = nn.ModuleList(Doubling(hidden, hidden, periodic, bias=False) for _ in steps)
        self.operators = nn.ModuleList(
            Convolution(hidden, n_in, periodic, bias=False) for _ in (steps if residual else ())
        )

    def forward(self, f: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, hidden, *shape)."""
        u: Any = None
        seen: list[tuple[Tensor, Tensor]] = []
        for level, smoothings in enumerate(self.before):
            if level:
                rest = f - self.operators[level - 1](u) if len(self.operators) else f
                f, u = self.restrict_f[level - 1](rest), self.restrict_u[level - 1](u)
            for smoothing in smoothings:  # type: ignore[attr-defined]
                u = smoothing(f, u)
            seen.append((f, u))
        for level in range(len(seen) - 1, -1, -1):
            f, own = seen[level]
            if level < len(seen) - 1:
                u = own + crop(self.prolong[level](u), f.shape[2:])
            for smoothing in self.after[level]:  # type: ignore[attr-defined]
                u = smoothing(f, u)
        return u


class MultigridCore(nn.Module):
    """MgNO on grids (batch, n_in, *shape) -> (batch, n_out, *shape).

    hidden      channels
    layers      cycles, one after the other
    iterations  smoothings of every level from the finest to the coarsest: numbers of those on the way down, or pairs
                (before, after); the grid is halved once less than there are
    residual    coarser levels see what is left to correct, f - A u, instead of f

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of 2^(levels - 1).
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 24,
        layers: Any = 4,
        iterations: Any = (1, 1, 1, 1, 2),
        residual: Any = False,
    ) -> None:
        super().__init__()
        hidden, layers = check_whole("hidden", hidden, 1), check_whole("layers", layers, 1)
        numbers, residual = _pairs(iterations), flag("residual", residual)
        self.periodic, self.factor = tuple(periodic), 2 ** (len(numbers) - 1)
        widths = [n_in] + [hidden] * (layers - 1)
        self.cycles = nn.ModuleList(MultigridCycle(n, hidden, periodic, numbers, residual) for n in widths)
        self.pointwise = nn.ModuleList(Convolution(n, hidden, periodic, size=1) for n in widths)
        self.project = Convolution(hidden, n_out, periodic, size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        check_periods(x, self.factor, self.periodic, "mgno")
        for cycle, pointwise in zip(self.cycles, self.pointwise, strict=True):
            x = functional.gelu(cycle(x) + pointwise(x))
        return self.project(x)


def _pairs(iterations: Any) -> list[tuple[int, int]]:
    if not isinstance(iterations, (list, tuple)) or not iterations:
        raise ParameterError(
            f"iterations={iterations!r}: a list with a number of smoothings for every level, or with pairs (before, "
            "after), is expected, such as [1, 1, 1, 2]."
        )
    pairs = []
    for level, entry in enumerate(iterations):
        both = entry if isinstance(entry, (list, tuple)) and len(entry) == 2 else (entry, 0)
        before, after = (check_whole("each entry of iterations", n, 0) for n in both)
        if before + (after if level else 0) < 1:
            raise ParameterError(
                f"iterations={iterations!r}: level {level} has no smoothing{'' if level else ' on the way down'}; one "
                "at least is expected."
            )
        pairs.append((before, after))
    return pairs
