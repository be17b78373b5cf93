"""Nodes that stand for a body: chosen points, their graph, and how all other points follow them."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.mesh import checks
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.crowding import CrowdedGraphWarning, crowding
from meshlearn.models.giorom.least_squares import moving_least_squares
from meshlearn.models.giorom.radius import connecting_radius
from meshlearn.ops import Adjacency, SparseOperator, farthest_point_sampling, knn, radius_neighbors
from meshlearn.train.option_checks import whole

METHODS = ("farthest", "random")
DENSITY = {1: 4.0, 2: 12.0, 3: 16.0}  # neighbours of a node, on average


class SparseNodes:
    """A few points of a body that carry all of them.

    points      (n_points, dim), or a Mesh: the body at rest
    n_nodes     how many points to choose, at least dim + 1
    method      "farthest" (evenly spread, from a start that is drawn) or "random"; or the numbers of the
                points as an int64 tensor
    seed        of the draw: other seeds give other nodes, to train on many of them
    radius      of the graph of nodes; default the larger of the smallest that makes it one piece, and the one with
                some 12 neighbours each in 2-D, 16 in 3-D
    neighbors   nodes that a point follows; default 8 in 2-D, 14 in 3-D

    nodes (n_nodes,) int64 are their numbers, ascending; `graph` connects them; `operator` (n_points, n_nodes) is the
    map of values at nodes to values at points by moving least squares in the body at rest: its rows sum to one, and
    affine motions are carried exactly. A body that breaks apart or mixes does not follow its shape at rest: take nodes
    of a later one. `crowding` says what is wrong with a graph that is far denser than usual, as that of a body in
    pieces that are far apart, and is empty for others; a CrowdedGraphWarning tells it.
    Raises ParameterError for impossible requests, and for a radius at which the graph would fall apart.

    >>> from meshlearn.models.giorom import SparseNodes
    >>> body = ml.shapes.square(n=20)
    >>> few = SparseNodes(body, 40)
    >>> few.operator.shape, few.n_components
    ((441, 40), 1)
    """

    def __init__(
        self,
        points: Any,
        n_nodes: Any,
        method: Any = "farthest",
        seed: int = 0,
        radius: float | None = None,
        neighbors: int | None = None,
    ) -> None:
        places = points.points if isinstance(points, Mesh) else checks.tensor(points, "points")
        if places.dim() != 2 or not places.is_floating_point() or not 1 <= places.shape[1] <= 3:
            raise ParameterError(f"points are (n, dim) floats or a Mesh, not {places.dtype} {tuple(places.shape)}.")
        self.points: Float[Tensor, "n_points dim"] = places.detach()
        n, dim = self.points.shape
        n_nodes = whole(1)("n_nodes", n_nodes)
        if not dim + 1 <= n_nodes <= n:
            raise ParameterError(f"n_nodes is a number from {dim + 1} to the {n} points of the body, not {n_nodes!r}.")
        chosen = self._chosen(method, n_nodes, seed)
        self.nodes: Int64[Tensor, " n_nodes"] = chosen.sort().values
        self.neighbors = neighbors
        smallest = connecting_radius(self.node_points)
        usual = 0.0
        if radius is None:
            usual = _radius_of(self.node_points)
            radius = max(smallest, usual)
        elif not radius >= smallest:
            raise ParameterError(
                f"with radius={radius:g} the graph of {n_nodes} nodes falls apart; it is one piece from {smallest:.6g} "
                "on.\n  Leave radius out, or take more nodes."
            )
        self.radius = float(radius)
        self.crowding = ""
        if self.radius > usual > 0:
            self.crowding = crowding(self.node_points, self.graph, self.radius, usual, DENSITY[dim])
        if self.crowding:
            warnings.warn(self.crowding, CrowdedGraphWarning, stacklevel=2)

    def _chosen(self, method: Any, count: int, seed: int) -> Tensor:
        n = len(self.points)
        if isinstance(method, Tensor):
            if (
                method.dtype != torch.int64
                or len(method.unique()) != count
                or not 0 <= method.min() <= method.max() < n
            ):
                raise ParameterError(f"nodes by number are {count} different int64 numbers of the {n} points.")
            return method.to(self.points.device)
        if method not in METHODS:
            raise ParameterError(
                f"there is no method {method!r:.60}{did_you_mean(str(method), METHODS)} Methods are "
                f"{', '.join(METHODS)}, or the numbers of the points as an int64 tensor."
            )
        draw = torch.Generator().manual_seed(seed)
        if method == "random":
            return torch.randperm(n, generator=draw)[:count].to(self.points.device)
        if count == n:
            return torch.arange(n, device=self.points.device)
        return farthest_point_sampling(self.points, count, int(torch.randint(n, (1,), generator=draw)))

    @property
    def node_points(self) -> Float[Tensor, "n_nodes dim"]:
        """Places of the nodes at rest."""
        return self.points.index_select(0, self.nodes)

    @cached_property
    def graph(self) -> Adjacency:
        """All pairs of nodes within the radius at rest; symmetric, without loops."""
        return radius_neighbors(self.node_points, self.node_points, self.radius, exclude_self=True)

    @property
    def n_components(self) -> int:
        """Pieces of the graph: 1."""
        from meshlearn.mesh.components import connected_components

        return connected_components(self.graph.receivers, self.graph.index, len(self.nodes))[0]

    @cached_property
    def operator(self) -> SparseOperator:
        """(n_points, n_nodes): from nodes to the points of the body."""
        return self.operator_to(self.points)

    def operator_to(self, queries: Any) -> SparseOperator:
        """(n_queries, n_nodes): from nodes to any points (n_queries, dim) or a Mesh, placed in the body at rest."""
        queries = queries.points if isinstance(queries, Mesh) else queries
        return moving_least_squares(self.node_points, queries.detach().to(self.points), self.neighbors)

    def carry(self, moved: Float[Tensor, "*times n_nodes dim"], query: Any = None) -> Float[Tensor, "*times m dim"]:
        """Places of all points from those of the nodes, at one time (n_nodes, dim) or many (n_times, n_nodes, dim).

        query  points at rest, or a Mesh; default: the body. Differentiable in the places of the nodes.

        Displacements are carried, and added to the places at rest. Raises ParameterError for another number of nodes.
        """
        if moved.shape[-2:] != self.node_points.shape or moved.dim() > 3:
            raise ParameterError(
                f"places of the nodes are {tuple(self.node_points.shape)}, or that for many times, not "
                f"{tuple(moved.shape)}."
            )
        rest = self.points if query is None else (query.points if isinstance(query, Mesh) else query).to(self.points)
        operator = self.operator if query is None else self.operator_to(rest)
        shifted = (moved - self.node_points.to(moved)).movedim(-2, 0)
        return rest.to(moved) + (operator.to(moved.dtype) @ shifted).movedim(0, -2)

    def reduced(self, film: Trajectory) -> Trajectory:
        """The nodes of a trajectory of the body, as a point cloud that moves; with fields at points, but no cells."""
        if film.moving_points is None:
            raise FieldError("the points of this trajectory do not move: there is nothing to carry.")
        if film.n_points != len(self.points):
            raise FieldError(f"the body has {len(self.points)} points, the trajectory {film.n_points}.")

        def few(values: Tensor, axis: int) -> Tensor:
            return values.index_select(axis, self.nodes.to(values.device))

        start = film.mesh
        cloud = Mesh(
            few(start.points, 0),
            point_data={name: few(values, 0) for name, values in start.point_data.items()},
            global_data=start.global_data,
        )
        fields = {name: few(values, 1) for name, values in film.point_data.items()}
        return Trajectory(
            cloud, film.times, fields, global_data=film.global_data, moving_points=few(film.moving_points, 1)
        )

    def reconstructed(self, film: Trajectory, mesh: Mesh) -> Trajectory:
        """The motion of a mesh from a trajectory of the nodes: all points at all times, with the fields at nodes.

        mesh  lies in the body at rest

        Raises FieldError for a trajectory that does not move, ParameterError for another number of nodes.
        """
        if film.moving_points is None:
            raise FieldError("the points of this trajectory do not move: there is nothing to carry.")
        operator = self.operator_to(mesh)
        points = self.carry(film.moving_points, mesh)
        fields = {
            name: _applied(operator, values) for name, values in film.point_data.items() if values.is_floating_point()
        }
        return Trajectory(mesh, film.times, fields, global_data=film.global_data, moving_points=points)

    def __repr__(self) -> str:
        mean = self.graph.n_edges / len(self.nodes)
        count = f"{len(self.nodes)} of {len(self.points)} points"
        return f"SparseNodes({count}, radius {self.radius:.4g}, {mean:.1f} neighbours)"


def _applied(operator: SparseOperator, values: Tensor) -> Tensor:
    """(n_times, n_nodes, ...) -> (n_times, n_points, ...)."""
    flat = values.movedim(1, 0)
    return (operator.to(values.dtype) @ flat).movedim(0, 1)


def _radius_of(points: Tensor) -> float:
    """The radius with the usual number of neighbours, on average."""
    dim = points.shape[1]
    count = min(int(DENSITY[dim]) + 1, len(points))
    return float(knn(points.double(), points.double(), count)[0][:, -1].mean())
