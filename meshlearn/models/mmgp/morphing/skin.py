"""The skin of a mesh, cut by its tags into faces, edges and corners that another mesh's skin has as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.closest import ClosestPlace
from meshlearn.models.mmgp.morphing.extent import Elements, Extent, edges_of, extent_of, extent_of_points

Label = tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Skin:
    """What bounds a solid or a plate, or a surface itself.

    points   (n_points, dim) float64, all points of the mesh
    facets   {type: (n, k) int64}: boundary facets of a solid or plate; the cells of a surface
    edges    {type: (m, k) int64}: sides of two-dimensional facets, each once
    nodes    (m,) int64, ascending: points on the facets
    labels   (m, n_tags) bool: the tags each of these has; the last one of a surface is its boundary
    extents  n_tags: the facets and edges that carry each tag
    """

    points: Tensor
    facets: Elements
    edges: Elements
    nodes: Tensor
    labels: np.ndarray
    extents: tuple[Extent, ...]

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
        """Closest points on the part with a label: facets if some carry all its tags, else edges, else points.

        No tags are carried by the whole skin. A curve is made of the edges that all tags have, such as those between
        a facet of one tag and a facet of another.
        """
        if label not in self._places:
            self._places[label] = ClosestPlace(self.points, self._elements(label))
        return self._places[label]

    def _elements(self, label: Label) -> Elements:
        extents = [extent for extent, has in zip(self.extents, label, strict=True) if has]
        facets = _carrying(self.facets, [extent.facets for extent in extents])
        edges = {} if facets else _carrying(self.edges, [extent.edges for extent in extents])
        return facets or edges or {"vertex": self.nodes[torch.from_numpy(self.having(label))][:, None]}


def _carrying(elements: Elements, tagged: list[Elements]) -> Elements:
    found = {}
    for kind, nodes in elements.items():
        carries = torch.ones(len(nodes), dtype=torch.bool)
        for tag in tagged:
            carries &= tag[kind]
        found[kind] = nodes[carries]
    return {kind: nodes for kind, nodes in found.items() if len(nodes)}


def skin_of(mesh: Mesh, tags: Sequence[str]) -> Skin:
    """The skin of a plate, a solid or a surface in 3-D (float64, CPU), labelled by tags that the mesh has."""
    boundary = dict(mesh.topology.boundary_facets)
    surface = mesh.cell_dim < mesh.dim
    facets = {kind: mesh.cells[kind] for kind in mesh.domain_types} if surface else boundary
    on = torch.zeros(mesh.n_points, dtype=torch.bool)
    for nodes in facets.values():
        on[nodes.reshape(-1)] = True
    edges = edges_of(facets, mesh.n_points)
    columns, extents = [], []
    for tag in tags:
        column = torch.zeros(mesh.n_points, dtype=torch.bool)
        column[tagged_points(mesh, tag)] = True
        columns.append(column)
        cells = {kind: mesh.cells[kind].index_select(0, rows) for kind, rows in mesh.cell_sets[tag].items()}
        extents.append(extent_of(facets, edges, cells))
    if surface:
        columns.append(mesh.topology.is_boundary)
        extents.append(extent_of(facets, edges, boundary))
    nodes = on.nonzero().squeeze(1)
    labels = torch.stack(columns, 1)[nodes].numpy() if columns else np.zeros((len(nodes), 0), dtype=bool)
    return Skin(mesh.points, facets, edges, nodes, labels, tuple(extents))


def with_labels(skin: Skin, columns: np.ndarray) -> Skin:
    """The skin of a plate with more labels, (n_points, n) bool; a facet carries those that both its ends have."""
    extents = [extent_of_points(skin.facets, skin.edges, chosen) for chosen in torch.from_numpy(columns).unbind(1)]
    labels = np.concatenate([skin.labels, columns[skin.nodes.numpy()]], axis=1)
    return replace(skin, labels=labels, extents=(*skin.extents, *extents))


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
