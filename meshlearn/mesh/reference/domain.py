"""The eight reference domains: their vertices, faces as inequalities, and where the nodes of each cell type are.

Edges, and which corners a second-order node middles, are in the cell table (`meshlearn.mesh.cells`).

Domains (lengths are 1; the vertex order is that of meshio and VTK):

    vertex      the point of a space of dimension 0
    line        0 <= x <= 1
    triangle    x, y >= 0, x + y <= 1
    quad        [0, 1]^2
    tetra       x, y, z >= 0, x + y + z <= 1
    pyramid     base [0, 1]^2 at z = 0, apex (1/2, 1/2, 1)
    wedge       triangle x [0, 1]; a cell whose nodes 3, 4, 5 lie above the counter-clockwise nodes 0, 1, 2 is positive
    hexahedron  [0, 1]^3
"""

from __future__ import annotations

import numpy as np

from meshlearn.errors import TopologyError
from meshlearn.mesh.cells import CELL_TYPES

VERTICES: dict[str, list[tuple[float, ...]]] = {
    "vertex": [()],
    "line": [(0,), (1,)],
    "triangle": [(0, 0), (1, 0), (0, 1)],
    "quad": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "tetra": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "pyramid": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)],
    "wedge": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)],
    "hexahedron": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)],
}

MEASURE = {
    "vertex": 1.0,
    "line": 1.0,
    "triangle": 1 / 2,
    "quad": 1.0,
    "tetra": 1 / 6,
    "pyramid": 1 / 3,
    "wedge": 1 / 2,
    "hexahedron": 1.0,
}

# The domain is {x : A x <= b}: rows (a_1, ..., a_dim, b).
FACES: dict[str, list[tuple[float, ...]]] = {
    "vertex": [],
    "line": [(-1, 0), (1, 1)],
    "triangle": [(-1, 0, 0), (0, -1, 0), (1, 1, 1)],
    "quad": [(-1, 0, 0), (1, 0, 1), (0, -1, 0), (0, 1, 1)],
    "tetra": [(-1, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0), (1, 1, 1, 1)],
    "pyramid": [(0, 0, -1, 0), (-1, 0, 0.5, 0), (1, 0, 0.5, 1), (0, -1, 0.5, 0), (0, 1, 0.5, 1)],
    "wedge": [(-1, 0, 0, 0), (0, -1, 0, 0), (1, 1, 0, 1), (0, 0, -1, 0), (0, 0, 1, 1)],
    "hexahedron": [(-1, 0, 0, 0), (1, 0, 0, 1), (0, -1, 0, 0), (0, 1, 0, 1), (0, 0, -1, 0), (0, 0, 1, 1)],
}

DOMAIN_OF: dict[str, str] = {kind: cell.domain for kind, cell in CELL_TYPES.items()}


def domain_of(kind: str) -> str:
    """The first-order type with the same domain: `"tetra"` for `"tetra10"`. Raises `TopologyError` for others."""
    if kind not in DOMAIN_OF:
        raise TopologyError(
            f"cell type {kind!r} has no reference cell (shape functions, measure, location are not defined for it).\n"
            f"  Types that have one: {', '.join(DOMAIN_OF)}."
        )
    return DOMAIN_OF[kind]


def node_coordinates(kind: str) -> np.ndarray:
    """Reference coordinates (n_nodes, dim) of all nodes of `kind`, float64, in the node order of meshio and VTK."""
    vertices = np.array(VERTICES[domain_of(kind)], dtype=np.float64)
    return np.stack([*vertices, *(vertices[list(corners)].mean(0) for corners in CELL_TYPES[kind].middles)])
