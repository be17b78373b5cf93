"""The latents of a field: a small cloud of poses, each with a code and a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh.mesh import Mesh

CONTEXT, WINDOW, FRAME = "context", "window", "frame"


@dataclass(frozen=True)
class Latents:
    """Latents of a batch of meshes, as many for each, in the units of a network (lengths divided by its length unit).

    position  (n_meshes, n_latents, dim)
    context   (n_meshes, n_latents, latent_dim) codes
    window    (n_meshes, n_latents) logarithm of the width of each latent's window
    frame     (n_meshes, n_latents, dim, dim) rotations whose columns are the axes of each latent, or None
    """

    position: Float[Tensor, "b m dim"]
    context: Float[Tensor, "b m c"]
    window: Float[Tensor, "b m"]
    frame: Float[Tensor, "b m dim dim"] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n_meshes, n_latents)."""
        return self.position.shape[0], self.position.shape[1]

    def replace(self, **changes: Any) -> Latents:
        """A copy with other values of some fields."""
        return replace(self, **changes)

    def detach(self) -> Latents:
        """A copy without gradients."""
        frame = None if self.frame is None else self.frame.detach()
        return Latents(self.position.detach(), self.context.detach(), self.window.detach(), frame)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Latents:
        """A copy for a network of `dtype` on a device: codes and windows in it, positions and axes as `precise`."""
        frame = None if self.frame is None else precise(self.frame, device, dtype)
        context, window = self.context.to(device, dtype), self.window.to(device, dtype)
        return Latents(precise(self.position, device, dtype), context, window, frame)

    def moved(self, position: Tensor | None, turn: Tensor | None, window: Tensor | None) -> Latents:
        """The latents after a step along the manifold of poses.

        position  (n_meshes, n_latents, dim) is added; turn (n_meshes, n_latents, 1 or 3) are angles about the axes of
                  each frame, R <- R exp([turn]); window (n_meshes, n_latents) is added to the logarithm
        """
        changes: dict[str, Tensor] = {}
        if position is not None:
            changes["position"] = self.position + position
        if turn is not None and self.frame is not None:
            changes["frame"] = self.frame @ rotation(turn.to(self.frame))
        if window is not None:
            changes["window"] = self.window + window
        return self.replace(**changes)

    def to_mesh(self, length: float, center: Float[Tensor, " dim"]) -> Mesh:
        """The latents of the first mesh as a point cloud in physical units, in the dtype of `center`.

        point_data: context (n_latents, latent_dim), window (n_latents,), frame (n_latents, dim, dim) where there is one
        """
        like = center
        fields = {CONTEXT: self.context[0].to(like), WINDOW: length * self.window[0].to(like).exp()}
        if self.frame is not None:
            fields[FRAME] = self.frame[0].to(like)
        return Mesh(center + length * self.position[0].to(like), point_data=fields)

    @classmethod
    def from_mesh(cls, mesh: Mesh, length: float, center: Tensor, context: int, oriented: bool) -> Latents:
        """The inverse of `to_mesh`, in the dtype of the mesh; FieldError for a mesh without such latents."""
        shapes = {CONTEXT: (mesh.n_points, context), WINDOW: (mesh.n_points,)}
        if oriented:
            shapes[FRAME] = (mesh.n_points, mesh.dim, mesh.dim)
        for name, shape in shapes.items():
            seen = tuple(mesh.point_data[name].shape) if name in mesh.point_data else None
            if seen != shape:
                raise FieldError(
                    f"latents are a point cloud with the point field {name!r} of shape {shape}; this mesh has "
                    f"{'none' if seen is None else f'one of shape {seen}'}.\n  Latents come from fit_latents(mesh)."
                )
        data = mesh.point_data
        if not bool((data[WINDOW] > 0).all()):
            raise FieldError("the point field 'window' of latents must be positive: it is the width of a Gaussian.")
        for name in shapes:
            if not bool(data[name].isfinite().all()):
                raise FieldError(f"the point field {name!r} of latents has NaN or infinite values.")
        if oriented and float((data[FRAME].mT @ data[FRAME] - torch.eye(mesh.dim).to(data[FRAME])).abs().max()) > 1e-2:
            raise FieldError(
                "the point field 'frame' of latents holds matrices that are no rotations: their columns are the axes "
                "of each latent, of length 1 and at right angles.\n  To turn latents, multiply frames from the left: "
                "rotation @ frame."
            )
        if not mesh.n_points:
            raise MeshError("these latents are empty: a field needs at least one.")
        return cls(
            ((mesh.points - center) / length)[None],
            data[CONTEXT][None],
            (data[WINDOW] / length).log()[None],
            data[FRAME][None] if oriented else None,
        )


def precise(x: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Points or poses on the device of a network of `dtype`: float64 stays, since differences are taken of them that
    then do not depend on where everything is, but on devices that do not have it (MPS)."""
    keep = x.dtype == torch.float64 and torch.device(device).type != "mps"
    return x.to(device) if keep else x.to(device, dtype)


def rotation(turn: Float[Tensor, "*n k"]) -> Float[Tensor, "*n dim dim"]:
    """exp of the skew matrix of `turn`: k = 1 angle in the plane, or k = 3, a rotation vector in space.

    Rodrigues' formula with sin(t)/t and (1 - cos t)/t^2 as functions of t^2 that are smooth at zero, so that second
    derivatives are right there.
    """
    if turn.shape[-1] == 1:
        c, s = turn[..., 0].cos(), turn[..., 0].sin()
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    x, y, z = turn.unbind(-1)
    o = torch.zeros_like(x)
    skew = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*turn.shape[:-1], 3, 3)
    squared = turn.square().sum(-1)[..., None, None]
    small = squared < 1e-4
    safe = torch.where(small, torch.ones_like(squared), squared)
    t = safe.sqrt()
    first = torch.where(small, 1 - squared / 6 + squared.square() / 120, t.sin() / t)
    second = torch.where(small, 0.5 - squared / 24 + squared.square() / 720, (1 - t.cos()) / safe)
    return torch.eye(3, dtype=turn.dtype, device=turn.device) + first * skew + second * (skew @ skew)
