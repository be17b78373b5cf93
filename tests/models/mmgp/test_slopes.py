"""What interpolation misses is told exactly for quadratic fields inside, and is nothing for what cells hold."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.projection import Projection
from meshlearn.models.mmgp.slopes import Slopes

SHAPES = {
    "triangle": lambda n: ml.shapes.square(n=n, dtype=torch.float64),
    "quad": lambda n: ml.shapes.square(n=n, cells="quad", dtype=torch.float64),
    "tetra": lambda n: ml.shapes.box(n=n, dtype=torch.float64),
    "hexahedron": lambda n: ml.shapes.box(n=n, cells="hexahedron", dtype=torch.float64),
}


def shifted(mesh, by=0.0, turn=0.3):
    c, s = torch.cos(torch.tensor(turn)).double(), torch.sin(torch.tensor(turn)).double()
    points = mesh.points.clone()
    points[:, :2] = points[:, :2] @ torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
    return mesh.replace(points=points + by)


def linear(p):
    return (p @ torch.arange(1.0, p.shape[1] + 1).double() + 2)[:, None]


def quadratic(p):
    p = p - p.mean(0)
    return (p[:, 0] ** 2 - 2 * p[:, 0] * p[:, 1] + 3 * p[:, -1] ** 2 + p[:, 1])[:, None]


def inside(mesh, share=0.25, count=60):
    """Places away from the boundary, where gradients of uniform meshes are exact for quadratic fields."""
    g = torch.Generator().manual_seed(0)
    low, high = mesh.bounding_box()
    return (low + high) / 2 + (torch.rand(count, mesh.dim, generator=g).double() - 0.5) * share * (high - low)


@pytest.mark.parametrize(("share", "tolerance"), [(0.25, 1e-12), (1.0, 0.15)])
@pytest.mark.parametrize("kind", SHAPES)
def test_quadratic_fields_are_missed_by_what_is_told(kind, share, tolerance):
    """Exactly away from the boundary, nearly there."""
    mesh = shifted(SHAPES[kind](8))
    places = inside(mesh, share)
    matrix, status = ml.interpolation_operator(mesh, places)
    places, matrix = places[status == 0], ml.interpolation_operator(mesh, places[status == 0])[0]
    both = quadratic(torch.cat([mesh.points, places]))
    values, truth = both[: mesh.n_points], both[mesh.n_points :]
    lost = truth - matrix @ values
    told = Slopes(mesh).missed(matrix, places, values)
    assert float(lost.abs().amax()) > 1e-3
    assert float((told - lost).norm()) < tolerance * float(lost.norm())


def test_projection_is_told_from_the_values_at_the_points():
    mesh = shifted(ml.shapes.square(n=16, dtype=torch.float64))
    onto = Projection(mesh)
    both = quadratic(torch.cat([mesh.points, onto.points]))
    values, truth = both[: mesh.n_points], both[mesh.n_points :]
    lost = onto(truth) - values
    assert float((onto.bent(values) - lost).norm()) < 0.05 * float(lost.norm())


@pytest.mark.parametrize("by", [0.0, 1e6])
@pytest.mark.parametrize("kind", SHAPES)
def test_linear_fields_are_not_missed(kind, by):
    mesh = shifted(SHAPES[kind](4), by)
    places = inside(mesh)
    matrix, _ = ml.interpolation_operator(mesh, places)
    told = Slopes(mesh).missed(matrix, places, linear(mesh.points))
    assert float(told.abs().amax()) < 1e-15 * float(linear(mesh.points).abs().amax()) * 10


def test_second_order_cells_miss_nothing_of_quadratic_fields():
    mesh = ml.shapes.square(n=3, order=2, dtype=torch.float64)
    assert mesh.domain_types == ["triangle6"]
    places = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)).double()
    matrix, _ = ml.interpolation_operator(mesh, places)
    assert float(Slopes(mesh).missed(matrix, places, quadratic(mesh.points)).abs().amax()) < 1e-13


def test_beyond_the_boundary_fields_go_on_with_their_slope():
    mesh = ml.shapes.square(n=4, dtype=torch.float64)
    places = torch.tensor([[1.1, 0.4], [0.3, -0.15]]).double()
    matrix, _ = ml.interpolation_operator(mesh, places)
    told = matrix @ linear(mesh.points) + Slopes(mesh).missed(matrix, places, linear(mesh.points))
    assert torch.allclose(told, linear(places), atol=1e-13)


@pytest.mark.parametrize("kind", SHAPES)
def test_linear_cell_fields_are_exact_up_to_the_boundary(kind):
    mesh = shifted(SHAPES[kind](4))
    places = inside(mesh, share=1.0)
    where = ml.mesh.location.PointLocator(mesh).locate(places)
    places, cells = places[where.status == 0], where.cell[where.status == 0]
    centres = mesh.join_cells(mesh.cell_centroids())
    told = Slopes(mesh).missed_in_cells(cells, places, linear(centres))
    assert float((linear(places) - linear(centres)[cells] - told).abs().amax()) < 1e-12


def test_cell_fields_of_one_row_of_cells_have_slopes_along_it_only():
    mesh = ml.shapes.rectangle(4.0, 1.0, n=(8, 1), cells="quad", dtype=torch.float64)
    slopes = Slopes(mesh).in_cells(linear(mesh.join_cells(mesh.cell_centroids())))[..., 0].T
    assert torch.allclose(slopes, torch.tensor([1.0, 0.0]).double().expand(8, 2), atol=1e-12)
