"""Graph matrices: what a Laplacian and a gradient must do to constants, linear fields and energies."""

import pytest
import torch

import meshlearn as ml
from meshlearn import ops


def near(points, radius):
    return ops.radius_neighbors(points, points, radius, exclude_self=True)


@pytest.fixture
def cloud():
    points = torch.rand(60, 2, dtype=torch.float64)
    return points, near(points, 0.4)


def test_laplacian_is_the_derivative_of_the_edge_energy(cloud):
    _, graph = cloud
    weights = torch.rand(60, 60, dtype=torch.float64)
    weights = (weights + weights.T)[graph.receivers, graph.index]
    u = torch.randn(60, dtype=torch.float64, requires_grad=True)
    jump = ops.gather_senders(u, graph) - ops.gather_receivers(u, graph)
    (slope,) = torch.autograd.grad((weights * jump.square()).sum() / 4, u)
    torch.testing.assert_close(ops.laplacian(graph, weights) @ u, slope)


@pytest.mark.parametrize("normalization", [None, "random_walk", "symmetric"])
def test_laplacian_matrices(cloud, normalization):
    _, graph = cloud
    weights = torch.ones(graph.n_edges, dtype=torch.float64)
    matrix = ops.laplacian(graph, weights, normalization).to_dense()
    degree = ops.degree(graph).double()
    kernel = degree.sqrt() if normalization == "symmetric" else torch.ones(60, dtype=torch.float64)
    assert (matrix @ kernel).abs().max() < 1e-12
    assert normalization == "random_walk" or torch.equal(matrix, matrix.T)
    expected = degree if normalization is None else (degree > 0).double()
    torch.testing.assert_close(matrix.diagonal(), expected)


def test_laplacian_is_differentiable_in_its_weights():
    graph = ops.Adjacency.from_edges(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]), 4)
    weights = torch.rand(4, dtype=torch.float64, requires_grad=True)
    for normalization in (None, "random_walk", "symmetric"):
        assert torch.autograd.gradcheck(lambda w, n=normalization: ops.laplacian(graph, w, n).to_dense(), (weights,))


def test_laplacian_refuses_what_it_cannot_do(cloud):
    _, graph = cloud
    with pytest.raises(ml.MeshError, match="square"):
        ops.laplacian(ops.Adjacency(torch.tensor([0, 1]), torch.tensor([0]), 3))
    with pytest.raises(ml.ParameterError, match="random_walk"):
        ops.laplacian(graph, normalization="rw")


def test_weighted_degree(cloud):
    _, graph = cloud
    torch.testing.assert_close(ops.degree(graph, torch.full((graph.n_edges,), 0.5)), ops.degree(graph) * 0.5)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_is_exact_on_linear_fields(dim, dtype):
    points = torch.rand(200, dim, dtype=dtype)
    slope = torch.randn(dim, 2, dtype=dtype)
    graph = near(points, 0.05 if dim == 1 else 0.4)
    operator = ops.graph_gradient(graph, points)
    result = (operator @ (points @ slope + 3.0)).reshape(200, dim, 2)
    enough = graph.degree() > 2 * dim
    assert enough.sum() > 150
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(result[enough], slope.expand(int(enough.sum()), -1, -1), rtol=tolerance, atol=tolerance)


def test_gradient_on_a_surface_is_tangential():
    """On the plane z = 0 in space, the normal component is 0 and the others are exact."""
    flat = torch.rand(80, 2, dtype=torch.float64)
    points = torch.cat([flat, torch.zeros(80, 1, dtype=torch.float64)], 1)
    graph = near(points, 0.5)
    result = (ops.graph_gradient(graph, points) @ (2 * flat[:, 0] - flat[:, 1])).reshape(80, 3)
    torch.testing.assert_close(result, torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64).expand(80, 3))


def test_gradient_of_a_smooth_field_converges_at_first_order():
    errors = []
    for n in (10, 20, 40):
        grid = torch.cartesian_prod(*[torch.linspace(0, 1, n, dtype=torch.float64)] * 2)
        points = grid + 0.2 / n * (torch.rand_like(grid) - 0.5)
        result = ops.graph_gradient(near(points, 1.8 / n), points) @ (3 * points[:, 0]).sin()
        exact = torch.stack([3 * (3 * points[:, 0]).cos(), torch.zeros(n * n, dtype=torch.float64)], 1)
        errors.append((result.reshape(-1, 2) - exact).square().mean().sqrt().item())
    assert errors[0] / errors[2] > 3.0, errors


def test_gradient_is_differentiable_in_the_points():
    points = torch.rand(8, 2, dtype=torch.float64, requires_grad=True)
    graph = near(points.detach(), 2.0)
    u = torch.randn(8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: ops.graph_gradient(graph, p) @ u, (points,))


def test_lonely_and_coincident_points_have_gradient_zero():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    result = ops.graph_gradient(near(points, 1.0), points) @ torch.tensor([1.0, 2.0, 3.0])
    assert result.tolist() == [0.0] * 6
    with pytest.raises(ml.MeshError, match="row per point"):
        ops.graph_gradient(near(points, 1.0), points[:2])
