import math

import pytest
import torch

import meshlearn as ml
from tests.grids.adapter_cases import TRANSFERS, box, linear, plate, random_values, renumbered, square, wave

EVERY_KIND = {
    "triangle": lambda: square(),
    "quad": lambda: square(cells="quad"),
    "mixed": lambda: square(8, cells="mixed"),
    "triangle6": lambda: square(5, order=2),
    "plate": plate,
    "tetra": box,
    "hexahedron": lambda: box("hexahedron"),
    "wedge": lambda: box("wedge"),
    "pyramid": lambda: box("pyramid", 3),
    "tetra10": lambda: ml.second_order(box(n=3)),
    "line": lambda: ml.shapes.interval(n=9).double(),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_constants_survive_every_transfer_on_every_cell_type(kind, transfer):
    mesh = EVERY_KIND[kind]()
    ones = torch.ones(mesh.n_points, dtype=torch.float64)
    made = ml.MeshToGrid(7, transfer).to_grid(mesh, ones)
    assert (made - 1).abs().max() < 1e-12
    assert ml.MeshToGrid(7, transfer).floor(mesh, ones) < 1e-12


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("transfer", ["interpolate", "l2", "kernel"])
def test_linear_fields_survive_also_beside_holes(kind, transfer):
    mesh = EVERY_KIND[kind]()
    assert ml.MeshToGrid(9, transfer).floor(mesh, linear(mesh)) < 1e-12


@pytest.mark.parametrize("kind", ["triangle", "mixed", "plate", "hexahedron"])
@pytest.mark.parametrize("transfer", ["l2", "conservative"])
def test_the_integral_is_kept_on_the_grid_and_after_the_way_back(kind, transfer):
    mesh = EVERY_KIND[kind]()
    transfer = ml.MeshToGrid(11, transfer).transfer(mesh)
    values = random_values(mesh.n_points, 2).abs()
    exact = transfer.sites.mass.T @ values
    on_grid = transfer.to_grid(values)
    stands_for = transfer.weights
    assert abs(stands_for.sum() / mesh.measure() - 1) < 1e-12
    kept = (stands_for[..., None] * on_grid).flatten(0, -2).sum(0)
    back = (transfer.sites.mass.T @ transfer.to_mesh(on_grid)).sum(0)
    assert torch.allclose(kept, exact.sum(0), rtol=1e-12, atol=0)
    assert torch.allclose(back, exact.sum(0), rtol=1e-12, atol=0)


def test_conservative_means_without_corrections_have_no_new_extrema():
    mesh = plate()
    jump = (mesh.points[:, 0] > 0.5).double()
    means = ml.MeshToGrid(17, "conservative", "nearest", corrections=0).to_grid(mesh, jump)
    assert means.min() >= 0
    assert means.max() <= 1 + 1e-12
    assert ml.MeshToGrid(17, "l2").to_grid(mesh, jump).max() > 1.01  # which a least-squares fit does not promise


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fitted_values_stay_near_the_range_of_the_field_where_samples_say_little(seed):
    """A mesh about as fine as the grid leaves nodes that samples hardly see: a plain fit gives them any value."""
    holes = [(0.3, 0.3, 0.1), (0.7, 0.7, 0.12)]
    mesh = ml.shapes.plate_with_holes(holes, size=0.033 + 0.0005 * seed, seed=seed).double()
    values = ml.sim.darcy.GaussianField(0)(mesh.points).exp()
    assert ml.MeshToGrid(32, "l2").to_grid(mesh, values).abs().max() < 1.3 * values.max()
    assert ml.MeshToGrid(32, "l2", regularization=1e-10).to_grid(mesh, values).abs().max() > 10 * values.max()


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_gather_is_the_adjoint_of_to_mesh(kind):
    mesh = EVERY_KIND[kind]()
    transfer = ml.MeshToGrid(8).transfer(mesh)
    c, u = random_values(transfer.grid.n_nodes).reshape(transfer.grid.shape), random_values(mesh.n_points, seed=1)
    left = (transfer.to_mesh(c) * (transfer.sites.mass @ u)).sum()
    right = (transfer.weights * c * transfer.gather(u)).sum()
    size = (transfer.weights * c.square()).sum().sqrt() * (u * (transfer.sites.mass @ u)).sum().sqrt()
    assert abs(left - right) < 1e-12 * size


@pytest.mark.parametrize("shape", [square, plate])
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_the_round_trip_converges_at_second_order_with_mesh_and_grid(shape, transfer):
    floors = []
    for k in (1, 2):
        mesh = square(16 * k) if shape is square else plate(0.08 / k)
        floors.append(ml.MeshToGrid(8 * k + 1, transfer).floor(mesh, wave(mesh.points)))
    assert floors[1] < 0.01
    assert floors[0] / floors[1] > 2.6, floors  # 2^2 in the limit; 2^1.5 where a boundary is seen from one side


def test_zero_fill_would_not_converge_and_extension_does():
    floors, zero = [], []
    for k in (1, 2, 4):
        mesh = plate(0.08 / k)
        transfer = ml.MeshToGrid(16 * k + 1).transfer(mesh)
        values = 2.0 + wave(mesh.points)
        filled = transfer.to_grid(values) * transfer.mask
        error = transfer.to_mesh(filled) - values
        zero.append(float((error.square() * transfer.sites.weights).sum().sqrt()))
        floors.append(transfer.floor(values))
    assert floors[2] < floors[0] / 8
    assert zero[2] > 30 * floors[2]


def test_kernel_transfer_hardly_sees_how_a_mesh_is_graded():
    """u on a uniform and a graded mesh of the same domain: the grids differ by O(h^2)."""
    gaps = []
    for n in (16, 32):
        uniform = square(n)
        x = uniform.points
        graded = uniform.replace(points=torch.stack([x[:, 0] ** 2 * 0.5 + x[:, 0] * 0.5, x[:, 1]], dim=1))
        adapter = ml.MeshToGrid(9, "kernel")
        gaps.append(
            float((adapter.to_grid(uniform, wave(x)) - adapter.to_grid(graded, wave(graded.points))).abs().max())
        )
    assert gaps[1] < gaps[0] / 2.5
    assert gaps[1] < 5e-3


def test_every_node_has_neighbours_however_small_the_radius():
    mesh = square(4)
    adapter = ml.MeshToGrid(33, "kernel", radius=0.1)
    made = adapter.to_grid(mesh, linear(mesh))
    assert torch.allclose(made.reshape(-1), 1 + adapter.grid(mesh).points @ torch.tensor([2.0, -1.0]).double())


def test_neighbours_in_one_line_are_not_enough_for_the_kernel():
    """A hexagonal ring of 6 spokes with 25 points each: around many nodes, the nearest points are all on one spoke."""
    mesh = ml.shapes.annulus(n=(6, 24), boundary=False).double()
    for corners in (None, ((-2.0, -2.0), (3.0, 3.0))):
        assert ml.MeshToGrid(21, "kernel", box=corners).floor(mesh, linear(mesh)) < 1e-9


def test_nodes_of_the_mesh_on_nodes_of_the_grid_are_the_identity():
    mesh = square(8, cells="quad")
    for transfer in ("interpolate", "l2"):
        pair = ml.MeshToGrid(9, transfer).transfer(mesh)
        values = random_values(mesh.n_points)
        assert torch.allclose(pair.to_mesh(pair.to_grid(values)), values, rtol=0, atol=1e-13)
        at = pair.to_mesh(torch.arange(81.0).double().reshape(9, 9))
        assert torch.equal(at, at.round())
        assert torch.equal(pair.grid.points[at.long()].float(), mesh.points.float())


def test_periodic_axes_wrap_and_have_no_seam():
    mesh = ml.shapes.rectangle(2 * math.pi, 1.0, n=(48, 8), boundary=False).double()
    values = torch.sin(mesh.points[:, 0])
    for transfer in TRANSFERS:
        adapter = ml.MeshToGrid((24, 5), transfer, periodic=[True, False])
        made = adapter.to_grid(mesh, values)
        exact = torch.sin(torch.arange(24) * 2 * math.pi / 24).double()[:, None].expand(24, 5)
        assert (made - exact).abs().max() < 0.05, transfer
        assert adapter.floor(mesh, values) < 0.05
        back = adapter.to_mesh(mesh, exact)
        left, right = mesh.points[:, 0] < 1e-9, mesh.points[:, 0] > 2 * math.pi - 1e-9
        assert torch.allclose(back[left], back[right], atol=1e-12)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_swapping_the_axes_of_the_mesh_swaps_those_of_the_grid(transfer):
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(12, 6), boundary=False).double()
    turned = mesh.replace(points=mesh.points.flip(1))
    values = random_values(mesh.n_points)
    adapter = ml.MeshToGrid(13, transfer)
    assert adapter.grid(mesh).shape == (13, 7)
    assert adapter.grid(turned).shape == (7, 13)
    assert torch.allclose(adapter.to_grid(turned, values), adapter.to_grid(mesh, values).T, atol=1e-9)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_the_numbering_of_the_points_does_not_matter(transfer):
    mesh = plate()
    other, order = renumbered(mesh)
    values = wave(mesh.points)
    adapter = ml.MeshToGrid(15, transfer)
    assert torch.allclose(adapter.to_grid(other, values[order]), adapter.to_grid(mesh, values), atol=1e-9)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_gradients_flow_through_both_ways(transfer):
    mesh = square(3)
    pair = ml.MeshToGrid(4, transfer).transfer(mesh)
    values = random_values(mesh.n_points).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: pair.to_mesh(pair.to_grid(u).square()), values)


def test_to_mesh_is_differentiable_in_the_points():
    mesh = square(3)
    inner = mesh.points.clamp(0.06, 0.94) * 0.97 + 0.011
    adapter = ml.MeshToGrid(4, box=((0.0, 0.0), (1.0, 1.0)))
    grid = random_values(16).reshape(4, 4)
    points = inner.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: adapter.to_mesh(mesh.replace(points=p), grid), points)


def test_meshes_of_equal_sizes_are_not_taken_for_each_other():
    adapter = ml.MeshToGrid(6)
    first = square(4)
    second = first.replace(points=first.points + 1.0)
    assert adapter.transfer(first) is adapter.transfer(square(4))
    assert adapter.transfer(first) is not adapter.transfer(second)
    assert adapter.grid(second).low == (1.0, 1.0)


def test_cell_fields_go_by_cells_and_keep_their_integral():
    mesh = plate()
    inside = (mesh.join_cells(mesh.cell_centroids())[:, 0] > 0.5).double()
    adapter = ml.MeshToGrid(21)
    made = adapter.to_grid(mesh, inside, location="cell")
    assert set(made.unique().tolist()) == {0.0, 1.0}
    pair = ml.MeshToGrid(21, "conservative").transfer(mesh, "cell")
    kept = (pair.weights * pair.to_grid(inside)).sum()
    assert abs(kept / (mesh.join_cells(mesh.cell_measures()) * inside).sum() - 1) < 1e-12


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_surfaces_and_point_clouds_are_carried(transfer):
    sphere = ml.shapes.sphere(refine=3).double()
    cloud = ml.Mesh(torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    assert ml.MeshToGrid(17, transfer).floor(sphere, sphere.points[:, 2]) < 0.1
    assert ml.MeshToGrid(9, transfer).floor(cloud, linear(cloud)) < 0.05


def test_mask_and_signed_distance_of_a_plate_with_a_hole():
    mesh = ml.shapes.plate_with_holes(holes=[(0.5, 0.5, 0.25)], size=0.05).double()
    pair = ml.MeshToGrid(21).transfer(mesh)
    centre = (pair.grid.points - 0.5).norm(dim=1).reshape(21, 21)
    wall = (pair.grid.points - 0.5).abs().amax(1).reshape(21, 21)
    exact = torch.minimum(centre - 0.25, 0.5 - wall)
    assert (pair.signed_distance - exact).abs().max() < 0.005  # the hole is a polygon
    clear = exact.abs() > 0.01
    assert torch.equal(pair.mask[clear], exact[clear] > 0)


def test_distance_in_a_periodic_channel_knows_no_ends():
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(8, 4), boundary=False).double()
    pair = ml.MeshToGrid((8, 5), periodic=[True, False]).transfer(mesh)
    assert torch.allclose(pair.signed_distance, torch.tensor([0.0, 0.25, 0.5, 0.25, 0.0]).double().expand(8, 5))


def test_shape_for_finds_a_grid_that_is_fine_enough():
    mesh = square(40)
    values = torch.sin(6 * mesh.points[:, 0])
    adapter = ml.MeshToGrid(6)
    assert adapter.floor(mesh, values) > 0.1
    n = adapter.shape_for(mesh, values, 0.02)
    assert adapter.with_shape(n).floor(mesh, values) <= 0.02
    assert n < 60


def test_a_jump_is_told_before_memory_is_gone():
    mesh = plate()
    with pytest.raises(ml.ParameterError, match="jumps or is rough"):
        ml.MeshToGrid(8).shape_for(mesh, random_values(mesh.n_points), 1e-12, most_nodes=5000)


@pytest.mark.parametrize("transfer", ["conservative", "kernel"])
def test_an_error_that_no_grid_reaches_is_told_early_and_with_the_reason(transfer):
    mesh = square(10)
    with pytest.raises(ml.ParameterError, match=r"(?s)grids finer than the mesh stay at .* Choose transfer="):
        ml.MeshToGrid(8, transfer=transfer).shape_for(mesh, torch.sin(mesh.points[:, 0]), 1e-3)
    assert ml.MeshToGrid(8, transfer="l2").shape_for(mesh, torch.sin(mesh.points[:, 0]), 1e-3) == 8


def test_cells_without_any_area_are_told():
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    mesh = ml.Mesh(points, {"triangle": torch.tensor([[0, 1, 2]])})
    for transfer in ("l2", "conservative", "kernel"):
        with pytest.raises(ml.MeshError, match="area"):
            ml.MeshToGrid(8, transfer=transfer).to_grid(mesh, torch.ones(4))


def test_trailing_axes_and_dtypes_are_kept():
    mesh = ml.shapes.square(n=5)
    adapter = ml.MeshToGrid(6)
    values = torch.rand(mesh.n_points, 2, 3)
    made = adapter.to_grid(mesh, values)
    assert made.shape == (6, 6, 2, 3)
    assert made.dtype == torch.float32
    assert adapter.to_mesh(mesh, made).shape == values.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ml.MeshToGrid(3), "shape=3 is not allowed: a whole number of at least 4"),
        (lambda: ml.MeshToGrid(8, "interpolation"), "did you mean 'interpolate'"),
        (lambda: ml.MeshToGrid(8, extension="zero"), "extension='zero'"),
        (lambda: ml.MeshToGrid(8, box=((0, 0), (0, 1))), "every coordinate of the first corner"),
        (lambda: ml.MeshToGrid(8, regularization=0.0), "regularization=0.0"),
        (lambda: ml.MeshToGrid(8, periodic="x"), "periodic='x'"),
        (lambda: ml.MeshToGrid(8, "kernel", radius=0.0), "radius=0.0"),
        (lambda: ml.MeshToGrid((8, 8, 8)).grid(square(2)), "the mesh has 2 axes"),
        (lambda: ml.MeshToGrid(8, periodic=[True]).grid(square(2)), "has 1 flags"),
        (lambda: ml.MeshToGrid(8).grid(ml.shapes.sphere(refine=1).replace(points=torch.zeros(42, 3))), "no extent"),
        (lambda: ml.MeshToGrid(8).grid(ml.Mesh(torch.zeros(0, 2))), "no points"),
        (lambda: ml.MeshToGrid(8, box=((0, 0), (0.5, 1))).floor(square(2), linear(square(2))), "outside the box"),
        (lambda: ml.MeshToGrid(8).to_grid(square(2), torch.zeros(5)), r"expected \(9, '...'\)"),
        (lambda: ml.MeshToGrid(8).to_mesh(square(2), torch.zeros(5, 5)), r"expected \(8, 8, '...'\)"),
        (lambda: ml.MeshToGrid(8).to_grid(square(2), torch.zeros(9).long()), "torch.int64: use .float()"),
        (lambda: ml.MeshToGrid(8).to_grid(square(2), [1.0]), "tensor of floating-point values .* a list"),
        (lambda: ml.MeshToGrid(200_000).grid(square(2)), "grid of 4e.10 nodes"),
        (lambda: ml.MeshToGrid(8).shape_for(square(2), torch.ones(9), "small"), "error='small'"),
        (lambda: ml.MeshToGrid(8).floor(square(2), torch.full((9,), torch.nan)), "9 of 9 values are not finite"),
        (lambda: ml.MeshToGrid(8).transfer(square(2), "face"), "location='face'"),
        (lambda: ml.MeshToGrid(8).floor(square(2), "pressure"), "no field 'pressure'"),
        (lambda: ml.MeshToGrid(8).floor(square(2), 3), "field=3: the name"),
        (lambda: ml.MeshToGrid(8).shape_for(square(2), wave(square(2).points), 1e-9, 3), "most_nodes=3: the coarsest"),
    ],
)
def test_wrong_arguments_are_told(make, message):
    with pytest.raises(ml.MeshlearnError, match=message):
        make()
