"""The features of dofs that depend on the mesh alone, and the sample of one mesh."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.spon.boundary import Prescribed
from meshlearn.models.spon.discretisation import Discretisation
from meshlearn.models.spon.graph import DofGraph, dof_graph
from meshlearn.models.spon.sample import InputDofs
from meshlearn.ops import Adjacency


def graph_of(disc: Discretisation) -> DofGraph:
    """The graph of a discretisation's dofs, made once."""
    if "graph" not in disc.kept:
        functionals = disc.functionals if disc.directed else None
        disc.kept["graph"] = dof_graph(disc.points, disc.mass, disc.stiffness, functionals)
    return disc.kept["graph"]


def geometric_features(disc: Discretisation, coordinates: str, distances: bool) -> Float[Tensor, "n f"]:
    """Boundary flag, kind of entity, log of the spacing over its mean, coordinates, distance to the boundary; of
    directed dofs the products of the direction's components."""
    key = ("features", coordinates, distances)
    if key not in disc.kept:
        spacing = graph_of(disc).spacing
        columns = [disc.boundary[:, None], disc.kinds, (spacing / spacing.mean()).log()[:, None]]
        if coordinates != "none":
            share = shares(disc)
            centre = (share[:, None] * disc.points).sum(0)
            columns.append(disc.points if coordinates == "absolute" else disc.points - centre)
        if distances:
            columns.append(disc.distance[:, None])
        if disc.directed:
            direction = disc.functionals[0]
            upper = torch.triu_indices(disc.space.dim, disc.space.dim, device=direction.device)
            columns.append(direction[:, upper[0]] * direction[:, upper[1]])
        disc.kept[key] = torch.cat(columns, dim=1)
    return disc.kept[key]


def shares(disc: Discretisation) -> Float[Tensor, " n"]:
    """Share of the measure of the mesh that each dof stands for, by the diagonal of the mass matrix."""
    diagonal = graph_of(disc).mass_diagonal
    return diagonal / diagonal.sum()


def prescribed_features(given: list[Prescribed], disc: Discretisation) -> Float[Tensor, "n f"]:
    """Which dofs are prescribed, and the values as networks read them (see `Discretisation.spread`)."""
    columns = [table for entry in given for table in (entry.fixed.double(), disc.spread(entry.values))]
    return torch.cat(columns, dim=1)


def other_dofs(disc: Discretisation, source: Discretisation, values: Float[Tensor, "n_inputs f"]) -> InputDofs:
    """Spread dofs of a space beside those of the outputs, and who shares a cell with whom; the graph is made once."""
    key = ("others", source.element)
    if key not in disc.kept:
        disc.kept[key] = _joined(disc, source)
    edges, features = disc.kept[key]
    return InputDofs(values, edges, features)


def _joined(disc: Discretisation, source: Discretisation) -> tuple[Adjacency, Tensor]:
    receivers, senders = disc.space.element_dofs, source.space.element_dofs
    shape = (*receivers.shape, senders.shape[1])
    keys = torch.unique(receivers[:, :, None].expand(shape) * source.n + senders[:, None, :].expand(shape))
    edges = Adjacency.from_edges(keys % source.n, torch.div(keys, source.n, rounding_mode="floor"), disc.n, source.n)
    edges.transpose()
    offset = ops.gather_senders(source.points, edges) - ops.gather_receivers(disc.points, edges)
    offset = offset / ops.gather_receivers(graph_of(disc).spacing, edges)[:, None]
    columns = [offset, offset.norm(dim=1, keepdim=True)]
    if source.directed:
        columns.append(ops.gather_senders(source.functionals[0], edges).square())
    return edges, torch.cat(columns, dim=1)


def row_counts(mesh: Mesh, disc: Discretisation) -> dict[str, Tensor]:
    """Rows of the outputs at every location: dofs, whether the field lives at points or on cells."""
    return {name: torch.tensor([n], device=mesh.device) for name, n in _sizes(disc).items()}


def _sizes(disc: Discretisation) -> dict[str, Any]:
    return {"point": disc.n, "cell": disc.n, "global": 1}
