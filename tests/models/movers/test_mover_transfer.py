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
