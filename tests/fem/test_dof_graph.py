"""The graph of the dofs, and how it changes when points and cells are numbered anew."""

import pytest
import torch
from space_cases import uneven

import meshlearn as ml
from meshlearn.fem import FESpace, dof_adjacency, dof_directions, dof_entities, inner


def renumbered(mesh, seed=1):
    """(the same mesh with points, cells and corners of cells in another order, old number of each new point)."""
    generator = torch.Generator().manual_seed(seed)
    kind = mesh.domain_types[0]
    order = torch.randperm(mesh.n_points, generator=generator)
    number = torch.empty_like(order)
    number[order] = torch.arange(mesh.n_points)
    cells = number[mesh.cells[kind]][torch.randperm(mesh.n_cells, generator=generator)]
    if kind == "quad":
        cells = torch.stack([cell.roll(int(k)) for k, cell in enumerate(cells)])
    if kind == "tetra":
        cells[::2] = cells[::2][:, [1, 2, 0, 3]]
        cells[::3] = cells[::3][:, [3, 0, 2, 1]]
    return ml.Mesh(mesh.points[order], {kind: cells}), order


def same_places(a, b):
    """For each dof of b the dof of a at its place."""
    distance = (b.dof_points[:, None] - a.dof_points).norm(dim=2)
    assert distance.amin(1).max() < 1e-12
    return distance.argmin(1)


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad"])
@pytest.mark.parametrize("element", ["RT0", "N1"])
def test_directions_turn_with_the_sign_of_the_dofs(element, kind):
    """Renumbering turns some normals and tangents round; value times direction stays what it was."""
    mesh = uneven(kind, 3)
    turned, _ = renumbered(mesh)
    a, b = FESpace(mesh, element), FESpace(turned, element)
    field = lambda x: torch.stack([1 + x[1], x[0] ** 2, x[0] * x[1]][: len(x.points)])  # noqa: E731
    where = same_places(a, b)
    values, directions = a.interpolate(field), dof_directions(a)
    assert torch.allclose(directions.norm(dim=1), torch.ones(a.n_dofs, dtype=torch.float64))
    signs = (directions[where] * dof_directions(b)).sum(1)
    assert torch.allclose(signs.abs(), torch.ones_like(signs))
    assert (signs < 0).any()
    assert (b.interpolate(field) - values[where] * signs.round()).abs().max() < 1e-12


@pytest.mark.parametrize("element", ["P1", "P2", "CR", "P0"])
def test_spaces_without_directions_only_permute(element):
    mesh = uneven("triangle", 3)
    turned, _ = renumbered(mesh)
    a, b = FESpace(mesh, element), FESpace(turned, element)
    where = same_places(a, b)
    assert dof_directions(a) is None
    field = lambda x: torch.sin(x[0]) + x[1]  # noqa: E731
    assert (b.interpolate(field) - a.interpolate(field)[where]).abs().max() < 1e-13
    K = [s.assemble(lambda u, v, x: u * v).to_dense() for s in (a, b)]
    assert (K[1] - K[0][where][:, where]).abs().max() < 1e-13


@pytest.mark.parametrize("element", ["P2", "RT0", "N1", "P1^d", ("P2^d", "P1")])
def test_neighbours_are_the_dofs_that_share_a_cell(element):
    space = FESpace(uneven("tetra"), element)
    graph = dof_adjacency(space)
    pairs = {(int(a), int(b)) for cell in space.element_dofs for a in cell for b in cell if a != b}
    assert set(zip(graph.receivers.tolist(), graph.index.tolist(), strict=True)) == pairs
    assert graph.n_edges == len(pairs)
    assert torch.equal(graph.transpose()[0].index, graph.index)  # symmetric


@pytest.mark.parametrize(
    ("element", "kind", "counts"),
    [
        ("P2", "tetra", {0: 27, 1: 98}),
        ("N1", "tetra", {1: 98}),
        ("RT0", "tetra", {2: 120}),
        ("P2", "triangle", {0: 9, 2: 16}),
        ("RT1", "triangle", {2: 32, 3: 16}),
        ("P0", "quad", {3: 4}),
    ],
)
def test_dofs_know_what_they_belong_to(element, kind, counts):
    made = dof_entities(FESpace(uneven(kind, element=element), element))
    assert {int(k): int((made == k).sum()) for k in made.unique()} == counts


def test_normals_are_perpendicular_to_their_facets():
    space = FESpace(uneven("tetra"), "RT0")
    skmesh, normals = space.skmesh, dof_directions(space)
    corners = torch.from_numpy(skmesh.p[:, skmesh.facets].transpose(2, 1, 0))  # (facets, 3, dim)
    number = torch.from_numpy(space.numbering.facet_dofs[0]).long()
    for k in (1, 2):
        edge = corners[:, k] - corners[:, 0]
        assert ((edge * normals[number]).sum(1).abs() < 1e-12).all()


def test_directions_of_interior_dofs_are_zero():
    space = FESpace(uneven("triangle"), "RT1")
    lengths = dof_directions(space).norm(dim=1)
    inside = dof_entities(space) == 3
    assert (lengths[inside] == 0).all()
    assert torch.allclose(lengths[~inside], torch.ones_like(lengths[~inside]))


def test_a_composite_space_has_directions_for_its_directed_part():
    mesh = uneven("triangle")
    space = FESpace(mesh, ("RT0", "P0"))
    lengths = dof_directions(space).norm(dim=1)
    assert int((lengths > 0).sum()) == FESpace(mesh, "RT0").n_dofs
    assert int((lengths == 0).sum()) == mesh.n_cells


def test_edge_dofs_count_along_their_tangent():
    """Against scikit-fem's own functions: the dof's function has circulation of the sign of the direction."""
    space = FESpace(uneven("tetra"), "N1")
    ones = dof_directions(space)
    constant = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    dofs = space.interpolate(constant.tolist())
    lengths = dofs.abs() / (ones @ constant).abs()
    assert torch.equal(dofs.sign(), (ones @ constant).sign())
    edges = space.skmesh.edges
    wanted = torch.from_numpy(((space.skmesh.p[:, edges[0]] - space.skmesh.p[:, edges[1]]) ** 2).sum(0) ** 0.5)
    assert torch.allclose(lengths[torch.from_numpy(space.numbering.edge_dofs[0]).long()], wanted)
    assert abs(space.assemble(lambda x: inner(x.u, x.u), u=space.function(dofs)) - constant @ constant) < 1e-12
