"""Everything a learned mover knows of one mesh besides its monitor: made once, kept as long as the mesh's points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.geometric_inputs import boundary_features
from meshlearn.models.movers.elements import Elements, interleaved
from meshlearn.models.movers.learned.elliptic import Green, Inverse, Solvers
from meshlearn.models.movers.learned.matrix import Matrix, Repeated
from meshlearn.models.movers.learned.reentrance import reentrance
from meshlearn.models.movers.learned.walk import Shortcuts
from meshlearn.models.movers.monitors.field import smallest_length
from meshlearn.models.movers.preparation import check_movable
from meshlearn.models.movers.walls import Walls
from meshlearn.ops import Adjacency

_KNOWN = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Operators:
    """P1 operators of a mesh of measure 1, and of a batch of such meshes; tensors float, dim the dimension.

    points      (n, dim)
    nodes       rows are cells, dim + 1 nodes each, in order
    beyond      rows are cells: the cell behind the facet opposite to each node, or the cell itself at a wall
    home        rows are points: one cell that each belongs to
    shapes      (n_cells, (dim + 1) * (dim + 1)) shape functions as functions of space: slope and constant of each
    volume      (n_cells,)
    lumped      (n,)
    frames      (n, dim * dim) projections on what the walls allow
    slope       (n * dim, n): int v grad(u);  recovery (n * dim * dim, n): mass H = recovery phi
    clement     (n * dim, n): gradients averaged over the cells around each point, by measure
    shortcuts   of a pass over many meshes
    """

    points: Float[Tensor, "n dim"]
    nodes: Adjacency
    beyond: Adjacency
    home: Adjacency
    shapes: Float[Tensor, "n_cells shapes"]
    volume: Float[Tensor, " n_cells"]
    lumped: Float[Tensor, " n"]
    frames: Float[Tensor, "n frame"]
    slope: Matrix | Repeated
    recovery: Matrix | Repeated
    clement: Matrix | Repeated
    shortcuts: Shortcuts | None = None

    @property
    def dim(self) -> int:
        return self.points.shape[1]


@dataclass(frozen=True, eq=False)
class Geometry:
    """One mesh, ready to be moved.

    scaled        the mesh about its centre and of measure 1, float64: coordinates are (points - centre) / size
    walls         what its points are free to do
    surroundings  (n, k) features of every point's place: flag of the boundary, distance to it, its direction;
                  where it bends inwards
    solvers       factors of its matrices
    smallest      length of the smallest cell of `scaled`
    kind          dtype of the points as they were given
    """

    scaled: Mesh
    centre: Float[Tensor, " dim"]
    size: float
    walls: Walls
    elements: Elements
    operators: Operators
    surroundings: Float[Tensor, "n k"]
    solvers: Solvers
    smallest: float
    kind: torch.dtype
    _smoothings: dict[float, Inverse] = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        return self.scaled.n_points

    def smoothing(self, length: float) -> Inverse:
        """The operator that spreads fields over a length, in units of the size of the mesh; kept."""
        if length not in self._smoothings:
            from scipy.sparse import diags_array

            matrix = diags_array(self.elements.lumped) + length**2 * self.elements.stiffness
            self._smoothings[length] = Inverse(matrix)
        return self._smoothings[length]


def geometry_of(mesh: Mesh, boundary: str, corner: float) -> Geometry:
    """Of a mesh; kept for the next time. Raises what `check_movable` raises."""
    known = _KNOWN.setdefault(mesh.points, {})
    key = (boundary, corner, id(mesh.topology))
    if key not in known:
        known[key] = (_make(mesh, boundary, corner), mesh.topology)  # the topology is kept so that its id stays taken
    return known[key][0]


def _make(mesh: Mesh, boundary: str, corner: float) -> Geometry:
    from scipy.sparse import eye_array, kron

    checked = check_movable(mesh)
    weights = checked.point_measures().abs()
    size = float(weights.sum()) ** (1 / checked.dim)
    centre = (weights[:, None] * checked.points).sum(0) / weights.sum()
    scaled = checked.replace(points=(checked.points - centre) / size)
    walls = Walls(scaled, boundary, np.zeros(mesh.n_points, dtype=bool), corner)
    elements = Elements(scaled)
    operators = _operators(scaled, elements, walls)
    inward = reentrance(elements, scaled.topology.is_boundary.numpy())
    around = torch.cat([boundary_features(scaled, [], distances=True, normals=True), inward], 1)
    vectors = kron(elements.mass, eye_array(scaled.dim)).tocsr()
    solvers = Solvers(Green(elements), Inverse(elements.mass), Inverse(vectors, walls.basis))
    smallest = smallest_length(scaled)
    return Geometry(scaled, centre, size, walls, elements, operators, around, solvers, smallest, mesh.dtype)


def _operators(mesh: Mesh, elements: Elements, walls: Walls) -> Operators:
    n_cells, k = elements.cells.shape
    rows = torch.arange(0, n_cells * k + 1, k)
    cells = torch.from_numpy(elements.cells)
    home = np.zeros(elements.n, dtype=np.int64)
    home[elements.cells.reshape(-1)] = np.repeat(np.arange(n_cells), k)
    recovery = [matrix for row in elements.recovery for matrix in row]
    nodes = Adjacency(rows, cells.reshape(-1), elements.n)
    beyond = Adjacency(rows, torch.from_numpy(_beyond(mesh, elements)).reshape(-1), n_cells)
    return Operators(
        points=mesh.points,
        nodes=nodes,
        beyond=beyond,
        home=Adjacency(torch.arange(elements.n + 1), torch.from_numpy(home), n_cells),
        shapes=torch.from_numpy(_shapes(elements)),
        volume=torch.from_numpy(elements.volume),
        lumped=torch.from_numpy(elements.lumped),
        frames=torch.from_numpy(np.ascontiguousarray(walls.frames.reshape(elements.n, -1))),
        slope=Matrix.from_scipy(interleaved(elements.slopes)),
        recovery=Matrix.from_scipy(interleaved(recovery)),
        clement=Matrix.from_scipy(_clement(elements)),
    )


def _beyond(mesh: Mesh, elements: Elements) -> np.ndarray:
    """(n_cells, dim + 1): the neighbour over the facet opposite to each node, the cell itself where there is none."""
    table = np.repeat(np.arange(len(elements.cells))[:, None], elements.dim + 1, 1)
    (block,) = mesh.topology.facets.values()
    inner = (block.count == 2).nonzero().squeeze(1)
    nodes, cells = block.nodes[inner].numpy(), block.cells[inner].numpy()
    for side in (0, 1):
        mine, other = cells[:, side], cells[:, 1 - side]
        opposite = ~(elements.cells[mine][:, :, None] == nodes[:, None, :]).any(2)
        table[mine, opposite.argmax(1)] = other
    return table


def _shapes(elements: Elements) -> np.ndarray:
    """(n_cells, (dim + 1)^2): of each shape function its slope and its value at the origin."""
    origin = elements.points[elements.cells[:, 0]]
    constants = -np.einsum("cai,ci->ca", elements.gradients, origin)
    constants[:, 0] += 1
    return np.concatenate([elements.gradients, constants[..., None]], 2).reshape(len(origin), -1)


def _clement(elements: Elements) -> Any:
    """Slopes averaged over the cells around each point, by measure: lumped masses make it the row sums' quotient."""
    from scipy.sparse import diags_array

    return interleaved([diags_array(1 / elements.lumped) @ matrix for matrix in elements.slopes])
