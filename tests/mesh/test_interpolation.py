"""Interpolation: exact on linear fields, on every cell type, from and to unlike meshes; outside said, never silent."""

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.mesh.refinement import refine

S = ml.shapes
F64 = {"dtype": torch.float64}
SOURCES = {
    "lines": (lambda order: S.interval(2.0, n=7, order=order, **F64), 1),
    **{
        kind: (lambda order, kind=kind: S.rectangle(2.0, 1.0, n=4, cells=kind, order=order, **F64), 2)
        for kind in ("triangle", "quad", "mixed")
    },
    **{
        f"solid {kind}": (lambda order, kind=kind: S.box(2.0, 1.0, 1.0, n=3, cells=kind, order=order, **F64), 3)
        for kind in ("tetra", "hexahedron", "wedge", "pyramid", "mixed")
    },
}


def inside_points(dim, n=500):
    return torch.rand(n, dim, dtype=torch.float64) * torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)[:dim]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", SOURCES)
def test_polynomials_of_the_order_of_the_cells_are_exact(name, order):
    make, dim = SOURCES[name]
    mesh, points = make(order), inside_points(dim)

    def field(x):
        linear = x @ torch.arange(1.0, dim + 1, dtype=torch.float64) + 0.5
        return linear if order == 1 else linear**2

    operator, status = ml.interpolation_operator(mesh, points)
    assert (status == 0).all()
    torch.testing.assert_close(operator @ field(mesh.points), field(points), rtol=1e-9, atol=1e-9)
    rows = operator @ torch.ones(mesh.n_points, dtype=torch.float64)
    torch.testing.assert_close(rows, torch.ones_like(rows))


def test_interpolation_error_falls_with_the_square_of_the_size():
    fine = S.plate_with_holes([(0.5, 0.5, 0.2)], 0.05, cells="mixed", **F64)
    errors = []
    for k in (2, 3, 4):
        mesh = refine(S.square(n=2, **F64), k)
        mesh = mesh.with_point_data(u=(3 * mesh.points[:, 0]).sin() * (2 * mesh.points[:, 1]).cos())
        exact = (3 * fine.points[:, 0]).sin() * (2 * fine.points[:, 1]).cos()
        errors.append((ml.interpolate(mesh, fine, outside="error").point_data["u"] - exact).norm().log2())
    rate = (errors[0] - errors[2]) / 2
    assert 1.8 < rate < 2.3


def test_rules_for_points_outside():
    mesh = S.square(n=4, **F64)
    field = mesh.points[:, 0] + 2 * mesh.points[:, 1]
    points = torch.tensor([[0.5, 0.5], [1.3, 0.4], [-1.0, -1.0]], dtype=torch.float64)
    clamp, status = ml.interpolation_operator(mesh, points, outside="clamp")
    assert status.tolist() == [0, 1, 1]
    torch.testing.assert_close(clamp @ field, torch.tensor([1.5, 1.8, 0.0], dtype=torch.float64))
    nearest, _ = ml.interpolation_operator(mesh, points, outside="nearest")
    torch.testing.assert_close(nearest @ field, torch.tensor([1.5, 2.0, 0.0], dtype=torch.float64))
    nan, _ = ml.interpolation_operator(mesh, points, outside="nan")
    assert torch.isnan(nan @ field).tolist() == [False, True, True]
    with pytest.raises(MeshError, match="2 of 3 points"):
        ml.interpolation_operator(mesh, points, outside="error")
    with pytest.raises(ParameterError, match="extrapolate"):
        ml.interpolation_operator(mesh, points, outside="extrapolate")


def test_nearest_uses_nodes_of_the_domain_only():
    """A stray point without a cell has no value to give."""
    points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]
    mesh = ml.Mesh(points, {"triangle": [[0, 1, 2]]}, point_data={"u": [1.0, 2.0, 3.0, -9.0]})
    operator, _ = ml.interpolation_operator(mesh, torch.tensor([[4.0, 4.5]]), outside="nearest")
    assert (operator @ mesh.point_data["u"]).item() == 3.0


def test_gradients_reach_the_field():
    mesh = S.square(n=3, cells="mixed", **F64)
    operator, _ = ml.interpolation_operator(mesh, torch.rand(20, 2, dtype=torch.float64))
    field = torch.rand(mesh.n_points, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operator.apply, (field,))
    source = mesh.with_point_data(u=field)
    ml.interpolate(source, S.square(n=2, **F64)).point_data["u"].sum().backward()
    assert field.grad.sum().item() == pytest.approx(9)


def test_interpolate_carries_points_and_cells():
    source = S.box(n=4, cells="mixed", **F64)
    vector = torch.stack([source.points.sum(1), source.points[:, 0]], 1)
    source = source.with_point_data(v=vector, tag=torch.arange(source.n_points), single=vector[:, 0].float())
    centres = source.join_cells(source.cell_centroids())
    source = source.with_cell_data(material=(centres[:, 2] > 0.5).long())
    target = S.box(n=3, cells="hexahedron", **F64).with_point_data(old=torch.zeros(64))
    result = ml.interpolate(source, target, outside="error", status="where")
    assert set(result.point_data) == {"v", "tag", "single", "old", "where"}
    torch.testing.assert_close(result.point_data["v"][:, 0], target.points.sum(1))
    assert result.point_data["single"].dtype == torch.float32
    assert result.point_data["tag"].dtype == torch.int64
    assert result.point_data["where"].tolist() == [0] * target.n_points
    upper = target.cell_centroids()["hexahedron"][:, 2] > 0.51
    assert torch.equal(
        result.cell_data["material"]["hexahedron"][upper], torch.ones(int(upper.sum()), dtype=torch.int64)
    )
    only = ml.interpolate(ml.PointLocator(source), target, names=["v"])
    assert set(only.point_data) == {"v", "old"}
    assert not only.cell_data


def test_complex_fields_are_interpolated_not_picked():
    mesh = S.square(n=3, **F64)
    wave = torch.polar(torch.ones_like(mesh.points[:, 0]), mesh.points[:, 0])
    target = S.square(n=4, cells="quad", **F64)
    carried = ml.interpolate(mesh.with_point_data(w=wave, re=wave.real, im=wave.imag), target).point_data
    torch.testing.assert_close(carried["w"], torch.complex(carried["re"], carried["im"]))


def test_identity_on_the_same_mesh():
    mesh = S.disc(n=4, order=2, cells="quad")
    mesh = mesh.with_point_data(u=torch.randn(mesh.n_points, 3))
    torch.testing.assert_close(ml.interpolate(mesh, mesh).point_data["u"], mesh.point_data["u"], rtol=0, atol=2e-4)


def test_surfaces_carry_fields_by_projection():
    coarse, fine = S.sphere(refine=3, **F64), S.sphere(refine=2, cells="quad", **F64)
    coarse = coarse.with_point_data(height=coarse.points[:, 2])
    carried = ml.interpolate(coarse, fine).point_data["height"]
    assert (carried - fine.points[:, 2]).abs().max() < 0.02


def test_point_clouds_by_inverse_distances():
    cloud = ml.Mesh(torch.rand(200, 2, dtype=torch.float64))
    cloud = cloud.with_point_data(u=cloud.points.sum(1), one=torch.ones(200, dtype=torch.float64))
    target = S.square(n=5, **F64)
    result = ml.interpolate(cloud, target, status="where")
    assert set(result.point_data["where"].tolist()) == {2}
    torch.testing.assert_close(result.point_data["one"], torch.ones_like(result.point_data["one"]))
    assert (result.point_data["u"] - target.points.sum(1)).abs().max() < 0.25
    same, _ = ml.interpolation_operator(cloud, cloud.points)
    torch.testing.assert_close(same @ cloud.point_data["u"], cloud.point_data["u"])
    nearest, _ = ml.interpolation_operator(cloud, target.points, neighbors=1)
    values = nearest @ cloud.point_data["u"]
    assert torch.isin(values, cloud.point_data["u"]).all()


def test_nothing_is_silent():
    mesh = S.square(n=2, **F64)
    bad = mesh.with_point_data(u=torch.full((mesh.n_points,), float("nan"), dtype=torch.float64))
    with pytest.raises(FieldError, match=r"'u'.*not finite"):
        ml.interpolate(bad, mesh)
    with pytest.raises(FieldError, match="'w'"):
        ml.interpolate(bad, mesh, names=["w"])
    tagged = mesh.with_point_data(tag=torch.arange(mesh.n_points))
    shifted = mesh.replace(points=mesh.points + 0.5)
    with pytest.raises(FieldError, match="no NaN"):
        ml.interpolate(tagged, shifted, outside="nan")
    with pytest.raises(MeshError, match="not finite"):
        ml.interpolation_operator(mesh, torch.full((1, 2), float("nan")))
    with pytest.raises(MeshError, match="not finite"):
        ml.interpolation_operator(ml.Mesh(torch.rand(4, 2)), torch.full((1, 2), float("nan")))


def test_cell_fields_that_cannot_be_carried_are_reported_or_refused():
    square = S.square(n=2, boundary=False)
    cloud = ml.Mesh(square.points, {"vertex": torch.arange(9)[:, None]}, point_data={"u": torch.rand(9)})
    cloud = cloud.replace(cell_data={"mass": {"vertex": torch.rand(9)}, "u": {"vertex": torch.rand(9)}})
    carried = ml.interpolate(cloud, square)
    assert list(carried.point_data) == ["u"]
    assert not carried.cell_data
    assert sorted(note.split()[0] for note in carried.report) == ["cell_data['mass']", "cell_data['u']"]
    assert all("vertex" in note for note in carried.report)
    with pytest.raises(FieldError, match=r"'mass'.*no cells that contain points"):
        ml.interpolate(cloud, square, names=["mass"])
    assert len(ml.interpolate(cloud, square, names=["u"]).report) == 1
    full = square.with_cell_data(k=torch.rand(8))
    assert "target has no cells" in ml.interpolate(full, cloud).report[0]
    half = S.square(n=2, cells="mixed", boundary=False)
    half = half.replace(cell_data={"k": {"quad": torch.rand(len(half.cells["quad"]))}})
    assert "on the triangle cells" in ml.interpolate(half, square).report[0]
    assert ml.interpolate(full, square).report == ()


def test_same_values_as_vtk():
    pv = pytest.importorskip("pyvista")
    mesh = S.box(n=3, cells="mixed", **F64)
    mesh = mesh.with_point_data(u=(3 * mesh.points).sin().sum(1))
    points = torch.rand(300, 3, dtype=torch.float64)
    found = pv.PolyData(points.numpy()).sample(mesh.to_pyvista())
    operator, _ = ml.interpolation_operator(mesh, points)
    in_simplices = torch.isin(
        ml.PointLocator(mesh).locate(points).cell, torch.arange(9, mesh.n_cells)
    )  # VTK's pyramids have another basis near the apex; hexahedra, wedges and tetrahedra agree
    ours, theirs = operator @ mesh.point_data["u"], torch.from_numpy(found["u"])
    assert in_simplices.any()
    close = (ours - theirs).abs() < 1e-6
    assert close.double().mean() > 0.9
    assert (ours - theirs).abs().max() < 0.05


def test_points_outside_are_counted_in_the_report():
    source = S.square(n=4, **F64).with_point_data(u=torch.arange(25.0))
    far = source.replace(points=source.points + 100, point_data={})
    (said,) = ml.interpolate(source, far).report
    assert said.startswith("25 of 25 target points lie outside the source, up to 141 away")
    half = source.replace(points=source.points + torch.tensor([0.5, 0.0]), point_data={})
    assert ml.interpolate(source, half, outside="nan").report[0].startswith("10 of 25 target points")
    assert ml.interpolate(source, source.without_data()).report == ()
    assert (ml.interpolate(source, half, status="where").point_data["where"] == 1).sum() == 10


def test_global_data_are_carried_by_name_or_named():
    source = S.square(n=2).with_global_data(load=2.0).with_point_data(u=torch.zeros(9))
    target = S.square(n=3).with_global_data(other=1.0)
    carried = ml.interpolate(source, target)
    assert list(carried.global_data) == ["other"]
    assert carried.report == ("global data of the source were not carried over: load",)
    named = ml.interpolate(source, target, names=["u", "load"])
    assert float(named.global_data["load"]) == 2
    assert named.report == ()
    assert list(ml.interpolate(source, target, names="u").point_data) == ["u"]


def untyped(function):
    """The function as users call it, without the type checks of the tests."""
    return getattr(function, "__wrapped__", function)


def test_a_target_that_is_no_mesh_is_told_of_the_operator():
    with pytest.raises(MeshError, match="interpolation_operator"):
        untyped(ml.interpolate)(S.square(n=2), torch.rand(3, 2))
