"""Meshes that movers accept, in float64 with positive cells; others are refused with what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError, TopologyError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.safeguard import SIMPLICES


def check_movable(mesh: Any) -> Mesh:
    """The mesh, on the CPU in float64. Raises MeshError, TopologyError or ParameterError where it cannot be moved."""
    if not isinstance(mesh, Mesh):
        raise ParameterError(f"move needs a Mesh, got {type(mesh).__name__}.")
    check_simplices(mesh)
    where = of_mesh(mesh.source)
    mesh = mesh.cpu().replace(points=mesh.points.detach().cpu().double())
    if not bool(torch.isfinite(mesh.points).all()):
        bad = int((~torch.isfinite(mesh.points)).any(1).sum())
        raise MeshError(f"{bad} points of the mesh are not finite{where}: repair them first.")
    unused = int((~mesh.topology.is_used).sum())
    if unused:
        raise MeshError(
            f"{unused} points belong to no cell{where}: they cannot be moved.\n"
            "  mesh.without_unused_points() drops them."
        )
    _check_cells(mesh, where)
    if mesh.topology.n_components > 1:
        raise TopologyError(
            f"the mesh has {mesh.topology.n_components} parts that are not connected{where}: the density cannot be "
            "evened out between them.\n  Move each part as a mesh of its own: mesh.topology.components numbers them."
        )
    shared = int(sum((block.count > 2).sum() for block in mesh.topology.facets.values()))
    if shared:
        raise TopologyError(
            f"{shared} facets of the mesh belong to more than two cells{where}: cells lie on each other.\n"
            "  ml.check_mesh(mesh) lists repeated cells and places that are not manifold."
        )
    return mesh


def check_simplices(mesh: Mesh, what: str = "movers need") -> None:
    """Raises TopologyError unless the cells are the first-order simplices of the mesh's own dimension."""
    kinds, where = mesh.domain_types, of_mesh(mesh.source)
    if kinds != [SIMPLICES[mesh.dim]]:
        advice = "remove the cells of other kinds."
        if any(kind in ("quad", "hexahedron", "wedge", "pyramid") for kind in kinds):
            advice = (
                "split them into simplices first: with the mesh generator, or ml.shapes.square(..., cells='triangle'). "
                "Moved points can be put on the original mesh, mesh.replace(points=moved.points), if its cells stay "
                "valid there (mesh.n_inverted())."
            )
        elif mesh.cell_dim < mesh.dim:
            advice = "surfaces and curves in a higher dimension cannot be moved; drop a constant coordinate."
        elif kinds and kinds[0][-1].isdigit():
            advice = "cells of second order are not moved: keep their corners only, as first-order cells."
        raise TopologyError(
            f"{what} a mesh of {SIMPLICES[mesh.dim]} cells in {mesh.dim}-D; this one has "
            f"{mesh.cell_counts or 'none'}{where}.\n  {advice}"
        )


def _check_cells(mesh: Mesh, where: str) -> None:
    (kind,) = mesh.domain_types
    x = mesh.points[mesh.cells[kind]]
    signed = torch.linalg.det(x[:, 1:] - x[:, :1])
    flat = signed.abs() <= 1e-14 * signed.abs().max()
    if bool(flat.any()):
        raise MeshError(
            f"{int(flat.sum())} of {len(signed)} cells have no measure, the first is number {int(flat.nonzero()[0])}"
            f"{where}: a mover keeps ratios of measures.\n  ml.check_mesh(mesh) lists the defects."
        )
    negative = int((signed < 0).sum())
    if negative not in (0, len(signed)):
        fewer = (signed < 0) if 2 * negative <= len(signed) else (signed > 0)
        raise MeshError(
            f"the mesh is tangled before it is moved: {int(fewer.sum())} of {len(signed)} cells are inverted, the "
            f"first is number {int(fewer.nonzero()[0])}{where}.\n  Wrongly numbered cells are turned by "
            "mesh.oriented(); a mesh that folds over itself has to be untangled or made anew."
        )


def pinned_mask(mesh: Mesh, pinned: Any) -> np.ndarray:
    """(n_points,) bool from None, names of point or cell sets, a mask, or point numbers."""
    mask = np.zeros(mesh.n_points, dtype=bool)
    if pinned is None:
        return mask
    if isinstance(pinned, str):
        pinned = [pinned]
    if isinstance(pinned, (list, tuple)) and pinned and all(isinstance(name, str) for name in pinned):
        for name in pinned:
            mask[tagged_points(mesh, name).numpy()] = True
        return mask
    chosen = np.asarray(pinned.cpu() if isinstance(pinned, Tensor) else pinned)
    if chosen.dtype == bool and chosen.shape == mask.shape:
        return chosen.copy()
    if chosen.ndim == 1 and (chosen.dtype.kind in "iu" or not len(chosen)):
        if ((chosen < 0) | (chosen >= mesh.n_points)).any():
            raise ParameterError(
                f"pinned has point numbers from {chosen.min()} to {chosen.max()}; the mesh has {mesh.n_points} points."
            )
        mask[chosen.astype(int)] = True
        return mask
    raise ParameterError(
        f"pinned is {type(pinned).__name__} with shape {chosen.shape} and dtype {chosen.dtype}; expected names of "
        f"point or cell sets, a mask ({mesh.n_points},), or point numbers (k,)."
    )
