"""Facets of one cell only, found without the facet table; also with so many points that keys do not fit 64 bits."""

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.facets import facet_keys, unique_facets
from meshlearn.mesh.lone import lone_facets
from meshlearn.mesh.unique import comparable_keys

KINDS = ["tetra", "hexahedron", "wedge", "pyramid"]


@pytest.mark.parametrize("n_points", [100, 3_000_000, 2_000_000_000])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_of_the_facet_table_whatever_the_number_of_points(kind, n_points):
    mesh = ml.shapes.box(n=3, cells=kind)
    # the same mesh with its points numbered from the end
    cells = {name: n_points - 1 - table for name, table in mesh.cells.items() if name in mesh.domain_types}
    found = lone_facets(cells, mesh.domain_types, n_points)
    table = unique_facets(cells, mesh.domain_types, n_points)
    for facet, block in table.items():
        expected = {tuple(sorted(row)) for row in block.nodes[block.count == 1].tolist()}
        assert {tuple(sorted(row)) for row in found[facet].tolist()} == expected
    assert sum(map(len, found.values())) == len(mesh.topology.boundary_facets.get("quad", ())) + len(
        mesh.topology.boundary_facets.get("triangle", ())
    )


def test_sides_of_a_solid_of_hexahedra_with_many_points():
    box = ml.shapes.box(n=38, cells="hexahedron")
    side = box.boundary_mesh()
    assert side.cell_counts == {"quad": 6 * 38 * 38}
    assert all(len(rows["quad"]) == 38 * 38 for rows in side.cell_sets.values())


@pytest.mark.parametrize("bound", [10, 2**31, 2**62])
def test_keys_of_several_tables_are_equal_for_equal_rows_only(bound):
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(bound - 3, bound, (50, 4), generator=generator)
    second = torch.randint(bound - 3, bound, (40, 4), generator=generator)
    a, b = comparable_keys([first, second], bound, 4)
    equal = (first[:, None] == second[None]).all(2)
    assert 0 < int(equal.sum()) < equal.numel()
    assert torch.equal(a[:, None] == b[None], equal)


def test_facets_are_matched_by_corners_in_any_order():
    one, other = facet_keys("quad", [torch.tensor([[0, 1, 5, 4]]), torch.tensor([[5, 4, 0, 1], [0, 1, 5, 6]])], 10**6)
    assert (other == one).tolist() == [True, False]
