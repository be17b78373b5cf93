"""How the matrices of transfers are made: the same in few blocks and many, by factors and by iterations."""

import pytest
import torch

import meshlearn as ml
from meshlearn.grids import neighborhoods
from meshlearn.grids.least_squares import LeastSquares
from meshlearn.grids.neighborhoods import neighborhoods as found


def box(n=4):
    mesh = ml.shapes.box(n=n).double()
    shift = torch.rand(mesh.points.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    inner = ((mesh.points > 0.01) & (mesh.points < 0.99)).all(1, keepdim=True)
    return mesh.replace(points=mesh.points + 0.3 / n * shift * inner)


def blocks(mesh, grid, neighbors=10, radius=2.0):
    sites = ml.MeshToGrid(grid.shape).transfer(mesh).sites
    return list(found(sites.places, sites.weights, grid, grid.points, radius, neighbors, spanning=True))


def test_small_blocks_and_large_ones_make_the_same_matrix(monkeypatch):
    mesh = box()
    expected = ml.MeshToGrid(11, "kernel").transfer(mesh).regressing
    monkeypatch.setattr(neighborhoods, "_AT_ONCE", 7)
    monkeypatch.setattr(neighborhoods, "_SEARCHED", 100)
    made = ml.MeshToGrid(11, "kernel").transfer(box()).regressing
    assert torch.equal(made.ptr, expected.ptr)
    assert torch.equal(made.index, expected.index)
    assert torch.allclose(made.values, expected.values, rtol=1e-10, atol=1e-14)


def test_every_node_is_in_one_block_and_shares_add_up_to_one():
    mesh = box()
    grid = ml.MeshToGrid(9).grid(mesh)
    nodes = torch.cat([block.nodes for block in blocks(mesh, grid)])
    assert torch.equal(nodes.sort().values, torch.arange(grid.n_nodes))
    for block in blocks(mesh, grid):
        assert torch.allclose(ml.ops.segment_sum(block.share[:, None], block.rows), torch.ones(()).double())
        assert bool((block.offset.norm(dim=1) < block.reach[block.rows.receivers]).all())


def test_a_thin_plate_is_not_searched_ever_farther():
    """Its values lie about in one plane, however far one looks."""
    mesh = ml.shapes.box(n=(24, 24, 1)).double()
    plate = mesh.replace(points=mesh.points * torch.tensor([1.0, 1.0, 0.001]).double())
    grid = ml.MeshToGrid((25, 25, 2)).grid(plate)
    flat = [block.reach.max() for block in blocks(plate, grid, radius=1.5)]
    assert max(flat) < 8


def test_values_in_one_plane_of_a_thick_box_are_not_searched_ever_farther():
    flat = torch.rand(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cloud = ml.Mesh(torch.cat([flat, 0.3 * flat[:, :1]], dim=1))
    grid = ml.MeshToGrid(9, box=((0.0, 0.0, -0.5), (1.0, 1.0, 0.5))).grid(cloud)
    assert max(float(block.reach.max()) for block in blocks(cloud, grid)) < 12
    field = flat[:, 0] + 2 * flat[:, 1]
    assert ml.MeshToGrid(9, "kernel", box=((0.0, 0.0, -0.5), (1.0, 1.0, 0.5))).floor(cloud, field) < 1e-12


def test_values_in_one_place_have_no_slope():
    """Their spread is rounding: a slope made of it would be of any size."""
    cloud = ml.Mesh(torch.full((5, 2), 0.3, dtype=torch.float64))
    adapter = ml.MeshToGrid(8, "kernel", box=((0.0, 0.0), (1.0, 1.0)))
    grid = adapter.to_grid(cloud, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).double())
    assert torch.allclose(grid, torch.full((8, 8), 3.0).double())


@pytest.mark.parametrize("amplitude", [2e-2, 1e-2, 1e-4])
def test_a_slightly_wavy_sheet_has_no_slope_across_it(amplitude):
    square = ml.shapes.square(n=24).double()
    x, y = square.points.unbind(1)
    sheet = ml.Mesh(torch.stack([x, y, amplitude * torch.sin(5 * x)], dim=1), square.cells)
    field = torch.sin(3 * x) * y
    adapter = ml.MeshToGrid((13, 13, 7), "kernel", box=((0.0, 0.0, -0.25), (1.0, 1.0, 0.25)))
    assert adapter.to_grid(sheet, field).abs().max() < 2 * field.abs().max()
    assert adapter.floor(sheet, field) < 0.03


@pytest.mark.parametrize("regularization", [1e-3, 1e-6])
def test_least_squares_by_iterations_are_those_by_factors(regularization):
    pair = ml.MeshToGrid(7, "l2").transfer(box())
    rest = torch.randn(pair.sites.n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parts = pair._fixed_sampling, pair.sites.mass, pair._weights, regularization
    direct, iterated = (LeastSquares(*parts, dim=dim).change(rest) for dim in (2, 3))
    assert torch.allclose(direct, iterated, atol=1e-8 * float(direct.abs().max()))


def test_gradients_pass_through_the_iterations():
    pair = ml.MeshToGrid(5, "l2").transfer(box(2))
    values = torch.randn(pair.sites.n, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: pair.to_grid(u).square(), values)
    assert torch.autograd.gradgradcheck(lambda u: pair.to_grid(u).square(), values)
