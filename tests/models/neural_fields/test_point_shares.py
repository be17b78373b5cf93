"""What points of clouds stand for: little where they lie close together, so that clouds say what meshes do."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.neural_fields.shares import cloud_dimension, point_shares
from meshlearn.testing import RigidMotion
from meshlearn.train.graph import measure_weights


def graded(n=16):
    """A sector of a ring, whose points lie up to seven times as close together near its inner side."""
    mesh = ml.shapes.rectangle(2.0, 2.5, n=(n, 5 * n // 4)).double()
    size, angle = mesh.points[:, 0].exp(), mesh.points[:, 1]
    mesh = mesh.replace(points=torch.stack([size * angle.cos(), size * angle.sin()], 1))
    return mesh.with_point_data(u=torch.sin(mesh.points[:, 0]) + mesh.points[:, 1])


def cloud_of(mesh):
    return ml.Mesh(mesh.points, point_data=mesh.point_data)


def test_points_of_a_mesh_stand_for_its_measure():
    mesh = graded()
    assert torch.equal(point_shares(mesh), measure_weights(mesh, "point"))


def test_integrals_over_a_graded_cloud_are_nearly_those_over_its_mesh():
    mesh, cloud = graded(), cloud_of(graded())
    x = mesh.points
    for values in (x[:, 0], x[:, 0].square(), x[:, 1], x.norm(dim=1)):
        exact, alike = float(measure_weights(mesh, "point") @ values), float(values.mean())
        found = float(point_shares(cloud) @ values)
        assert abs(found - exact) < 0.2 * abs(alike - exact), f"cloud {found}, mesh {exact}, all alike {alike}"
    assert float(point_shares(cloud).sum()) == pytest.approx(1.0)


def test_evenly_spread_points_count_nearly_alike():
    shares = point_shares(cloud_of(ml.shapes.square(n=20))) * 441
    assert shares.max() < 1.3
    assert shares.min() > 0.2  # of the corners
    assert float((shares - 1).abs().median()) < 0.2


def test_the_dimension_is_that_of_what_points_lie_on():
    line = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
    assert cloud_dimension(line) == 1
    assert cloud_dimension(graded().points) == 2
    assert cloud_dimension(ml.shapes.sphere(refine=3).double().points) == 2
    assert cloud_dimension(torch.rand(900, 3, dtype=torch.float64)) == 3
    assert cloud_dimension(ml.shapes.box(n=8).double().points) == 3
    assert cloud_dimension(torch.rand(40, 1, dtype=torch.float64)) == 1


def test_shares_do_not_see_motions_units_and_numbers():
    x = torch.rand(70, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    order, motion = torch.randperm(70), RigidMotion.random(3, seed=1)
    shares = point_shares(ml.Mesh(x))
    assert_close(point_shares(ml.Mesh(1e6 * motion.points(x)[order])), shares[order], rtol=1e-9, atol=0)


def test_clouds_without_a_spread_count_alike():
    for x in (torch.zeros(40, 2), torch.rand(3, 2), torch.rand(1, 3)):
        assert_close(point_shares(ml.Mesh(x)), torch.full((len(x),), 1 / len(x)))


@pytest.mark.parametrize("group", ["Rn", "SE2"])
def test_latents_of_a_cloud_are_nearly_those_of_its_mesh(group):
    mesh = graded(12)
    field = ml.EquivariantNeuralField(["u"], group=group, n_latents=5, latent_dim=4, hidden=8)
    field.fit([mesh, ml.refine(mesh).with_point_data(u=ml.refine(mesh).points[:, 0])], epochs=1, progress=False)
    on_mesh, on_cloud = field.fit_latents(mesh), field.fit_latents(cloud_of(mesh))
    off = (mesh.points.mean(0) - measure_weights(mesh, "point") @ mesh.points).norm()
    moved = torch.cdist(on_cloud.points, on_mesh.points).min(1).values
    assert float(moved.mean()) < 0.3 * float(off)
