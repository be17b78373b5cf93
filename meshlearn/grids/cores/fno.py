"""Fourier neural operators, from the package neuraloperator (`pip install "meshlearn[grids]"`).

Z. Li et al. 2021, "Fourier neural operator for parametric partial differential equations", arXiv:2010.08895; with
weights in Tucker form ("tfno"): J. Kossaifi et al. 2023, arXiv:2310.00120. Along axes that are not periodic the input
is continued by its last values over a part of the box, and the output cut back: the Fourier series then need not close
a jump. That part is the same length on every resolution, so a trained model may be used on another grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from meshlearn.errors import MissingDependencyError, ParameterError
from meshlearn.grids.arguments import check_share, check_whole
from meshlearn.grids.cores.padding import crop, pad
from meshlearn.grids.cores.real_weights import RealWeights


class FourierCore(nn.Module):
    """FNO on grids (batch, n_in, *shape) -> (batch, n_out, *shape) of any shape.

    modes    Fourier modes kept along every axis, or one number per axis
    hidden   channels
    layers   Fourier layers
    padding  share of the box by which axes that are not periodic are continued
    rank     None: dense weights; else the share of their number that a Tucker decomposition has
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 32,
        modes: Any = 12,
        layers: Any = 4,
        padding: Any = 0.25,
        rank: Any = None,
    ) -> None:
        super().__init__()
        self.periodic, self.padding = tuple(periodic), check_share("padding", padding, 0.0, 2.0)
        hidden, layers = check_whole("hidden", hidden, 1), check_whole("layers", layers, 1)
        if rank is not None:
            rank = check_share("rank", rank, 1e-6, 1.0)
        kept = tuple(modes) if isinstance(modes, (list, tuple)) else (modes,) * len(self.periodic)
        kept = tuple(check_whole("modes", n, 1) for n in kept)
        if len(kept) != len(self.periodic):
            raise ParameterError(f"modes={modes!r}: one number, or one for each of the {len(periodic)} axes.")
        options: dict[str, Any] = {} if rank is None else {"factorization": "tucker", "rank": rank}
        fno = _fno()
        self.network = RealWeights(
            fno(kept, n_in, n_out, hidden, n_layers=layers, positional_embedding=None, **options)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        shape = x.shape[2:]
        for axis, wraps in enumerate(self.periodic):
            if not wraps:  # to (n - 1) (1 + padding) intervals: the length of the box does not depend on n
                x = pad(x, axis, 0, max(round((shape[axis] - 1) * (1 + self.padding)) - shape[axis], 0), False)
        return crop(self.network(x), shape)


def _fno() -> Any:
    try:
        from neuralop.models import FNO
    except ImportError as error:
        raise MissingDependencyError(
            "Fourier neural operators come from the package neuraloperator, which is not installed: "
            'pip install "meshlearn[grids]".\n  core="unet" and core="deeponet" work without it.'
        ) from error
    return FNO
