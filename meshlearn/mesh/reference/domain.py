"""The eight reference domains: their vertices, faces as inequalities, and how second-order nodes sit on them.

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

# Second-order nodes after the vertices: each is the mean of the vertices listed.
_TRIANGLE = [(0, 1), (1, 2), (2, 0)]
_QUAD = [(0, 1), (1, 2), (2, 3), (3, 0)]
_TETRA = [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]
_PYRAMID = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)]
_WEDGE = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
_HEXAHEDRON = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
_HEXAHEDRON_FACES = [(0, 3, 7, 4), (1, 2, 6, 5), (0, 1, 5, 4), (3, 2, 6, 7), (0, 1, 2, 3), (4, 5, 6, 7)]

EXTRA_NODES: dict[str, list[tuple[int, ...]]] = {
    "line3": [(0, 1)],
    "triangle6": [*_TRIANGLE],
    "triangle7": [*_TRIANGLE, (0, 1, 2)],
    "quad8": [*_QUAD],
    "quad9": [*_QUAD, (0, 1, 2, 3)],
    "tetra10": [*_TETRA],
    "pyramid13": [*_PYRAMID],
    "pyramid14": [*_PYRAMID, (0, 1, 2, 3)],
    "wedge15": [*_WEDGE],
    "wedge18": [*_WEDGE, (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)],
    "hexahedron20": [*_HEXAHEDRON],
    "hexahedron27": [*_HEXAHEDRON, *_HEXAHEDRON_FACES, tuple(range(8))],
}

DOMAIN_OF: dict[str, str] = {
    **{kind: kind for kind in VERTICES},
    **{kind: kind.rstrip("0123456789") for kind in EXTRA_NODES},
}


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
    extra = [vertices[list(group)].mean(0) for group in EXTRA_NODES.get(kind, [])]
    return np.vstack([vertices, *extra]) if extra else vertices
