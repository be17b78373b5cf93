"""Rotations (proper or not) followed by a translation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.mesh import Mesh


@dataclass(frozen=True)
class RigidMotion:
    """x -> rotation @ x + shift. Vectors turn with the rotation, scalars stay.

    >>> quarter = RigidMotion(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.tensor([1.0, 0.0]))
    >>> quarter.points(torch.tensor([[1.0, 0.0]]))
    tensor([[1., 1.]])
    """

    rotation: Float[Tensor, "dim dim"]
    shift: Float[Tensor, " dim"]

    @classmethod
    def random(cls, dim: int, seed: int = 0, shift: float = 1.0, dtype: torch.dtype = torch.float64) -> RigidMotion:
        """A proper rotation, uniform over all, and a shift drawn from a normal distribution with this deviation."""
        generator = torch.Generator().manual_seed(seed)
        q, r = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
        q = q * r.diagonal().sign()
        q[:, 0] *= torch.linalg.det(q).sign()
        return cls(q.to(dtype), shift * torch.randn(dim, generator=generator, dtype=dtype))

    def points(self, x: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Moved points, in the dtype of x."""
        return x @ self.rotation.to(x).T + self.shift.to(x)

    def vectors(self, v: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
        """Turned vectors (last axis), in the dtype of v."""
        return v @ self.rotation.to(v).T

    def mesh(self, mesh: Mesh, vectors: Iterable[str] = ()) -> Mesh:
        """The moved mesh; the fields named in `vectors` turn with it, all others stay."""
        names = set(vectors)
        moved = mesh.replace(points=self.points(mesh.points))
        point_data = {k: self.vectors(v) if k in names else v for k, v in mesh.point_data.items()}
        cell_data = {
            k: {kind: self.vectors(v) for kind, v in by_type.items()} if k in names else by_type
            for k, by_type in mesh.cell_data.items()
        }
        global_data = {k: self.vectors(v) if k in names else v for k, v in mesh.global_data.items()}
        return moved.replace(point_data=point_data, cell_data=cell_data, global_data=global_data)
