"""Time series: frames, slices, and what does not fit."""

import pytest
import torch

import meshlearn as ml


def heat(mixed, n=4, **more):
    return ml.Trajectory(mixed, torch.linspace(0, 1, n), {"T": torch.rand(n, 6)}, **more)


def test_frames_carry_their_time_and_fields(mixed):
    series = heat(mixed, cell_data={"s": {"quad": torch.rand(4, 1)}}, global_data={"flux": torch.arange(4.0)})
    frame = series[2]
    assert torch.equal(frame.point_data["T"], series.point_data["T"][2])
    assert torch.equal(frame.cell_data["s"]["quad"], series.cell_data["s"]["quad"][2])
    assert frame.global_data["flux"].item() == 2.0
    assert frame.global_data["time"] == series.times[2]
    assert "u" in frame.point_data  # what does not change stays
    assert frame.topology is series.mesh.topology
    assert len(list(series)) == 4


def test_slices_are_shorter_series(mixed):
    series = heat(mixed, cell_data={"s": {"quad": torch.rand(4, 1)}}, moving_points=torch.rand(4, 6, 2))
    part = series[1:3]
    assert isinstance(part, ml.Trajectory)
    assert torch.equal(part.times, series.times[1:3])
    assert torch.equal(part.point_data["T"], series.point_data["T"][1:3])
    assert all(ml.meshes_equal(a, b) for a, b in zip(part, list(series)[1:3], strict=True))


def test_moving_points_move(mixed):
    path = torch.stack([mixed.points + i for i in range(4)])
    series = heat(mixed, moving_points=path)
    assert torch.equal(series[3].points, mixed.points + 3)


def test_frames_can_be_put_together_again(mixed):
    series = heat(mixed, moving_points=torch.stack([mixed.points + i for i in range(4)]))
    again = ml.Trajectory.from_meshes(list(series))
    assert torch.equal(again.times, series.times)
    assert torch.equal(again.point_data["T"], series.point_data["T"])
    assert torch.equal(again.moving_points, series.moving_points)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"times": [0.0, 0.0, 1.0, 2.0]}, "ascend"),
        ({"times": [[0.0]]}, "times"),
        ({"times": [0.0, 1.0, float("nan"), 3.0]}, "finite"),
        ({"times": [0.0, 1.0, 2.0, float("inf")]}, "finite"),
        ({"times": torch.arange(4).to(torch.complex64)}, "complex64"),
        ({"times": torch.arange(4.0).half()}, "float16"),
        ({"times": [0.0, 1.0]}, r"\(2, 6, \.\.\.\)"),
        ({"point_data": {"T": torch.rand(3, 6)}}, r"\(3, 6\), expected \(4, 6, \.\.\.\): .* per point"),
        ({"cell_data": {"point": {"quad": torch.rand(4, 2)}}}, "one row per quad"),
        ({"point_data": {"T": torch.rand(4, 6, device="meta")}}, r"point_data\['T'\] is on meta"),
        ({"moving_points": torch.rand(4, 6, 2, device="meta")}, "moving_points is on meta"),
        ({"moving_points": torch.zeros(4, 6, 2, dtype=torch.int64)}, "floating-point"),
        ({"moving_points": torch.rand(4, 6, 3)}, "moving_points"),
        ({"cell_data": {"s": {"tetra": torch.rand(4, 1)}}}, "tetra"),
    ],
)
def test_what_does_not_fit_is_refused(mixed, change, match):
    with pytest.raises(ml.MeshlearnError, match=match):
        heat(mixed).replace(**change)


def test_points_get_the_wider_dtype(mixed):
    series = heat(mixed, moving_points=torch.rand(4, 6, 2, dtype=torch.float64))
    assert series.mesh.dtype == series[0].dtype == torch.float64
    assert heat(mixed.double(), moving_points=torch.rand(4, 6, 2)).moving_points.dtype == torch.float64


def test_frames_of_different_meshes_are_refused(mixed):
    for other, what in (
        (ml.Mesh(torch.rand(5, 2)), "points of shape"),
        (ml.Mesh(torch.rand(6, 2)), "cells {}"),
        (mixed.double(), "float64"),
        (mixed.replace(cells={**mixed.cells, "line": [[0, 2]]}), "line cells with other point numbers"),
    ):
        with pytest.raises(ml.MeshError, match=f"frame 1 .*{what}"):
            ml.Trajectory.from_meshes([mixed, other])
    with pytest.raises(ml.MeshError, match="at least one"):
        ml.Trajectory.from_meshes([])
    with pytest.raises(ml.MeshError, match="2 frames"):
        ml.Trajectory.from_meshes([mixed, mixed], times=[0.0])


def test_an_index_out_of_range_ends_iteration(mixed):
    with pytest.raises(IndexError):
        heat(mixed)[4]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"point_data": {}}, r"point_data\['u'\] of frame 2 \(mixed.vtu\) is missing, in frame 0"),
        ({"point_data": {"u": torch.zeros(6), "v": torch.ones(6, 2).double()}}, r"\['u'\].*float32 \(6,\).*int64"),
        ({"global_data": {"load": 1.0, "name_id": [3, 4]}}, r"global_data\['name_id'\].*\(2,\).*\(\)"),
        ({"cell_data": {"k": {"quad": [1.0]}}}, r"cell_data\['k'\]\['triangle'\] of frame 2 .*missing"),
        ({"cell_data": {}}, r"cell_data\['k'\]\['quad'\] of frame 2 .*missing"),
    ],
)
def test_the_frame_and_the_field_that_differ_are_named(mixed, change, match):
    with pytest.raises(ml.FieldError, match=match):
        ml.Trajectory.from_meshes([mixed, mixed, mixed.replace(**change)])


def test_an_extra_field_is_named(mixed):
    with pytest.raises(ml.FieldError, match=r"point_data\['extra'\] of frame 1 .*in frame 0 .*is missing"):
        ml.Trajectory.from_meshes([mixed, mixed.with_point_data(extra=torch.zeros(6))])


def test_times_of_the_frames_keep_their_precision(mixed):
    fine = torch.tensor([1e6, 1e6 + 1e-3], dtype=torch.float64)
    frames = [mixed.with_global_data(time=time) for time in fine]
    assert torch.equal(ml.Trajectory.from_meshes(frames).times, fine)
    assert "time" not in ml.Trajectory.from_meshes(frames).global_data
    assert ml.Trajectory.from_meshes(iter([mixed, mixed])).times.tolist() == [0.0, 1.0]


def test_tags_that_change_and_notes_of_the_frames_are_reported(mixed):
    moved = mixed.replace(point_sets={"corner": [1]}, report=["voxels became hexahedra"])
    series = ml.Trajectory.from_meshes([mixed, mixed, moved])
    assert series.report[0] == "voxels became hexahedra"
    assert "frame 2" in series.report[1]
    assert "corner" in series.report[1]
    assert series.mesh.point_sets["corner"].tolist() == [0]
    assert ml.Trajectory.from_meshes([mixed, mixed]).report == ()
