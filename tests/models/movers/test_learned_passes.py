"""Passes over many meshes: short ways give what the long ones do."""

import pytest
import torch
from learned_cases import DOMAINS, fitted, wild, with_field

import meshlearn as ml
from meshlearn import ops
from meshlearn.models.movers.learned.equation import Density
from meshlearn.models.movers.learned.geometry import geometry_of
from meshlearn.models.movers.learned.matrix import Matrix, Repeated
from meshlearn.models.movers.learned.passes import Skeleton
from meshlearn.models.movers.learned.sample import joined, mover_sample
from meshlearn.models.movers.learned.walk import walk


@pytest.mark.parametrize("width", [(), (1,), (3,)])
def test_repeated_blocks_are_the_block_diagonal_matrix(width):
    from scipy.sparse import random_array

    made = [
        Matrix.from_scipy(random_array(shape, density=0.4, rng=k).tocsr()) for k, shape in enumerate([(4, 3), (6, 5)])
    ]
    repeated = Repeated(tuple(made), (3, 2))
    each = [made[0]] * 3 + [made[1]] * 2
    whole = Matrix(ops.Adjacency.block_diagonal([m.adjacency for m in each]), torch.cat([m.values for m in each]))
    x = torch.rand(3 * 3 + 2 * 5, *width, dtype=torch.float64)
    torch.testing.assert_close(repeated @ x, whole @ x, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", DOMAINS)
def test_many_fields_on_one_mesh_are_moved_as_one_by_one(name):
    mesh = DOMAINS[name]().double()
    model = wild(fitted([with_field(mesh, 0)], hidden=8), 0.2)
    fields = [with_field(mesh, seed) for seed in range(6)]
    together = model.move(fields)
    for field, result in zip(fields, together, strict=True):
        alone = model.move(field)
        torch.testing.assert_close(result.mesh.points, alone.mesh.points, rtol=0, atol=2e-5)  # the network is float32
        assert result.raw_inverted == alone.raw_inverted
        torch.testing.assert_close(result.monitor_before, alone.monitor_before, rtol=1e-12, atol=1e-12)


def test_meshes_in_turns_come_back_in_their_order():
    kinds = [ml.shapes.square(n=4), ml.shapes.l_shape(n=3)]
    model = fitted([with_field(mesh, 0) for mesh in kinds])
    fields = [with_field(kinds[seed % 2], seed) for seed in range(12)]
    for field, result in zip(fields, model.move(fields), strict=True):
        assert result.start is field
        torch.testing.assert_close(result.mesh.points, model.move(field).mesh.points, rtol=0, atol=2e-5)


def test_each_of_many_fields_is_checked():
    mesh = ml.shapes.square(n=4)
    model = fitted([with_field(mesh, 0)])
    fields = [with_field(mesh, seed) for seed in range(3)]
    fields[2] = fields[2].with_point_data(u=fields[2].point_data["u"] * float("nan"))
    with pytest.raises(ml.FieldError, match="25 of 25 rows on mesh 2"):
        model.move(fields)
    with pytest.raises(ml.FieldError, match="mesh 1 has no field 'u'"):
        model.move([fields[0], mesh])


def test_boxes_give_the_cells_that_walking_from_home_does():
    """Inside, the cell is a matter of the place; outside, of the way, which is then the same."""
    mesh = ml.shapes.square(size=0.13).double()
    other = ml.shapes.rectangle(2.0, 1.0, n=(7, 5)).double()
    geometries = tuple(geometry_of(m, "slide", 45.0) for m in [mesh] * 5 + [other] * 4)
    quick, slow = Skeleton(geometries).sample.operators, joined([mover_sample(g) for g in geometries]).operators
    assert quick.shortcuts is not None
    assert quick.shortcuts.boxes is not None
    x = slow.points + 0.3 * torch.randn(slow.points.shape, generator=torch.Generator().manual_seed(0)).double()
    values = torch.rand(len(x), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    near, far = Density(quick, values), Density(slow, values)
    for place in (x, slow.points + 0.3 * (x - slow.points)):  # the second walk starts where the first one ended
        torch.testing.assert_close(near(place), far(place), rtol=0, atol=1e-4)  # a cell counts up to 1e-5 outside of it
    centroids = slow.points[slow.nodes.index.reshape(-1, 3)].mean(1)[slow.home.index]
    start = quick.shortcuts.boxes.start(centroids)
    for operators in (quick, slow):
        cells, outside = walk(operators, centroids, start)
        assert torch.equal(cells, slow.home.index)
        assert len(outside) == 0
    assert float((start == cells).double().mean()) > 0.5  # a box is smaller than a cell


def test_domains_that_are_not_convex_have_no_boxes():
    geometry = geometry_of(ml.shapes.l_shape(n=3).double(), "slide", 45.0)
    shortcuts = Skeleton((geometry,) * 8).sample.operators.shortcuts
    assert shortcuts is not None
    assert shortcuts.boxes is None
    assert shortcuts.rows == geometry.n_points
