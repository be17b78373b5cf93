"""Shapes in boxes with periodic sides: distances go through them, and the sides themselves are no boundary."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.neural_fields.geometry import signed_distance
from meshlearn.models.neural_fields.periodic import into_box
from meshlearn.train.survey import FitWarning

CENTER, RADIUS = torch.tensor([0.25, 0.5], dtype=torch.float64), 0.15


def cell(x=0.25, load=1.0):
    """A unit square with a round hole."""
    mesh = ml.shapes.plate_with_holes(((x, 0.5, RADIUS),), size=0.1).double()
    size = mesh.points.amax(0) - mesh.points.amin(0)
    assert_close(size, torch.ones(2, dtype=torch.float64))
    mesh = mesh.with_point_data(u=load * torch.sin(2 * torch.pi * mesh.points[:, 0]))
    return mesh.with_global_data(load=torch.tensor(load, dtype=torch.float64))


def around(offset, periodic):
    """Distance to a round hole, through the sides of the axes that are periodic."""
    columns = [offset[:, i].abs() for i in (0, 1)]
    columns = [torch.minimum(c, 1 - c) if p else c for c, p in zip(columns, periodic, strict=True)]
    return torch.stack(columns, 1).norm(dim=1) - RADIUS


def test_the_distance_goes_through_periodic_sides():
    mesh = cell()
    found = signed_distance(mesh, None, (), (1.0, 1.0))[:, 0]
    assert (found - around(mesh.points - CENTER, (True, True))).abs().max() < 0.01  # the hole is a polygon
    assert float(signed_distance(mesh)[:, 0][mesh.points[:, 0] > 0.9].max()) < 0.11  # without a period: to the side


def test_sides_of_other_axes_stay_boundaries():
    mesh = cell()
    found = signed_distance(mesh, None, (), (1.0, None))[:, 0]
    walls = torch.minimum(mesh.points[:, 1], 1 - mesh.points[:, 1])
    expected = torch.minimum(walls, around(mesh.points - CENTER, (True, False)))
    assert (found - expected).abs().max() < 0.01


def test_a_box_longer_than_the_mesh_keeps_its_sides():
    mesh = cell()
    found = signed_distance(mesh, None, (), (3.0, 3.0))
    assert_close(found, signed_distance(mesh), rtol=0, atol=1e-12)


def test_distances_to_named_sets_go_through_periodic_sides():
    mesh = cell()
    found = signed_distance(mesh, None, ["hole_*"], (1.0, 1.0))
    assert_close(found, signed_distance(mesh, None, (), (1.0, 1.0)), rtol=0, atol=1e-12)


def test_places_outside_are_moved_into_the_box():
    x, inside = cell().points, torch.rand(50, 2, dtype=torch.float64)
    outside = inside + torch.tensor([3.0, -2.0])
    assert_close(into_box(outside, x, (1.0, 1.0)), inside, rtol=0, atol=1e-12)
    assert_close(into_box(outside, x, (None, 1.0))[:, 0], outside[:, 0])
    assert torch.equal(into_box(outside, x, (5.0, None)), outside)
    assert torch.equal(into_box(x, x, (1.0, 1.0)), x)


def test_enf2enf_says_the_same_a_period_away():
    meshes = [cell(x, load) for x, load in ((0.25, 1.0), (0.4, 2.0), (0.7, 1.5))]
    options = {"n_latents": 4, "latent_dim": 3, "hidden": 8, "encoder_hidden": 8, "inner_steps": 2}
    model = ml.Enf2Enf(["load", "f"], ["u"], group="Tn", period=(1.0, 1.0), **options)
    meshes = [mesh.with_point_data(f=torch.cos(2 * torch.pi * mesh.points[:, 1])) for mesh in meshes]
    model.fit(meshes, epochs=1, progress=False)
    x = meshes[0].points
    places = x[((x > 0.01) & (x < 0.99)).all(1)]  # the meshes of two opposite sides differ
    here, there = (model.predict_at(meshes[0], places + shift) for shift in (0.0, torch.tensor([2.0, -1.0])))
    assert_close(there.point_data["u"], here.point_data["u"], rtol=0, atol=1e-5)
    with pytest.raises(ml.ParameterError, match=r"period=1\.0"):
        ml.Enf2Enf(["load"], ["u"], group="Tn", period=1.0).fit(meshes, epochs=1)
    closed = ml.shapes.square(n=4).double()
    with pytest.raises(ml.MeshError, match="closed"):
        signed_distance(closed, None, (), (1.0, 1.0))


def test_meshes_longer_than_the_box_are_told():
    field = ml.EquivariantNeuralField(["u"], group="Tn", period=(1.0, 0.5), n_latents=4, latent_dim=3, hidden=8)
    with pytest.warns(FitWarning, match=r"1 long along axis 1, more than period=0\.5"):
        field.fit(cell(), epochs=1, progress=False)
