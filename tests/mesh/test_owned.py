"""A mesh does not change when the arrays it was made of do, and nothing is copied twice."""

import copy

import numpy as np
import pytest
import torch

import meshlearn as ml

POINTS = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def as_numpy(values, dtype):
    return np.array(values, dtype)


def as_torch(values, dtype):
    return torch.from_numpy(np.array(values, dtype))


@pytest.mark.parametrize("make", [as_numpy, as_torch])
def test_a_solver_that_uses_its_buffers_again_makes_different_meshes(make):
    points, cells, u, v = make(POINTS, "f8"), make([[0, 1, 2, 3]], "i8"), make([0.0] * 4, "f8"), make([0.0], "f4")
    rows, load = make([0, 1], "i8"), make(0.0, "f8")
    meshes = []
    for _ in range(3):
        for buffer in (points, u, v):
            buffer += 1
        load += 1
        meshes.append(
            ml.Mesh(
                points,
                {"quad": cells},
                point_data={"u": u},
                cell_data={"v": {"quad": v}},
                global_data={"load": load},
                point_sets={"left": rows},
                cell_sets={"all": {"quad": rows[:1]}},
            )
        )
    _ = meshes[0].edges
    cells[:], rows[:] = 3, 2
    for field in ("u", "load", "v"):
        got = [{"u": m.point_data["u"], "load": m.global_data["load"], "v": m.cell_data["v"]["quad"]} for m in meshes]
        assert [float(values[field].reshape(-1)[0]) for values in got] == [1.0, 2.0, 3.0]
    assert [float(mesh.points[0, 0]) for mesh in meshes] == [1.0, 2.0, 3.0]
    assert meshes[2].cells["quad"].tolist() == [[0, 1, 2, 3]]
    assert meshes[2].point_sets["left"].tolist() == [0, 1]
    assert meshes[2].cell_sets["all"]["quad"].tolist() == [0]


@pytest.mark.parametrize("make", [as_numpy, as_torch])
def test_changed_copies_own_what_they_are_given(make):
    square = ml.shapes.square(n=1, cells="quad")
    u, points = make([1.0] * 4, "f4"), make(POINTS, "f4")
    copies = {
        "with_point_data": square.with_point_data(u=u).point_data["u"],
        "with_cell_data": square.with_cell_data(u=u[:1]).cell_data["u"]["quad"],
        "with_cell_data by type": square.with_cell_data(u={"quad": u[:1]}).cell_data["u"]["quad"],
        "with_global_data": square.with_global_data(u=u).global_data["u"],
        "replace": square.replace(point_data={"u": u}).point_data["u"],
        "replace points": square.replace(points=points).points[1, :1],
    }
    u *= 5
    points *= 5
    assert {name: float(values[0]) for name, values in copies.items()} == dict.fromkeys(copies, 1.0)


def test_a_field_of_a_mesh_that_is_changed_in_place_and_given_again_is_copied():
    mesh, out = ml.shapes.square(n=1).with_point_data(u=torch.zeros(4)), []
    u = mesh.point_data["u"]
    for _ in range(3):
        u += 1
        out.append(mesh.with_point_data(u=u))
    assert [float(m.point_data["u"][0]) for m in out] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("make", [as_numpy, as_torch])
def test_a_trajectory_owns_its_series(make):
    square = ml.shapes.square(n=1, cells="quad")
    times, u, moving = make([0.0, 1.0], "f8"), make([[1.0] * 4] * 2, "f4"), make([POINTS] * 2, "f4")
    series = ml.Trajectory(square, times, {"u": u}, {"v": {"quad": u[:, :1]}}, {"w": u[:, 0]}, moving_points=moving)
    other = series.replace(point_data={"u": u})
    stacked = ml.Trajectory.from_meshes([square, square], times)
    before = copy.deepcopy(series)
    times += 7
    u += 7
    moving += 7
    assert other.point_data["u"].max() == 1
    for changed in (series, stacked):
        assert changed.times.tolist() == [0.0, 1.0]
    for ours, old in zip(series, before, strict=True):
        assert ml.meshes_equal(ours, old)


def test_what_nobody_else_holds_is_shared():
    mesh = ml.shapes.square(n=3).with_point_data(u=torch.rand(16))
    other = mesh.with_point_data(v=torch.rand(16)).replace(source="x")
    assert other.points is mesh.points
    assert other.point_data["u"] is mesh.point_data["u"]
    assert ml.Mesh(2 * mesh.points, mesh.cells).cells["triangle"] is mesh.cells["triangle"]
    series = ml.Trajectory(mesh, [0.0, 1.0], {"w": torch.rand(2, 16)})
    assert series[1].point_data["w"].data_ptr() == series.point_data["w"][1].data_ptr()
    assert series[1:].point_data["w"].data_ptr() == series.point_data["w"][1:].data_ptr()
    assert series.replace(times=[0, 2]).point_data["w"] is series.point_data["w"]


def test_tensors_that_require_a_gradient_are_kept():
    points = torch.tensor(POINTS, requires_grad=True)
    assert ml.Mesh(points, {"quad": [[0, 1, 2, 3]]}).points is points


def test_points_changed_in_place_behind_the_cache_are_an_error():
    mesh = ml.shapes.square(n=2)
    assert mesh.measure() == 1
    mesh.points.mul_(2)
    with pytest.raises(ml.MeshError, match="changed in place"):
        mesh.measure()
    assert mesh.replace(points=mesh.points).measure() == 4


@pytest.mark.parametrize("library", ["meshio", "pyvista", "pyg"])
def test_bridges_share_no_memory_either_way(library):
    pytest.importorskip({"pyg": "torch_geometric"}.get(library, library))
    mesh = ml.shapes.square(n=2, boundary=False).with_point_data(u=torch.arange(9.0))
    before = copy.deepcopy(mesh)
    theirs = getattr(mesh, f"to_{library}")()
    ours = getattr(ml.Mesh, f"from_{library}")(theirs)
    ours_before = copy.deepcopy(ours)
    if library == "pyg":
        theirs.pos += 1
        theirs.u += 1
        theirs.face[:] = 0
    else:
        theirs.points += 1
        theirs.point_data["u"] += 1
        (theirs.cells[0].data if library == "meshio" else theirs.cell_connectivity)[:] = 0
    assert ml.meshes_equal(mesh, before)
    assert ml.meshes_equal(ours, ours_before)
