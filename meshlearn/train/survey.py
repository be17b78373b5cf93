"""A look at the meshes of a fit: which names of sets there are, and defects that a network would train on silently."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from meshlearn.mesh.cells import CELL_TYPES
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.quality import degenerate_cells
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.mesh.unique import row_keys, sorted_unique

SHOWN = 3
SAME = 1e-9  # points closer than this fraction of the extent are one, as in `check_mesh`


class FitWarning(UserWarning):
    """A fit that is probably not what was meant: meshes with defects, or nothing left to train."""


class Survey:
    """What was seen of the meshes of a fit.

    set_names  names of the point and cell sets that at least one of them has
    defects    a line per mesh with something wrong: "mesh 2 (a.vtu): 1 degenerate cell"
    """

    def __init__(self) -> None:
        self.set_names: set[str] = set()
        self.defects: list[str] = []
        self.n_meshes = 0

    def see(self, item: Mesh | Trajectory, where: str) -> None:
        """Add a mesh, or the first frame of a trajectory, whose coordinates are finite."""
        mesh = item.frame(0) if isinstance(item, Trajectory) else item
        self.n_meshes += 1
        self.set_names |= {*mesh.point_sets, *mesh.cell_sets}
        if found := find_defects(mesh):
            self.defects.append(f"{where}: {', '.join(found)}")

    def warn(self) -> None:
        """One FitWarning for all defects, if there are any."""
        if not self.defects:
            return
        more = len(self.defects) - SHOWN
        lines = [*self.defects[:SHOWN], *([f"… and {more} more"] if more > 0 else [])]
        warnings.warn(
            f"{len(self.defects)} of {self.n_meshes} meshes have defects, which the model will learn from:\n    "
            + "\n    ".join(lines)
            + "\n  ml.check_mesh(mesh), or `meshlearn check` on the files, says where they are.",
            FitWarning,
            stacklevel=2,
        )


def find_defects(mesh: Mesh) -> list[str]:
    """Defects that change what a model sees without an error, in words; [] for a sound mesh. A quick `check_mesh`.

    >>> from meshlearn.train.survey import find_defects
    >>> find_defects(ml.Mesh([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [9.0, 9.0]], {"triangle": [[0, 1, 2]]}))
    ['1 cell without length, area or volume', '1 point that belongs to no cell']
    """
    counts: list[tuple[Any, str, str]] = []
    domain = {kind: mesh.cells[kind] for kind in mesh.domain_types}
    if mesh.cells and not any(len(nodes) for nodes in domain.values()):
        return [f"no cells, though it names {', '.join(mesh.cells)}"]
    if domain and mesh.cell_dim <= mesh.dim and set(domain) <= set(CELL_TYPES):
        flat = degenerate_cells(Mesh(mesh.points.detach(), domain))
        n_flat = sum(int(mask.sum()) for mask in flat.values())
        counts.append((n_flat, "cell without length, area or volume", "cells without length, area or volume"))
    counts.append((_coincident(mesh), "point in the place of another", "points in the place of another"))
    if domain and "polyhedron" not in domain:  # its rows mix counts and point numbers
        used = torch.zeros(mesh.n_points, dtype=torch.bool, device=mesh.device)
        for nodes in mesh.cells.values():
            used[nodes[nodes >= 0]] = True
        unused = mesh.n_points - int(used.sum())
        counts.append((unused, "point that belongs to no cell", "points that belong to no cell"))
    return [f"{n} {one if n == 1 else many}" for n, one, many in counts if n]


def _coincident(mesh: Mesh) -> int:
    """How many points lie where an earlier one lies."""
    x = mesh.points.detach().double()
    low = x.amin(0)
    extent = float((x.amax(0) - low).max()) or 1.0
    places = ((x - low) / (SAME * extent)).round().long()
    return len(x) - len(sorted_unique(row_keys(places, int(2 / SAME))))
