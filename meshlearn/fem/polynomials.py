"""Functions of the reference cell as polynomials in torch, for derivatives with respect to the place itself."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.reference import Block

HIGHEST = 8  # degree in each coordinate


class Polynomials:
    """The parts ("value", "grad", …) of a block's functions, {part: (n_functions, width, degree + 1, …)} in powers of
    the coordinates: found by interpolation in a grid of Chebyshev points, which is exact for polynomials.

    >>> from meshlearn.fem.reference import blocks
    >>> block = blocks(ml.fem.elements.make_element("P1", "triangle"))[0]
    >>> Polynomials(block).at(torch.tensor([[0.25, 0.5]], dtype=torch.float64), "value")[..., 0, 0]
    tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64)
    """

    def __init__(self, block: Block) -> None:
        dim = block.element.refdom.dim()
        probes = np.random.default_rng(0).random((dim, 20))
        wanted = block.tables(probes, torch.float64)
        for degree in range(HIGHEST + 1):
            self.degree = degree
            self.coefficients = _interpolated(block, degree, dim)
            errors = [
                float((self.at(torch.from_numpy(probes.T.copy()), part) - table).abs().max() / (1 + table.abs().max()))
                for part, table in wanted.items()
            ]
            if max(errors) < 1e-11:
                return
        raise ParameterError(f"the functions of {type(block.element).__name__} are no polynomials of degree {HIGHEST}.")

    def at(self, local: Float[Tensor, "n dim"], part: str) -> Float[Tensor, "n_functions n width"]:
        """A part at places of the reference cell, differentiable in the places."""
        powers = [torch.ones_like(local)]
        for _ in range(self.degree):
            powers.append(powers[-1] * local)
        stacked = torch.stack(powers, dim=-1)  # (n, dim, degree + 1)
        made = self.coefficients[part].to(local)
        made = torch.einsum("iw...a,na->inw...", made, stacked[:, -1])
        for k in range(local.shape[1] - 2, -1, -1):
            made = torch.einsum("inw...a,na->inw...", made, stacked[:, k])
        return made


def _interpolated(block: Block, degree: int, dim: int) -> dict[str, Tensor]:
    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    inverse = torch.from_numpy(np.linalg.inv(np.vander(nodes, increasing=True)))
    grid = np.stack([x.reshape(-1) for x in np.meshgrid(*[nodes] * dim, indexing="ij")])
    found = {}
    for part, table in block.tables(grid, torch.float64).items():
        made = table.transpose(1, 2).reshape(len(table), table.shape[2], *[degree + 1] * dim)
        for _ in range(dim):
            made = torch.tensordot(made, inverse, ([2], [1]))  # the axes come round in their order
        found[part] = made
    return found
