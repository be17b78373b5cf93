"""Where latents begin: spread over the domain, moved with it, whatever the order and the fineness of the points."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.neural_fields.placement import frames, spread, spread_over
from meshlearn.testing import RigidMotion, permute_mesh
from meshlearn.train.graph import measure_weights


def domain(n=9):
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(2 * n, n)).double()
    return mesh.replace(points=mesh.points + 0.3 * mesh.points[:, :1].square() * mesh.points.new_tensor([0.4, 1.0]))


def places(mesh, n=6):
    return spread(mesh.points, measure_weights(mesh, "point"), n)


def as_set(points):
    return points[torch.argsort(points[:, 0] + 0.1 * points[:, 1])]


def test_places_move_with_the_mesh():
    motion, mesh = RigidMotion.random(2, seed=1), domain()
    assert_close(as_set(places(motion.mesh(mesh))), as_set(motion.points(places(mesh))), rtol=0, atol=1e-9)


def test_the_order_of_points_does_not_matter():
    mesh = domain()
    assert_close(as_set(places(permute_mesh(mesh)[0])), as_set(places(mesh)), rtol=0, atol=1e-9)


def regular(n):
    """A structured mesh of a shape without symmetries: some points are as far from one place as from another."""
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(n, n // 2), cells="quad").double()
    x, y = mesh.points.T
    return mesh.replace(points=torch.stack([x, y * (1 + 0.1 * x) + 0.2 * x.square()], 1))


def places_over(mesh, n):
    weights = measure_weights(mesh, "point")
    return spread_over(mesh.points - weights @ mesh.points, weights, n)


@pytest.mark.parametrize("n", [4, 8, 12, 16, 27])
def test_places_of_regular_meshes_turn_with_them(n):
    for points in (16, 18, 20):
        mesh = regular(points)
        before, turn = places_over(mesh, n), RigidMotion.random(2, seed=points)
        after = places_over(turn.mesh(mesh), n) @ turn.rotation
        assert float((after[:, None] - before).norm(dim=-1).min(1).values.max()) < 1e-12


def test_places_over_a_mesh_are_apart_and_do_not_depend_on_the_order_of_points():
    mesh = regular(16)
    found = places_over(mesh, 12)
    assert (torch.cdist(found, found) + 9 * torch.eye(12)).min() > 0.25
    assert_close(places_over(permute_mesh(mesh)[0], 12), found, rtol=0, atol=1e-12)
    finer = places_over(regular(64), 12)
    assert float((finer[:, None] - found).norm(dim=-1).min(1).values.mean()) < 0.1


def test_places_over_points_in_one_place_are_that_place():
    assert not places_over(ml.Mesh(torch.zeros(9, 2)), 4).any()


def test_places_are_inside_and_apart():
    found = places(domain(), 12)
    gaps = torch.cdist(found, found) + 9 * torch.eye(12)
    assert gaps.min() > 0.2
    assert not bool(ml.PointLocator(domain()).locate(found).status.any())


def test_a_finer_mesh_has_nearly_the_same_places():
    coarse, fine = (as_set(places(domain(n), 2)) for n in (9, 36))
    assert (coarse - fine).abs().max() < 0.05


def test_frames_are_rotations_that_turn_with_the_places():
    for dim in (2, 3):
        x = torch.randn(7, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
        motion, center = RigidMotion.random(dim, seed=4), x.mean(0)
        before = frames(x, center)
        assert_close(before @ before.mT, torch.eye(dim, dtype=torch.float64).expand(7, -1, -1))
        assert (torch.linalg.det(before) > 0).all()
        after = frames(motion.points(x), motion.points(center[None])[0])
        assert_close(after, motion.rotation @ before, rtol=0, atol=1e-10)


def test_frames_without_a_direction_are_still_rotations():
    line = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    for x in (line, line[:1]):
        found = frames(x, torch.zeros(3))
        assert_close(found @ found.mT, torch.eye(3).expand(len(x), -1, -1))
