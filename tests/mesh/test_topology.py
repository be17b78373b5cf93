"""Topology against invariants and an independent package (trimesh, scikit-fem)."""

import numpy as np
import pytest
import skfem
import torch
import trimesh

import meshlearn as ml
from meshlearn.mesh.lone import lone_facets

BOXES = {"tetra": skfem.MeshTet, "hexahedron": skfem.MeshHex, "triangle": skfem.MeshTri, "quad": skfem.MeshQuad}
# scikit-fem numbers the corners of a hexahedron its own way; this brings them into VTK's order
HEX_ORDER = [0, 1, 4, 2, 3, 5, 7, 6]


def unit(kind: str, refine: int = 2) -> tuple[ml.Mesh, skfem.Mesh]:
    source = BOXES[kind]().refined(refine)
    nodes = source.t.T[:, HEX_ORDER] if kind == "hexahedron" else source.t.T
    return ml.Mesh(source.p.T.copy(), {kind: nodes.copy()}), source


@pytest.mark.parametrize("kind", BOXES)
def test_counts_agree_with_scikit_fem(kind):
    mesh, source = unit(kind)
    topology = mesh.topology
    assert sum(len(block) for block in topology.facets.values()) == source.nfacets
    assert sum(len(nodes) for nodes in topology.boundary_facets.values()) == len(source.boundary_facets())
    assert topology.boundary_points.tolist() == sorted(source.boundary_nodes().tolist())
    if mesh.dim == 3:
        assert len(topology.edges) == source.nedges
    assert topology.euler_characteristic == 1
    assert topology.is_manifold
    assert topology.n_components == 1


@pytest.mark.parametrize("kind", BOXES)
def test_every_facet_names_its_cells(kind):
    mesh, _ = unit(kind)
    for block in mesh.facets.values():
        nodes = mesh.cells[kind]
        for side in (0, 1):
            rows = block.cells[:, side] >= 0
            own = nodes[block.cells[rows, side]]
            assert bool((own[:, None, :] == block.nodes[rows][:, :, None]).any(2).all())
        assert bool((block.cells[block.count == 1][:, 1] == -1).all())
        assert bool((block.cells[block.count == 2][:, 0] < block.cells[block.count == 2][:, 1]).all())


@pytest.mark.parametrize("kind", BOXES)
def test_boundary_facets_are_the_same_with_and_without_the_facet_table(kind):
    topology = unit(kind)[0].topology
    quick = lone_facets(topology.cells, topology.kinds, topology.n_points)
    for facet, block in topology.facets.items():
        assert torch.equal(quick[facet], block.nodes[block.boundary])


def test_adjacency_is_symmetric_and_has_no_loops():
    graph = unit("tetra")[0].point_adjacency
    pairs = torch.stack([graph.index, graph.receivers], 1)
    assert not bool((pairs[:, 0] == pairs[:, 1]).any())
    assert torch.equal(torch.unique(pairs, dim=0), torch.unique(pairs.flip(1), dim=0))
    assert len(torch.unique(pairs, dim=0)) == graph.n_edges


def test_point_cells_and_cell_adjacency_count_what_they_should():
    mesh, source = unit("triangle")
    assert mesh.topology.point_cells.n_edges == 3 * mesh.n_cells
    assert mesh.topology.cell_adjacency.n_edges == 2 * (source.nfacets - len(source.boundary_facets()))


def test_lower_dimensional_cells_join_the_graph_but_not_the_domain():
    mesh = ml.Mesh(torch.rand(4, 2), {"triangle": [[0, 1, 2]], "line": [[2, 3]]})
    assert mesh.point_adjacency.n_edges == 8
    assert len(mesh.edges) == 3
    assert mesh.topology.n_components == 1


def test_two_pieces_and_a_stray_point():
    points = torch.rand(7, 2)
    mesh = ml.Mesh(points, {"triangle": [[0, 1, 2], [3, 4, 5]]})
    assert mesh.topology.n_components == 2
    assert mesh.topology.is_used.tolist() == [True] * 6 + [False]


def sphere() -> ml.Mesh:
    ico = trimesh.creation.icosphere(subdivisions=2)
    return ml.Mesh(np.array(ico.vertices), {"triangle": np.array(ico.faces)})


def test_a_closed_surface_has_no_boundary():
    mesh = sphere()
    assert mesh.topology.is_closed
    assert mesh.is_watertight
    assert mesh.topology.boundary_points.numel() == 0
    assert mesh.topology.boundary_loops == []
    assert mesh.topology.euler_characteristic == 2


def test_surfaces_that_touch_in_a_point_or_share_an_edge_thrice_are_not_manifold():
    fan = ml.Mesh(torch.rand(5, 3), {"triangle": [[0, 1, 2], [0, 3, 4]]})
    book = ml.Mesh(torch.rand(5, 3), {"triangle": [[0, 1, 2], [0, 1, 3], [0, 1, 4]]})
    assert not fan.topology.is_manifold
    assert not book.topology.is_manifold
    double = sphere()
    joined = ml.Mesh(
        torch.cat([double.points, double.points[1:]]),
        {"triangle": torch.cat([double.cells["triangle"], _shift(double.cells["triangle"], double.n_points - 1)])},
    )
    assert not joined.topology.is_manifold  # two closed spheres that share one point


def _shift(cells, by):
    return torch.where(cells == 0, 0, cells + by)


def test_loops_of_an_annulus_run_round_the_domain():
    mesh = ml.shapes.annulus(0.5, 1.0, n=(3, 12), boundary=False)
    loops = mesh.topology.boundary_loops
    assert len(loops) == 2
    assert sum(len(loop) for loop in loops) == len(mesh.boundary_points)
    area = sum(_shoelace(mesh.points[loop]) for loop in loops)
    torch.testing.assert_close(area, mesh.measure())  # outer loop counter-clockwise, inner one clockwise


def _shoelace(x):
    y = x.roll(-1, 0)
    return (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum() / 2


def test_collapsed_cells_have_no_edge_from_a_point_to_itself():
    """A triangle written as a quad, as finite-element codes do."""
    mesh = ml.Mesh(torch.rand(5, 2), {"quad": [[0, 1, 2, 2], [1, 3, 4, 2]]})
    assert mesh.edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 4], [3, 4]]
    assert mesh.topology.euler_characteristic == 1
    assert mesh.point_adjacency.n_edges == 12


def test_ragged_kinds_are_refused_by_name():
    mesh = ml.Mesh(torch.rand(6, 2), {"polygon": [[0, 1, 2, 3, 4, -1]]})
    with pytest.raises(ml.TopologyError, match="polygon"):
        _ = mesh.edges
