"""Structured lattices of quads and hexahedra, and their division into other cells without hanging edges."""

from __future__ import annotations

import numpy as np

from meshlearn.errors import ParameterError

Cells = dict[str, np.ndarray]


def grid_points(*axes: np.ndarray) -> np.ndarray:
    """(n, dim) points of a product of coordinates, the first one running fastest."""
    grids = np.meshgrid(*axes, indexing="ij")
    return np.stack([grid.reshape(-1, order="F") for grid in grids], axis=1)


def grid_quads(nx: int, ny: int, wrap: bool = False) -> np.ndarray:
    """(nx * ny, 4) quads of a lattice with (nx + 1) (ny + 1) points; `wrap` closes it along the first direction."""
    i, j = (a.reshape(-1, order="F") for a in np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"))
    width = nx if wrap else nx + 1
    right = (i + 1) % nx if wrap else i + 1
    return np.stack([i + width * j, right + width * j, right + width * (j + 1), i + width * (j + 1)], axis=1)


def grid_hexahedra(nx: int, ny: int, nz: int) -> np.ndarray:
    """(nx ny nz, 8) hexahedra of a lattice of (nx + 1) (ny + 1) (nz + 1) points."""
    base = grid_quads(nx, ny)
    layer = (nx + 1) * (ny + 1)
    bottom = (base[None] + layer * np.arange(nz)[:, None, None]).reshape(-1, 4)
    return np.hstack([bottom, bottom + layer])


def split_quads(quads: np.ndarray, pattern: str = "right", columns: int | None = None) -> np.ndarray:
    """(2 n, 3) triangles; diagonals from corner 0 to 2 ("right"), 1 to 3 ("left"), or by turns ("alternate")."""
    right = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1)
    left = np.stack([quads[:, [0, 1, 3]], quads[:, [1, 2, 3]]], axis=1)
    if pattern == "right":
        triangles = right
    elif pattern == "left":
        triangles = left
    elif pattern == "alternate":
        number = np.arange(len(quads))
        width = columns or len(quads)
        triangles = np.where(((number % width + number // width) % 2 == 0)[:, None, None], right, left)
    else:
        raise ParameterError(f"pattern={pattern!r}: expected 'right', 'left' or 'alternate'.")
    return triangles.reshape(-1, 3)


def extrude(cells: Cells, n_points: int, layers: int) -> Cells:
    """Prisms over planar cells: triangles become wedges, quads hexahedra; layer k has points k * n_points + i."""
    solid = {"triangle": "wedge", "quad": "hexahedron"}
    result = {}
    for kind, base in cells.items():
        levels = base[None] + n_points * np.arange(layers)[:, None, None]
        result[solid[kind]] = np.concatenate([levels, levels + n_points], axis=2).reshape(-1, 2 * base.shape[1])
    return result


def split_wedges(wedges: np.ndarray) -> np.ndarray:
    """(3 n, 4) tetrahedra. Quad faces are cut through their smallest node, so neighbours agree.

    J. Dompierre et al., "How to subdivide pyramids, prisms and hexahedra into tetrahedra", 8th Int. Meshing
    Roundtable (1999), section 3.
    """
    turns = np.array(
        [
            [0, 1, 2, 3, 4, 5],
            [1, 2, 0, 4, 5, 3],
            [2, 0, 1, 5, 3, 4],
            [3, 5, 4, 0, 2, 1],
            [4, 3, 5, 1, 0, 2],
            [5, 4, 3, 2, 1, 0],
        ]
    )  # rotations of the prism that bring its smallest node to place 0
    nodes = np.take_along_axis(wedges, turns[wedges.argmin(1)], axis=1)
    first = np.minimum(nodes[:, 1], nodes[:, 5]) < np.minimum(nodes[:, 2], nodes[:, 4])
    one = nodes[:, [0, 1, 2, 5, 0, 1, 5, 4, 0, 4, 5, 3]].reshape(-1, 3, 4)
    two = nodes[:, [0, 1, 2, 4, 0, 4, 2, 5, 0, 4, 5, 3]].reshape(-1, 3, 4)
    return np.where(first[:, None, None], one, two).reshape(-1, 4)


def split_hexahedra(hexahedra: np.ndarray) -> np.ndarray:
    """(6 n, 4) tetrahedra of a lattice, six around the diagonal 0-6 of each cube (Kuhn's division)."""
    paths = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))
    return hexahedra[:, np.array(paths)].reshape(-1, 4)


# Faces of a hexahedron, counter-clockwise seen from its centre, starting where the lattice diagonal starts.
FACES_INWARD = np.array([[0, 1, 2, 3], [4, 7, 6, 5], [0, 4, 5, 1], [1, 5, 6, 2], [3, 2, 6, 7], [0, 3, 7, 4]])


def split_to_pyramids(hexahedra: np.ndarray, first_centre: int) -> np.ndarray:
    """(6 n, 5) pyramids from the faces to the centres, which are the points `first_centre`, `first_centre` + 1 ..."""
    centres = np.repeat(first_centre + np.arange(len(hexahedra)), 6)
    return np.hstack([hexahedra[:, FACES_INWARD].reshape(-1, 4), centres[:, None]])
