"""The cell table, checked against geometry of the reference cells."""

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.cells import CELL_TYPES, cell_dim, cell_type
from meshlearn.mesh.geometry import signed_cell_measures
from meshlearn.mesh.reference import reference_cell

KINDS = [kind for kind, cell in CELL_TYPES.items() if cell.dim > 0]


def one_cell(kind: str) -> ml.Mesh:
    return ml.Mesh(reference_cell(kind).nodes.double(), {kind: [list(range(CELL_TYPES[kind].n_nodes))]})


@pytest.mark.parametrize("kind", KINDS)
def test_second_order_nodes_lie_where_the_table_says(kind):
    cell, nodes = CELL_TYPES[kind], reference_cell(kind).nodes.double()
    for corners, node in cell._node_of.items():
        torch.testing.assert_close(nodes[node], nodes[list(corners)].mean(0))


@pytest.mark.parametrize("kind", KINDS)
def test_flip_reverses_the_orientation_and_is_an_involution(kind):
    mesh, flip = one_cell(kind), CELL_TYPES[kind].flip
    flipped = mesh.replace(cells={kind: mesh.cells[kind][:, list(flip)]})
    torch.testing.assert_close(signed_cell_measures(flipped)[kind], -signed_cell_measures(mesh)[kind])
    assert [flip[i] for i in flip] == list(range(len(flip)))


@pytest.mark.parametrize("kind", [k for k in KINDS if CELL_TYPES[k].dim == 3])
def test_facets_of_a_solid_point_outward_and_enclose_its_volume(kind):
    mesh = one_cell(kind)
    boundary = mesh.boundary_mesh()
    assert boundary.is_watertight
    torch.testing.assert_close(boundary.volume(), mesh.volume())
    assert boundary.topology.euler_characteristic == 2


@pytest.mark.parametrize("kind", KINDS)
def test_links_connect_every_node(kind):
    assert one_cell(kind).topology.n_components == 1


def test_unknown_and_ragged_kinds_have_a_dimension_but_no_row():
    assert cell_dim("polygon") == 2
    with pytest.raises(ml.TopologyError, match="polyhedron"):
        cell_type("polyhedron")


def test_cells_of_higher_order_keep_their_dimension():
    """Boundary lines of a third-order mesh are not taken for its domain."""
    mesh = ml.Mesh(torch.rand(12, 2), {"line4": [[0, 1, 3, 4]], "triangle10": [list(range(10))]})
    assert (mesh.cell_dim, mesh.domain_types, mesh.n_cells) == (2, ["triangle10"], 1)
    with pytest.raises(ml.TopologyError, match="triangle10"):
        _ = mesh.edges


def test_tags_of_unknown_kinds_do_not_stop_the_domain():
    mesh = ml.Mesh(torch.rand(5, 2), {"triangle": [[0, 1, 2]], "poly_line": [[0, 1, 2, -1]]})
    assert mesh.point_adjacency.n_edges == 6
    torch.testing.assert_close(mesh.point_measures().sum(), mesh.measure())
