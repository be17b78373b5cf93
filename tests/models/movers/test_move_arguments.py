"""What cannot be moved is refused with a reason, and what to do."""

import re

import pytest
import torch
from mover_cases import bump, published_square

import meshlearn as ml
from meshlearn.models.movers import GradientMonitor, HessianMonitor, Ring, limited


def ones(x):
    return torch.ones(len(x), dtype=x.dtype)


@pytest.fixture(scope="module")
def square():
    return published_square(5)


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        (lambda x: x[:, 0] - 2, r"36 of 36 values of the monitor are not positive; the first is number 0 at .*-2"),
        (lambda x: torch.where(x[:, 0] > 0.9, torch.nan, 1.0), r"6 of 36 values.*not finite.*number 5 "),
        (lambda x: torch.ones(7), r"shape \(7,\) for 36 points; expected \(36,\)"),
        (lambda x: 1.0, "returned a float"),
        (torch.ones(35), r"shape \(35,\), expected \(36,\)"),
        (-torch.ones(36), "not positive"),
        ("density", r"no point field 'density'.*\n.*point fields: none"),
        (None, "NoneType"),
    ],
)
def test_monitors_that_are_no_densities(square, monitor, said):
    with pytest.raises(ml.FieldError, match=said):
        ml.MongeAmpereMover().move(square, monitor)


def _tangled(square):
    points = square.points.clone()
    points[14] += torch.tensor([0.5, 0.5])
    return square.replace(points=points)


def _two_parts():
    mesh = ml.shapes.square(n=2, boundary=False)
    return ml.Mesh(
        torch.cat([mesh.points, mesh.points + 3]), {"triangle": torch.cat([mesh.cells["triangle"]] * 2 + [])}
    ).replace(cells={"triangle": torch.cat([mesh.cells["triangle"], mesh.cells["triangle"] + mesh.n_points])})


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda s: ml.shapes.square(n=3, cells="quad"), ml.TopologyError, r"triangle cells in 2-D.*quad[\s\S]*split"),
        (lambda s: ml.shapes.square(n=4, cells="mixed"), ml.TopologyError, "split"),
        (lambda s: ml.shapes.box(n=2, cells="hexahedron"), ml.TopologyError, r"tetra cells in 3-D"),
        (lambda s: ml.shapes.square(n=3, order=2), ml.TopologyError, "second order"),
        (lambda s: ml.shapes.sphere(refine=1), ml.TopologyError, "surfaces"),
        (lambda s: ml.Mesh(torch.rand(5, 2)), ml.TopologyError, "triangle cells"),
        (_tangled, ml.MeshError, r"tangled before it is moved: \d+ of 50 cells are inverted"),
        (lambda s: _two_parts(), ml.TopologyError, "2 parts that are not connected"),
        (lambda s: ml.Mesh(torch.rand(5, 2), {"triangle": [[0, 1, 2]]}), ml.MeshError, "2 points belong to no cell"),
        (lambda s: s.replace(points=s.points * torch.nan), ml.MeshError, "36 points of the mesh are not finite"),
        (
            lambda s: ml.Mesh([[0.0, 0], [1, 0], [2, 0], [0, 1]], {"triangle": [[0, 1, 2], [0, 2, 3]]}),
            ml.MeshError,
            "1 of 2 cells have no measure",
        ),
        (lambda s: s.points, ml.ParameterError, "needs a Mesh, got Tensor"),
    ],
)
def test_meshes_that_cannot_be_moved(square, make, error, said):
    with pytest.raises(error, match=said):
        ml.MongeAmpereMover().move(make(square), ones)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "newtom"}, "'newton', 'relaxation', 'variational'"),
        ({"boundary": "slip"}, "'slide', 'fixed', or a function"),
        ({"rtol": 0.0}, "rtol=0.0: expected a number above 0"),
        ({"isotropy": 0.7}, "at most 0.5"),
        ({"corner": -1.0}, "corner"),
        ({"min_area_fraction": 1.0}, "fraction above 0 and below 1"),
        ({"max_iterations": 2.5}, "whole number"),
        ({"time_step": 0.0}, "time_step"),
    ],
)
def test_settings_outside_what_is_allowed(arguments, said):
    with pytest.raises(ml.ParameterError, match=re.escape(said)):
        ml.MongeAmpereMover(**arguments)


def test_pins_and_starts_that_do_not_fit(square):
    for pinned, said in (
        (torch.ones(3, dtype=torch.bool), "mask"),
        ([40], "0 to|40"),
        (torch.rand(36), "float"),
    ):
        with pytest.raises(ml.ParameterError, match=said):
            ml.MongeAmpereMover(pinned=pinned).move(square, ones)
    with pytest.raises(ml.FieldError, match="no point or cell set named 'lid'"):
        ml.MongeAmpereMover(pinned="lid").move(square, ones)
    with pytest.raises(ml.ParameterError, match=r"expected finite values \(36,\)"):
        ml.MongeAmpereMover().move(square, ones, start=torch.zeros(5))
    with pytest.raises(ml.ParameterError, match="too small or inverted"):
        ml.MongeAmpereMover().move(square, ones, start=-5 * square.points.square().sum(1))
    free = ml.MongeAmpereMover("variational").move(square, bump(0.4, 0.5, height=1.0))
    with pytest.raises(ml.ParameterError, match="without a potential"):
        ml.MongeAmpereMover("newton").move(square, ones, start=free)
    with pytest.raises(ml.ParameterError, match="MoveResult of the same mesh"):
        ml.MongeAmpereMover("variational").move(published_square(6), ones, start=free)
    with pytest.raises(ml.ParameterError, match="as many"):
        ml.MongeAmpereMover(boundary=lambda x: x[:1]).move(square, ones)


def test_rounding_that_inverts_cells_is_no_result():
    """Far from the origin neighbouring numbers in float32 are as far apart as the points of this mesh."""
    far = published_square(4)
    far = far.replace(points=far.points + 2.0**21)
    mover = ml.MongeAmpereMover("variational", rtol=1e-4)
    monitor = bump(2.0**21 + 0.5, 2.0**21 + 0.5, height=50.0)
    assert mover.move(far, monitor).n_inverted == 0
    with pytest.raises(ml.MeshError, match=r"inverted by rounding[\s\S]*mesh.double"):
        mover.move(far.float(), monitor)


def test_monitors_of_fields_that_say_nothing(square):
    with pytest.raises(ml.FieldError, match="gradient of the field is zero everywhere"):
        GradientMonitor(square, torch.ones(36))
    with pytest.raises(ml.FieldError, match="Hessian of the field is zero everywhere"):
        HessianMonitor(square, torch.full((36,), 2.0))
    with pytest.raises(ml.FieldError, match="no point field 'u'"):
        HessianMonitor(square, "u")
    with pytest.raises(ml.FieldError, match="one number per point"):
        GradientMonitor(square, square.points)
    with pytest.raises(ml.FieldError, match="36 of 36 values of the field are not finite"):
        GradientMonitor(square, torch.full((36,), torch.nan))
    with pytest.raises(ml.ParameterError, match="amplitude > -1"):
        Ring(amplitude=-2.0)
    with pytest.raises(ml.ParameterError, match="2 coordinates, points 3"):
        Ring()(torch.rand(4, 3))
    for wrong, said in (
        ({"smoothing": -1.0}, "length"),
        ({"floor": 0.0}, "positive"),
        ({"floor": 2.0, "cap": 1.0}, "above"),
    ):
        with pytest.raises(ml.ParameterError, match=said):
            limited(square, torch.ones(36), **wrong)


def test_movers_have_parameters_as_estimators_do():
    mover = ml.MongeAmpereMover("variational", rtol=1e-2, strict=False)
    assert repr(mover) == "MongeAmpereMover(method='variational', rtol=0.01, strict=False)"
    assert ml.MongeAmpereMover(**mover.get_params()).get_params() == mover.get_params()
    assert mover.set_params(rtol=1e-3) is mover
    assert mover.rtol == 1e-3
    with pytest.raises(ml.ParameterError, match="rtol=-1: expected a number above 0"):
        mover.set_params(boundary="fixed", rtol=-1)
    with pytest.raises(ml.ParameterError, match="has no parameter 'speed'"):
        mover.set_params(speed=3)
    assert (mover.boundary, mover.rtol) == ("slide", 1e-3)


def other_cells():
    quads = ml.shapes.square(n=3, cells="quad")
    return [quads, ml.second_order(ml.shapes.square(n=3)), ml.shapes.sphere(refine=1)]


@pytest.mark.parametrize("which", range(3))
def test_fields_of_other_cells_make_no_monitor(which):
    mesh = other_cells()[which]
    mesh = mesh.with_point_data(u=mesh.points[:, 0] ** 2)
    for monitor in (HessianMonitor, GradientMonitor):
        with pytest.raises(ml.TopologyError, match="derivatives of a field are recovered on a mesh of"):
            monitor(mesh, "u")
    with pytest.raises(ml.TopologyError, match="monitors are limited on a mesh of"):
        limited(mesh, mesh.point_data["u"] + 1, 0.1)


def test_settings_of_monitors_are_told(square):
    field = square.points[:, 0] ** 2
    for wrong, said in (({"smoothing": "x"}, "smoothing='x'"), ({"cap": -1.0}, "cap=-1.0"), ({"floor": 0}, "floor=0")):
        with pytest.raises(ml.ParameterError, match=said):
            HessianMonitor(square, field, **wrong)
    with pytest.raises(ml.FieldError, match=r"has shape \(4,\), expected \(36,\)"):
        limited(square, torch.ones(4))
    for complex_one in (torch.ones(36, dtype=torch.complex64), lambda x: x[:, 0] + 1j):
        with pytest.raises(ml.FieldError, match="is complex"):
            ml.MongeAmpereMover().move(square, complex_one)


def test_starts_and_boundaries_of_other_kinds_are_told(square):
    for start in (square, "yes", 3.0):
        with pytest.raises(ml.ParameterError, match=f"start is a {type(start).__name__}; expected a MoveResult"):
            ml.MongeAmpereMover().move(square, bump, start=start)
    with pytest.raises(ml.ParameterError, match="strict='no': expected True or False"):
        ml.MongeAmpereMover(strict="no")
    with pytest.raises(ml.ParameterError, match=r"isotropy=0\.6: expected a number above 0 and at most 0.5"):
        ml.MongeAmpereMover(isotropy=0.6)
    disc = ml.shapes.disc(size=0.4)
    with pytest.raises(ml.ParameterError, match="it returned a NoneType"):
        ml.MongeAmpereMover(boundary=lambda points: None).move(disc, lambda x: 2 + x[:, 0])
    with pytest.raises(ml.ParameterError, match=r"inverts [1-9][0-9]* cells where nothing has moved yet"):
        ml.MongeAmpereMover(boundary=lambda points: 0 * points).move(disc, lambda x: 2 + x[:, 0])


def test_cells_that_lie_on_each_other_are_not_moved(square):
    cells = square.cells["triangle"]
    with pytest.raises(ml.TopologyError, match=r"[1-3] facets of the mesh belong to more than two cells"):
        ml.MongeAmpereMover().move(ml.Mesh(square.points, {"triangle": torch.cat([cells, cells[:1]])}), bump)
