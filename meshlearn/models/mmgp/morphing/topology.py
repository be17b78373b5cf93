"""The topology of a mesh in a few numbers and in words: what two meshes must share to be morphed into each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from meshlearn.errors import TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.components import connected_components
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.orientation import facet_agreement
from meshlearn.mesh.validity import check_mesh


@dataclass(frozen=True)
class Signature:
    """Numbers that a homeomorphism keeps; equal signatures are necessary for a morph, and sufficient for plates.

    dim                   number of coordinates of a point
    cell_dim              dimension of the cells
    components            connected parts
    boundary_loops        connected parts of the boundary: loops of a plate or surface, surfaces of a solid, ends of a
                          curve
    euler_characteristic  points - edges + faces - cells
    orientable            False for one-sided surfaces
    """

    dim: int
    cell_dim: int
    components: int
    boundary_loops: int
    euler_characteristic: int
    orientable: bool = True

    def __str__(self) -> str:
        """In words, such as "a plate with 2 holes"."""
        if self.cell_dim == 0:
            return "a point cloud"
        parts = "" if self.components == 1 else f" in {self.components} parts"
        if self.cell_dim == 1:
            return f"a curve with {_count(self.boundary_loops, 'end')}{parts}"
        if self.cell_dim == 3:
            inner = f"a solid with {_count(self.boundary_loops, 'boundary surface')}"
            return f"{inner} and Euler characteristic {self.euler_characteristic}{parts}"
        if self.dim == 2:
            return f"a plate with {_count(self.boundary_loops - self.components, 'hole')}{parts}"
        side = "" if self.orientable else "one-sided "
        if self.boundary_loops:
            return (
                f"a {side}surface with {_count(self.boundary_loops, 'boundary loop')} and Euler characteristic "
                f"{self.euler_characteristic}{parts}"
            )
        if self.components == 1 and self.orientable:
            return f"a closed surface with {_count((2 - self.euler_characteristic) // 2, 'handle')}"
        return f"a closed {side}surface of Euler characteristic {self.euler_characteristic}{parts}"

    @property
    def is_plate(self) -> bool:
        """True for planar meshes of one part."""
        return self.dim == 2 and self.cell_dim == 2 and self.components == 1


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def signature(mesh: Mesh) -> Signature:
    """The topology of the domain of a mesh, whatever its orientation and numbering.

    Raises TopologyError for a boundary that branches.

    >>> print(signature(ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.2)))
    a plate with 1 hole
    """
    topology = mesh.topology
    if not mesh.domain_types:
        return Signature(mesh.dim, 0, mesh.n_points, 0, mesh.n_points)
    _refuse_branching(mesh)
    domain = torch.zeros(mesh.n_points, dtype=torch.bool, device=mesh.device)
    for kind in mesh.domain_types:
        domain[mesh.cells[kind].reshape(-1)] = True
    parts = int(torch.unique(topology.components[domain]).numel())
    orientable = mesh.cell_dim != 2 or mesh.dim != 3 or _is_orientable(mesh)
    return Signature(mesh.dim, mesh.cell_dim, parts, _boundary_parts(mesh), topology.euler_characteristic, orientable)


def _boundary_parts(mesh: Mesh) -> int:
    """Connected parts of the boundary facets, joined through points (corners)."""
    blocks = list(mesh.topology.boundary_facets.values())
    if not blocks:
        return 0
    left = torch.cat([nodes[:, :1].expand_as(nodes).reshape(-1) for nodes in blocks])
    right = torch.cat([nodes.reshape(-1) for nodes in blocks])
    label = connected_components(left, right, mesh.n_points)[1]
    return int(torch.unique(label.index_select(0, mesh.topology.boundary_points)).numel())


def _refuse_branching(mesh: Mesh) -> None:
    """A boundary loop that meets itself or another one is neither a plate with holes nor two plates."""
    if mesh.cell_dim != 2:
        return
    ends = [nodes[:, :2].reshape(-1) for nodes in mesh.topology.boundary_facets.values()]
    if not ends:
        return
    count = torch.bincount(torch.cat(ends), minlength=mesh.n_points)
    if bool((count > 2).any()):
        point = int((count > 2).nonzero()[0])
        raise TopologyError(
            f"the boundary branches at point {point} {mesh.points[point].tolist()}{of_mesh(mesh.source)}: parts of the "
            "mesh touch in one point only, or more than two cells share an edge.\n"
            "  give each part a point of its own, or join the parts."
        )


def _is_orientable(mesh: Mesh) -> bool:
    """No cell is joined to itself turned round, in the graph of cells in both states."""
    n, left, right = mesh.n_cells, [], []
    for first, second, agree in facet_agreement(mesh.topology):
        crossed = (agree < 0).to(torch.int64)
        left += [first, first + n]
        right += [second + crossed * n, second + (1 - crossed) * n]
    label = connected_components(torch.cat(left), torch.cat(right), 2 * n)[1] if left else torch.arange(2 * n)
    return not bool((label[:n] == label[n:]).any())


def same_topology(mesh: Mesh, reference: Mesh) -> bool:
    """Have two meshes the same signature?"""
    return signature(mesh) == signature(reference)


def check_same_topology(mesh: Mesh, reference: Mesh | Signature, where: str = "morphing") -> None:
    """Raises TopologyError, naming both topologies, if two meshes cannot be morphed into each other.

    reference  a mesh, or the signature of one
    where      what needs equal topologies, for the message
    """
    mine = signature(mesh)
    other = reference if isinstance(reference, Signature) else signature(reference)
    if mine != other:
        kinds = f"{mine}{of_mesh(mesh.source)}, against {other}"
        if str(mine) == str(other):
            kinds += (
                f" (Euler characteristic {mine.euler_characteristic} against {other.euler_characteristic}, "
                f"parts of the boundary {mine.boundary_loops} against {other.boundary_loops})"
            )
        raise TopologyError(
            f"{where} needs one topology: {kinds}"
            f"{of_mesh(reference.source) if isinstance(reference, Mesh) else ''}.\n"
            f"  {_defects(mesh) or 'fit one model for each topology.'}"
        )


def _defects(mesh: Mesh) -> str:
    """What is wrong with a mesh, for a message; "" for a sound one. Inverted cells do not change its topology."""
    found = [issue for issue in check_mesh(mesh) if issue.severity != "note" and issue.kind != "inverted cells"]
    if not found:
        return ""
    return (
        f"the mesh{of_mesh(mesh.source)} has defects: {'; '.join(issue.message for issue in found)}. See ml.check_mesh."
    )
