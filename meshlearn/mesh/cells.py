"""The cell table: nodes, edges, facets, message-passing links and mirror image of every cell type.

Names and node order are meshio's (VTK's): corners first, then mid-side nodes in the order of the edges, then face
centres, then the body centre. Facets list their corners so that, on a cell of positive orientation, they are seen
counter-clockwise from outside. A positive wedge has its triangle (0, 1, 2) counter-clockwise seen from (3, 4, 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from meshlearn.errors import TopologyError

RAGGED = ("polygon", "quadratic_polygon", "polyhedron", "triangle_strip", "poly_line", "poly_vertex")
"""Kinds with a varying number of nodes: kept as (n, k) tables whose rows are padded with -1 at the end."""

_DIM_BY_STEM = {"vertex": 0, "line": 1, "triangle": 2, "quad": 2} | dict.fromkeys(
    ("tetra", "pyramid", "wedge", "hexahedron"), 3
)
NAMED_KINDS = {
    "poly_vertex": 0, "poly_line": 1, "polygon": 2, "quadratic_polygon": 2, "triangle_strip": 2, "pixel": 2,
    "polyhedron": 3, "voxel": 3, "pentagonal_prism": 3, "hexagonal_prism": 3,
}  # fmt: skip
"""Dimensions of the kinds that files have and the table has not: kept for the round trip."""


@dataclass(frozen=True)
class CellType:
    """One row of the cell table; all entries are tuples of local node numbers.

    name      meshio's name, e.g. "tetra10"
    dim       topological dimension
    order     polynomial order of the geometry, 1 or 2
    corners   number of corner nodes (they come first)
    edges     corner pairs; on second-order types node `corners + i` is the middle of edge i
    faces     corners of the two-dimensional faces, outward, for dim 3; the cell itself for dim 2
    centres   corner sets whose centre is a node of its own, in node order after the mid-side nodes
    mirror    corner permutation that turns the cell inside out
    """

    name: str
    dim: int
    order: int
    corners: int
    edges: tuple[tuple[int, int], ...]
    faces: tuple[tuple[int, ...], ...]
    centres: tuple[tuple[int, ...], ...]
    mirror: tuple[int, ...]

    @property
    def n_nodes(self) -> int:
        """Number of nodes of one cell."""
        return self.corners + len(self.middles)

    @property
    def middles(self) -> tuple[tuple[int, ...], ...]:
        """For each node after the corners, in node order: the corners whose mean it is on a straight cell."""
        return (*(self.edges if self.order == 2 else ()), *self.centres)

    @property
    def domain(self) -> str:
        """Name of the first-order type of the same shape: "tetra" for "tetra10"."""
        return self.name.rstrip("0123456789")

    @cached_property
    def _node_of(self) -> dict[frozenset[int], int]:
        """Node number of the middle of a set of corners (an edge, a face, the body)."""
        sets = [*((i,) for i in range(self.corners)), *self.middles]
        return {frozenset(corners): node for node, corners in enumerate(sets)}

    @cached_property
    def facets(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(facet type, local nodes) of every facet: points of lines, sides of faces, faces of solids."""
        if self.dim == 0:
            return ()
        if self.dim == 1:
            return (("vertex", (0,)), ("vertex", (1,)))
        loops = self.edges if self.dim == 2 else self.faces
        return tuple(self._with_middles(loop) for loop in loops)

    def _with_middles(self, loop: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        n = len(loop)
        if self.order == 1:
            return {2: "line", 3: "triangle", 4: "quad"}[n], loop
        pairs = [frozenset((loop[i], loop[(i + 1) % n])) for i in range(n if n > 2 else 1)]
        nodes = loop + tuple(self._node_of[pair] for pair in pairs)
        centre = self._node_of.get(frozenset(loop)) if n > 2 else None
        if centre is not None:
            nodes += (centre,)
        return {3: "line3", 6: "triangle6", 7: "triangle7", 8: "quad8", 9: "quad9"}[len(nodes)], nodes

    @cached_property
    def links(self) -> tuple[tuple[int, int], ...]:
        """Node pairs joined in the message-passing graph: edges, split at mid-side nodes; centres to mid-sides."""
        if self.order == 1:
            return self.edges
        links = [(a, self._node_of[frozenset((a, b))]) for a, b in self.edges]
        links += [(self._node_of[frozenset((a, b))], b) for a, b in self.edges]
        for centre in self.centres:
            here = frozenset(centre)
            inner = [c for c in self.centres if frozenset(c) < here]
            rims = inner or [edge for edge in self.edges if frozenset(edge) < here]
            links += [(self._node_of[frozenset(rim)], self._node_of[here]) for rim in rims]
        return tuple(links)

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """Node permutation that reverses the orientation: `nodes[:, flip]` is the mirrored cell."""
        by_node = {node: corners for corners, node in self._node_of.items()}
        return tuple(self._node_of[frozenset(self.mirror[c] for c in by_node[i])] for i in range(self.n_nodes))


_LINE = ((0, 1),)
_TRIANGLE = ((0, 1), (1, 2), (2, 0))
_QUAD = ((0, 1), (1, 2), (2, 3), (3, 0))
_TETRA = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
_TETRA_FACES = ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2))
_PYRAMID = (*_QUAD, (0, 4), (1, 4), (2, 4), (3, 4))
_PYRAMID_FACES = ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4))
_WEDGE = (*_TRIANGLE, (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5))
_WEDGE_FACES = ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5))
_HEXA = (*_QUAD, (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_HEXA_FACES = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
_HEXA_CENTRES = (
    (0, 4, 7, 3),
    (1, 2, 6, 5),
    (0, 1, 5, 4),
    (3, 7, 6, 2),
    (0, 1, 2, 3),
    (4, 5, 6, 7),
    (0, 1, 2, 3, 4, 5, 6, 7),
)


def _shape(dim, corners, edges, faces, mirror, orders):
    return [CellType(name, dim, order, corners, edges, faces, centres, mirror) for name, order, centres in orders]


CELL_TYPES: dict[str, CellType] = {
    cell.name: cell
    for cell in [
        *_shape(0, 1, (), (), (0,), [("vertex", 1, ())]),
        *_shape(1, 2, _LINE, (), (1, 0), [("line", 1, ()), ("line3", 2, ())]),
        *_shape(
            2,
            3,
            _TRIANGLE,
            ((0, 1, 2),),
            (0, 2, 1),
            [("triangle", 1, ()), ("triangle6", 2, ()), ("triangle7", 2, ((0, 1, 2),))],
        ),
        *_shape(
            2,
            4,
            _QUAD,
            ((0, 1, 2, 3),),
            (0, 3, 2, 1),
            [("quad", 1, ()), ("quad8", 2, ()), ("quad9", 2, ((0, 1, 2, 3),))],
        ),
        *_shape(3, 4, _TETRA, _TETRA_FACES, (0, 2, 1, 3), [("tetra", 1, ()), ("tetra10", 2, ())]),
        *_shape(
            3,
            5,
            _PYRAMID,
            _PYRAMID_FACES,
            (0, 3, 2, 1, 4),
            [("pyramid", 1, ()), ("pyramid13", 2, ()), ("pyramid14", 2, ((0, 1, 2, 3),))],
        ),
        *_shape(
            3,
            6,
            _WEDGE,
            _WEDGE_FACES,
            (3, 4, 5, 0, 1, 2),
            [("wedge", 1, ()), ("wedge15", 2, ()), ("wedge18", 2, ((0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)))],
        ),
        *_shape(
            3,
            8,
            _HEXA,
            _HEXA_FACES,
            (4, 5, 6, 7, 0, 1, 2, 3),
            [("hexahedron", 1, ()), ("hexahedron20", 2, ()), ("hexahedron27", 2, _HEXA_CENTRES)],
        ),
    ]
}
"""The table: type name -> CellType, for all first- and second-order types."""


def cell_type(kind: str) -> CellType:
    """The row of the table for `kind`.

    Raises TopologyError for a type without a row (polygons, polyhedra, unknown types are kept but not computed with).

    >>> cell_type("quad").facets[0]
    ('line', (0, 1))
    """
    try:
        return CELL_TYPES[kind]
    except KeyError:
        raise TopologyError(
            f"cells of type {kind!r} are kept for reading and writing, but this operation does not know them.\n"
            f"  known types: {', '.join(CELL_TYPES)}\n"
            "  split such cells into known ones, or remove them with mesh.replace(cells=...)."
        ) from None


def cell_dim(kind: str) -> int:
    """Topological dimension of any kind of cell that has a name; -1 for a name nobody knows.

    Ragged kinds and types of higher order (`line4`, `lagrange_tetra20`) have one, though they have no row.

    >>> [cell_dim(kind) for kind in ("polygon", "wedge15", "triangle10", "lagrange_tetra20", "blob")]
    [2, 3, 2, 3, -1]
    """
    if kind in NAMED_KINDS:
        return NAMED_KINDS[kind]
    stem = kind.rstrip("0123456789").removeprefix("lagrange_").removeprefix("bezier_")
    return _DIM_BY_STEM.get(stem, -1)
