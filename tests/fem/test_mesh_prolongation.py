import pytest
import torch
from multigrid_cases import square
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.errors import MeshError, ParameterError, TopologyError
from meshlearn.fem.mesh_prolongation import find_refinement, prolongation
from meshlearn.mesh.elevation import second_order
from meshlearn.mesh.refinement import refine

MESHES = {
    "line": lambda: ml.shapes.interval(n=3),
    "triangle": lambda: ml.shapes.disc(size=0.5),
    "quad": lambda: ml.shapes.square(n=3, cells="quad"),
    "mixed": lambda: ml.shapes.square(n=3, cells="mixed"),
    "tetra": lambda: ml.shapes.ball(refine=1),
    "hexahedron": lambda: ml.shapes.box(n=2, cells="hexahedron"),
    "wedge": lambda: ml.shapes.box(n=2, cells="wedge"),
    "pyramid": lambda: ml.shapes.box(n=2, cells="pyramid"),
    "surface": lambda: ml.shapes.sphere(refine=1),
}


@pytest.fixture(params=MESHES)
def coarse(request):
    return MESHES[request.param]().double()


def skewed(mesh):
    """The mesh after a smooth bend, so that quads and hexahedra are no parallelograms."""
    x = mesh.points
    return mesh.replace(points=x + 0.1 * torch.sin(2 * x.roll(1, dims=1)))


def test_constants_and_linears_are_carried_over_exactly(coarse):
    coarse = skewed(coarse)
    fine, P = refine(coarse), prolongation(coarse)
    assert_close(P @ coarse.points, fine.points, rtol=0, atol=1e-14)
    assert_close(P @ torch.ones(coarse.n_points).double(), torch.ones(fine.n_points).double(), rtol=0, atol=1e-14)


def test_parents_and_point_location_give_the_same_matrix(coarse):
    fine = refine(coarse)
    by_cells = prolongation(coarse, fine, how="refinement")
    by_place = prolongation(coarse, fine, how="location")
    assert_close(by_cells.to_dense(), by_place.to_dense(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["quad", "hexahedron"])
def test_skewed_multilinear_spaces_are_nested(kind):
    """Values at random places inside cells: prolonged, then evaluated on the fine mesh, or straight on the coarse."""
    coarse = skewed(MESHES[kind]().double())
    fine = refine(coarse)
    u = torch.randn(coarse.n_points, dtype=torch.float64)
    places = fine.points.new_empty(50, coarse.dim).uniform_(0.25, 0.75)
    on_coarse, _ = ml.interpolation_operator(coarse, places)
    on_fine, _ = ml.interpolation_operator(fine, places)
    assert_close(on_fine @ (prolongation(coarse) @ u), on_coarse @ u, rtol=0, atol=1e-8)


def test_second_order_functions_are_carried_over_exactly(coarse):
    fine = refine(coarse)
    P = prolongation(coarse, fine, order=2)

    def quadratic(x):
        return 1 + x[:, 0] ** 2 - 2 * x[:, -1] * x[:, 0] + x[:, -1]

    expected = quadratic(second_order(fine).points)
    assert_close(P @ quadratic(second_order(coarse).points), expected, rtol=0, atol=1e-13)


def test_curved_refinements_are_recognised_by_their_cells():
    coarse = ml.shapes.disc(size=0.4).double()
    fine = refine(coarse)
    moved = fine.replace(points=fine.points * 1.01)
    assert find_refinement(coarse, moved) is not None
    assert_close(prolongation(coarse, moved).values, prolongation(coarse).values)
    assert find_refinement(coarse, refine(fine)) is None


def test_location_serves_meshes_that_are_no_refinement():
    coarse, fine = square(4), square(12)
    P = prolongation(coarse, fine)
    assert_close(P @ coarse.points, fine.points, rtol=0, atol=1e-12)
    assert int(P.adjacency.degree().max()) <= 3  # three corners of a triangle


def test_dtype_follows_the_points_or_the_argument():
    mesh = ml.shapes.square(n=2)
    assert prolongation(mesh).dtype == torch.float32
    assert prolongation(mesh, dtype=torch.float64).dtype == torch.float64
    assert prolongation(mesh, refine(mesh), how="location").dtype == torch.float32


def test_points_without_cells_keep_their_values():
    mesh = square(2)
    lonely = mesh.replace(points=torch.cat([mesh.points, torch.tensor([[3.0, 3.0]]).double()]))
    P = prolongation(lonely).to_dense()
    assert P[9].tolist() == [0.0] * 9 + [1.0]
    assert_close(P.sum(1), torch.ones(len(P)).double())


def test_errors_name_what_is_wrong():
    coarse, fine = square(2), refine(square(2))
    with pytest.raises(TopologyError, match="not what refine"):
        prolongation(coarse, square(3), how="refinement")
    with pytest.raises(TopologyError, match="order 2"):
        prolongation(coarse, square(3), order=2)
    with pytest.raises(MeshError, match="away from the coarse mesh"):
        prolongation(coarse, fine.replace(points=fine.points + 5.0), how="location")
    with pytest.raises(ParameterError, match="order=3"):
        prolongation(coarse, order=3)
    with pytest.raises(ParameterError, match="how='guess'"):
        prolongation(coarse, how="guess")
    with pytest.raises(TopologyError, match="first-order"):
        prolongation(second_order(coarse))
