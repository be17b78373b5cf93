"""Few nodes for many points: connected graphs, exact affine motions, and motions carried better than by the nearest."""

import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

import meshlearn as ml
from meshlearn.models.giorom import CrowdedGraphWarning, SparseNodes, connecting_radius, moving_least_squares
from meshlearn.ops import knn


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_connecting_radius_is_the_longest_edge_of_the_spanning_tree(dim):
    for far in (0.0, 5.0):  # with a second cluster, that no list of neighbours reaches
        points = torch.rand(60, dim, dtype=torch.float64)
        points = torch.cat([points, points[:30] * 0.3 + far])
        longest = float(minimum_spanning_tree(cdist(points, points)).max())
        found = connecting_radius(points)
        assert longest <= found <= longest * (1 + 3e-6)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_affine_fields_come_back_exactly_and_weights_sum_to_one(dim, dtype):
    nodes, queries = torch.rand(80, dim, dtype=dtype), 1.2 * torch.rand(200, dim, dtype=dtype) - 0.1
    operator = moving_least_squares(nodes, queries)
    slope = torch.randn(dim, 4, dtype=dtype)
    tolerance = 2e-4 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(operator @ (nodes @ slope + 3.0), queries @ slope + 3.0, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        operator @ torch.ones(80, dtype=dtype), torch.ones(200, dtype=dtype), rtol=0, atol=tolerance
    )


def test_neighbours_in_a_plane_are_enough_for_points_of_that_plane():
    flat = torch.rand(50, 3, dtype=torch.float64)
    flat[:, 2] = 0.4
    queries = torch.rand(30, 3, dtype=torch.float64)
    queries[:, 2] = 0.4
    operator = moving_least_squares(flat, queries)
    field = flat @ torch.tensor([2.0, -1.0, 5.0], dtype=torch.float64)
    torch.testing.assert_close(operator @ field, queries @ torch.tensor([2.0, -1.0, 5.0], dtype=torch.float64))


def test_smooth_fields_are_reconstructed_to_second_order():
    errors = []
    for n in (8, 16, 32):
        nodes = ml.shapes.square(n=n).double().points
        queries = 0.1 + 0.8 * torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

        def wave(x):
            return torch.sin(3 * x[:, 0]) * torch.cos(2 * x[:, 1])

        errors.append(float((moving_least_squares(nodes, queries) @ wave(nodes) - wave(queries)).abs().max()))
    assert errors[0] / errors[2] > 10, errors


@pytest.mark.parametrize("method", ["farthest", "random"])
@pytest.mark.parametrize("dim", [2, 3])
def test_rigid_motions_of_all_points_follow_from_those_of_the_nodes(method, dim):
    mesh = ml.shapes.square(n=20).double() if dim == 2 else ml.shapes.box(n=7).double()
    few = SparseNodes(mesh, 60, method, seed=4)
    assert few.n_components == 1
    assert torch.equal(few.nodes, few.nodes.unique())
    turn = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))[0]
    moved = torch.stack([few.node_points @ turn.T + 2.0, few.node_points])
    torch.testing.assert_close(few.carry(moved), torch.stack([mesh.points @ turn.T + 2.0, mesh.points]))
    torch.testing.assert_close(few.carry(moved[0], mesh.points[:7]), mesh.points[:7] @ turn.T + 2.0)


def test_seeds_give_other_nodes_and_the_same_seed_the_same():
    mesh = ml.shapes.square(n=10)
    assert torch.equal(SparseNodes(mesh, 20, seed=1).nodes, SparseNodes(mesh, 20, seed=1).nodes)
    assert not torch.equal(SparseNodes(mesh, 20, seed=1).nodes, SparseNodes(mesh, 20, seed=2).nodes)


def test_a_swinging_beam_is_carried_five_times_better_than_by_the_nearest_node():
    (film,) = ml.sim.make_bodies(1, kind="beam", cells=8, duration=0.15, frames=3, blow=1.0)
    few = SparseNodes(film.mesh, 40)
    back = few.reconstructed(few.reduced(film), film.mesh)
    assert list(back.point_data) == ["velocity"]
    moved = film.moving_points - film.mesh.points
    size = moved.norm(dim=2).max()
    error = (back.moving_points - film.moving_points).norm(dim=2).max() / size
    nearest = knn(few.node_points, film.mesh.points, 1)[1][:, 0]
    by_nearest = (moved[:, few.nodes][:, nearest] - moved).norm(dim=2).max() / size
    assert error < 0.02
    assert error < 0.2 * by_nearest


def test_gradients_reach_the_places_of_the_nodes():
    few = SparseNodes(ml.shapes.square(n=6).double(), 12)
    moved = few.node_points.clone().requires_grad_()
    torch.autograd.gradcheck(lambda x: few.carry(x).square().sum(), moved)


def test_requests_that_cannot_be_are_told():
    mesh = ml.shapes.square(n=4)
    still = ml.Trajectory(mesh, [0.0, 1.0], {"u": torch.zeros(2, 25)})
    for make, error, word in (
        (lambda: SparseNodes(torch.zeros(5), 2), ml.ParameterError, r"points are \(n, dim\) floats"),
        (lambda: SparseNodes(mesh, 9.5), ml.ParameterError, "n_nodes=9.5"),
        (lambda: SparseNodes(mesh, 2), ml.ParameterError, "from 3 to the 25 points"),
        (lambda: SparseNodes(mesh, 9, "fartest"), ml.ParameterError, "did you mean 'farthest'"),
        (lambda: SparseNodes(mesh, 9, "fps"), ml.ParameterError, "Methods are farthest, random, or the numbers"),
        (lambda: SparseNodes(mesh, 9, radius=0.01), ml.ParameterError, "falls apart; it is one piece from"),
        (lambda: SparseNodes(mesh, 9).carry(torch.zeros(8, 2)), ml.ParameterError, "places of the nodes"),
        (lambda: SparseNodes(mesh, 9).reduced(still), ml.FieldError, "do not move"),
        (lambda: moving_least_squares(mesh.points, mesh.points, 2), ml.ParameterError, "at least 3"),
        (lambda: connecting_radius(torch.zeros(5, 2)), ml.MeshError, "at one place"),
    ):
        with pytest.raises(error, match=word):
            make()


def test_a_body_in_far_pieces_tells_that_its_graph_is_dense():
    piece = ml.shapes.square(n=12).points
    near, far = (torch.cat([piece, piece + torch.tensor([apart, 0.0])]) for apart in (1.1, 30.0))
    assert SparseNodes(piece, 80).crowding == SparseNodes(near, 160).crowding == ""
    with pytest.warns(CrowdedGraphWarning, match=r"160 nodes has 79 neighbors .* 12 are usual: .* in 2 pieces") as seen:
        nodes = SparseNodes(far, 160)
    assert nodes.crowding == str(seen[0].message)
    usual = float(nodes.crowding.split("usual radius of ")[1].split()[0])
    assert usual < 1.0
    assert nodes.radius > 29.0
    SparseNodes(far, 160, radius=30.0)  # who asks for it is not told


def test_a_fit_tells_once_of_bodies_in_far_pieces_and_a_rollout_of_its_own():
    piece = ml.shapes.square(n=12).points
    far = torch.cat([piece, piece + torch.tensor([30.0, 0.0])])
    times = torch.linspace(0, 1, 6, dtype=torch.float64)
    films = [
        ml.Trajectory(ml.Mesh(rest), times, moving_points=rest + times[:, None, None].float() ** 2 * rest.sin())
        for rest in (piece, far, far + 1.0)
    ]
    model = ml.GIOROM(n_nodes=160, hidden=8, layers=1, grid=0, subsets=3)
    with pytest.warns(CrowdedGraphWarning, match="2 of 3 trajectories have crowded graphs; of the first, traj") as seen:
        model.fit(films, max_steps=1, progress=False)
    assert len(seen) == 1
    model.rollout(films[0], 1)
    with pytest.warns(CrowdedGraphWarning, match="in 2 pieces"):
        model.rollout(films[1], 1)
