"""The skin of a mesh, cut by its tags into faces, edges and corners that another mesh's skin has as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.cells import cell_dim, cell_type
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.closest import ClosestPlace

Label = tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Skin:
    """What bounds a solid or a plate, or a surface itself.

    points  (n_points, dim) float64, all points of the mesh
    facets  {type: (n, k) int64}: boundary facets of a solid or plate; the cells of a surface
    nodes   (m,) int64, ascending: points on the facets
    labels  (m, n_tags) bool: the tags each of these has; the last one of a surface is its boundary
    """

    points: Tensor
    facets: dict[str, Tensor]
    nodes: Tensor
    labels: np.ndarray

    @cached_property
    def parts(self) -> dict[Label, np.ndarray]:
        """{label: rows of `nodes` with exactly these tags}."""
        kinds, inverse = np.unique(self.labels, axis=0, return_inverse=True)
        inverse = inverse.reshape(-1)
        return {tuple(bool(b) for b in kind): np.flatnonzero(inverse == k) for k, kind in enumerate(kinds)}

    def having(self, label: Label) -> np.ndarray:
        """(m,) bool: points with all tags of the label."""
        return np.asarray(self.labels[:, np.array(label, dtype=bool)].all(1))

    @cached_property
    def _places(self) -> dict[Label, ClosestPlace]:
        return {}

    def place(self, label: Label) -> ClosestPlace:
        """Closest points on the part with a label: on its facets, else on its edges, else among its points."""
        if label not in self._places:
            self._places[label] = ClosestPlace(self.points, self._elements(label))
        return self._places[label]

    def _elements(self, label: Label) -> dict[str, Tensor]:
        chosen = torch.zeros(len(self.points), dtype=torch.bool)
        chosen[self.nodes[torch.from_numpy(self.having(label))]] = True
        facets = {kind: nodes[chosen[nodes].all(1)] for kind, nodes in self.facets.items()}
        facets = {kind: nodes for kind, nodes in facets.items() if len(nodes)}
        if facets:
            return facets
        edges = [
            nodes[:, list(pair)]
            for kind, nodes in self.facets.items()
            if cell_dim(kind) == 2
            for pair in cell_type(kind).links
        ]
        lines = torch.cat(edges) if edges else torch.zeros(0, 2, dtype=torch.int64)
        lines = lines[chosen[lines].all(1)]
        return {"line": lines} if len(lines) else {"vertex": chosen.nonzero()}


def skin_of(mesh: Mesh, tags: Sequence[str]) -> Skin:
    """The skin of a plate, a solid or a surface in 3-D (float64, CPU), labelled by tags that the mesh has."""
    boundary = dict(mesh.topology.boundary_facets)
    surface = mesh.cell_dim < mesh.dim
    facets = {kind: mesh.cells[kind] for kind in mesh.domain_types} if surface else boundary
    on = torch.zeros(mesh.n_points, dtype=torch.bool)
    for nodes in facets.values():
        on[nodes.reshape(-1)] = True
    columns = []
    for tag in tags:
        column = torch.zeros(mesh.n_points, dtype=torch.bool)
        column[tagged_points(mesh, tag)] = True
        columns.append(column)
    if surface:
        columns.append(mesh.topology.is_boundary)
    nodes = on.nonzero().squeeze(1)
    labels = torch.stack(columns, 1)[nodes].numpy() if columns else np.zeros((len(nodes), 0), dtype=bool)
    return Skin(mesh.points, facets, nodes, labels)


def skin_tags(mesh: Mesh, reference: Mesh) -> list[str]:
    """Tags that both meshes have: cell sets of facets, and of cells on surfaces in 3-D; sorted.

    Tags of the whole skin tell nothing and are left out.
    """
    return sorted(_informative(mesh) & _informative(reference))


def _informative(mesh: Mesh) -> set[str]:
    dims = {mesh.cell_dim - 1} | ({mesh.cell_dim} if mesh.cell_dim < mesh.dim else set())
    found = set()
    on = mesh.topology.is_boundary if mesh.cell_dim == mesh.dim else mesh.topology.is_used
    for name, per_type in mesh.cell_sets.items():
        if any(len(rows) and cell_dim(kind) in dims for kind, rows in per_type.items()):
            points = tagged_points(mesh, name)
            if bool(on[points].any()) and int(on[points].sum()) < int(on.sum()):
                found.add(name)
    return found
