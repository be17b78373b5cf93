"""What of a mesh can be seen: triangles, edges and loose points, from cells of any type."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.mesh import Mesh

# Perimeter of each face type through its mid-side nodes, and its triangles (second-order faces: nodes as corners).
_LOOPS = {
    "triangle": (0, 1, 2),
    "quad": (0, 1, 2, 3),
    "triangle6": (0, 3, 1, 4, 2, 5),
    "triangle7": (0, 3, 1, 4, 2, 5),
    "quad8": (0, 4, 1, 5, 2, 6, 3, 7),
    "quad9": (0, 4, 1, 5, 2, 6, 3, 7),
}
_TRIANGLES = {
    "triangle": [(0, 1, 2)],
    "quad": [(0, 1, 2), (0, 2, 3)],
    "triangle6": [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)],
    "triangle7": [(6, a, b) for a, b in ((0, 3), (3, 1), (1, 4), (4, 2), (2, 5), (5, 0))],
    "quad8": [(0, 4, 7), (4, 1, 5), (5, 2, 6), (6, 3, 7), (4, 5, 6), (4, 6, 7)],
    "quad9": [(8, a, b) for a, b in ((0, 4), (4, 1), (1, 5), (5, 2), (2, 6), (6, 3), (3, 7), (7, 0))],
}


@dataclass(frozen=True)
class Skin:
    """The visible part of a mesh, as arrays.

    points     (n_points, dim) float64: all points of the mesh
    triangles  (t, 3) point numbers: planar and surface cells, or the boundary of a solid, cut into triangles
    owner      (t,) global number of the cell that each triangle belongs to
    segments   (s, 2) point numbers: cell edges, once; for meshes of lines the cells themselves
    line_owner (s,) global cell numbers of the segments of a mesh of lines, else empty
    quads      (q, 4) point numbers: quads among the faces, cut into triangles along the diagonal from 0 to 2
    """

    points: np.ndarray
    triangles: np.ndarray
    owner: np.ndarray
    segments: np.ndarray
    line_owner: np.ndarray
    quads: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int64))


def skin(mesh: Mesh) -> Skin:
    """The skin of a mesh of any cells; a point cloud has neither triangles nor segments.

    Raises TopologyError for cell types without a row in the cell table (polyhedra), apart from polygons.

    >>> from meshlearn.viz.skin import skin
    >>> skin(ml.shapes.box(n=(1, 1, 1))).triangles.shape
    (12, 3)
    """
    mesh = mesh.detach().cpu()
    points = mesh.points.double().numpy()
    none = np.zeros(0, dtype=np.int64)
    if mesh.cell_dim == 0:
        return Skin(points, none.reshape(0, 3), none, none.reshape(0, 2), none)
    if mesh.cell_dim == 1:
        ends, line_owner = _lines(mesh)
        return Skin(points, none.reshape(0, 3), none, ends, line_owner)
    triangles: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    rims: list[np.ndarray] = []
    quads = [none.reshape(0, 4)]
    for kind, nodes, owner in _faces(mesh):
        if kind == "polygon":
            parts, numbers, sides = _polygons(nodes, owner)
        elif kind in _TRIANGLES:
            parts = torch.cat([nodes[:, list(corners)] for corners in _TRIANGLES[kind]])
            numbers = owner.repeat(len(_TRIANGLES[kind]))
            loop = _LOOPS[kind]
            sides = torch.cat([nodes[:, [a, b]] for a, b in zip(loop, (*loop[1:], loop[0]), strict=True)])
        else:
            raise TopologyError(f"cells of type {kind!r} cannot be drawn (mesh {mesh.source or 'made in memory'}).")
        if kind == "quad":
            quads.append(nodes.numpy())
        triangles.append(parts.numpy())
        owners.append(numbers.numpy())
        rims.append(sides.numpy())
    edges = np.unique(np.sort(np.concatenate(rims), axis=1), axis=0)
    return Skin(points, np.concatenate(triangles), np.concatenate(owners), edges, none, np.concatenate(quads))


def _faces(mesh: Mesh) -> list[tuple[str, Tensor, Tensor]]:
    """(face type, nodes, global cell number) of the cells themselves, or of the boundary of a solid."""
    if mesh.cell_dim == 3:
        blocks = [(kind, block, block.boundary) for kind, block in mesh.topology.facets.items()]
        return [(kind, block.nodes[rows], block.cells[rows, 0]) for kind, block, rows in blocks if len(rows)]
    faces, offset = [], 0
    for kind in mesh.domain_types:
        nodes = mesh.cells[kind]
        faces.append((kind, nodes, torch.arange(offset, offset + len(nodes))))
        offset += len(nodes)
    return faces


def _polygons(nodes: Tensor, owner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fans of triangles and rims of polygons whose rows are padded with -1."""
    triangles: list[tuple[int, ...]] = []
    owners: list[int] = []
    rims: list[tuple[int, ...]] = []
    for number, row in zip(owner.tolist(), nodes.tolist(), strict=True):
        loop = [node for node in row if node >= 0]
        fan = [(loop[0], a, b) for a, b in pairwise(loop[1:])]
        triangles += fan
        owners += [number] * len(fan)
        rims += list(zip(loop, [*loop[1:], loop[0]], strict=True))
    table = torch.tensor(triangles, dtype=torch.int64).reshape(-1, 3)
    return table, torch.tensor(owners, dtype=torch.int64), torch.tensor(rims, dtype=torch.int64).reshape(-1, 2)


def _lines(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    segments, owners, offset = [], [], 0
    for kind in mesh.domain_types:
        nodes = mesh.cells[kind]
        number = torch.arange(offset, offset + len(nodes))
        offset += len(nodes)
        if kind == "line3":
            segments += [nodes[:, [0, 2]], nodes[:, [2, 1]]]
            owners += [number, number]
        elif kind == "line":
            segments.append(nodes)
            owners.append(number)
        elif kind == "poly_line":
            for a, b in zip(nodes.unbind(1), nodes[:, 1:].unbind(1), strict=False):
                there = b >= 0
                segments.append(torch.stack([a[there], b[there]], 1))
                owners.append(number[there])
        else:
            raise TopologyError(f"cells of type {kind!r} cannot be drawn (mesh {mesh.source or 'made in memory'}).")
    return torch.cat(segments).numpy(), torch.cat(owners).numpy()
