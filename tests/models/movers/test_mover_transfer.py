import pytest
import torch
from mover_cases import hessian_monitor, peak, published_square

import meshlearn as ml
from meshlearn.models.movers import compare_transfers, transfer


def test_transfers_of_the_published_peak_side_by_side():
    mesh = published_square()
    mesh = mesh.with_point_data(u=peak(mesh.points), one=torch.ones(mesh.n_points), both=mesh.points)
    moved = ml.MongeAmpereMover().move(mesh, hessian_monitor).mesh
    found = compare_transfers(mesh, moved, "u")
    assert found["interpolate"]["integral"] > 1e-5
    assert found["interpolate"]["overshoot"] == 0
    assert found["conservative"]["integral"] < 1e-12
    assert found["conservative"]["overshoot"] > 0
    assert found["bounded"]["integral"] < 1e-12
    assert found["bounded"]["overshoot"] == 0
    assert found["conservative"]["distance"] == min(f["distance"] for f in found.values())
    for method in found:
        carried = transfer(mesh, moved, method=method)
        torch.testing.assert_close(carried.point_data["one"], torch.ones(mesh.n_points))
        if method != "bounded":
            torch.testing.assert_close(carried.point_data["both"], moved.points)
        assert torch.equal(carried.points, moved.points)
    both = compare_transfers(mesh, moved, "both")
    assert both["conservative"]["integral"] < 1e-12


def test_transfers_in_space_keep_the_integral():
    mesh = ml.shapes.box(n=4, cells="tetra").double()
    mesh = mesh.with_point_data(u=torch.exp(-20 * (mesh.points - 0.4).square().sum(1)))
    moved = ml.MongeAmpereMover().move(mesh, lambda x: 1 + 5 * torch.exp(-20 * (x - 0.4).square().sum(1))).mesh
    found = compare_transfers(mesh, moved, "u")
    assert found["interpolate"]["integral"] > 1e-4
    assert found["conservative"]["integral"] < 1e-12
    assert found["bounded"]["integral"] < 1e-12
    assert found["bounded"]["overshoot"] == 0
    assert found["conservative"]["distance"] == min(f["distance"] for f in found.values())


def test_transfers_that_cannot_be():
    mesh = published_square(3)
    with pytest.raises(ml.FieldError, match="no point field 'u'"):
        transfer(mesh, mesh, "u")
    with pytest.raises(ml.ParameterError, match="'interpolate', 'conservative', 'bounded'"):
        transfer(mesh, mesh, method="exact")
    box = ml.shapes.box(n=2, cells="hexahedron")
    box = box.with_point_data(u=box.points[:, 0])
    with pytest.raises(ml.TopologyError, match="and tetrahedra"):
        transfer(box, box, "u", "conservative")
    assert torch.equal(transfer(box, box, "u").point_data["u"], box.points[:, 0])


@pytest.mark.parametrize("method", ["interpolate", "conservative"])
def test_fields_carried_over_keep_their_gradients(method):
    mesh = ml.shapes.square(n=3).double()
    moved = ml.MongeAmpereMover().move(mesh, lambda x: 1 + x[:, 0]).mesh
    field = torch.rand(mesh.n_points, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda u: transfer(mesh.with_point_data(u=u), moved, "u", method).point_data["u"], field
    )


def test_a_limiter_does_not_lose_gradients_without_a_word():
    mesh = ml.shapes.square(n=3).double()
    field = torch.rand(mesh.n_points, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ml.ParameterError, match="does not pass the limiter"):
        transfer(mesh.with_point_data(u=field), mesh, "u", "bounded")
    with torch.no_grad():
        assert not transfer(mesh.with_point_data(u=field), mesh, "u", "bounded").point_data["u"].requires_grad


@pytest.mark.parametrize("shape", ["interval", "square", "box"])
def test_meshes_that_lie_on_themselves_have_no_overlaps_to_conserve(shape):
    mesh = getattr(ml.shapes, shape)(n=4).double()
    mesh = mesh.with_point_data(u=mesh.points[:, 0])
    middle = (mesh.points - 0.5).norm(dim=1).argmin()
    points = mesh.points.clone()
    points[middle] = 0.95
    folded = mesh.replace(points=points)
    for old, new, role in ((mesh, folded, "target"), (folded, mesh, "source")):
        with pytest.raises(ml.MeshError, match=f"cells of the {role} lie on each other"):
            transfer(old, new, "u", "conservative")
