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
    part = heat(mixed)[1:3]
    assert isinstance(part, ml.Trajectory)
    assert len(part) == 2


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
        ({"point_data": {"T": torch.rand(3, 6)}}, r"\(3, 6\)"),
        ({"moving_points": torch.rand(4, 6, 3)}, "moving_points"),
        ({"cell_data": {"s": {"tetra": torch.rand(4, 1)}}}, "tetra"),
    ],
)
def test_what_does_not_fit_is_refused(mixed, change, match):
    with pytest.raises(ml.MeshlearnError, match=match):
        heat(mixed).replace(**change)


def test_frames_of_different_meshes_are_refused(mixed):
    with pytest.raises(ml.MeshError, match="frame 1"):
        ml.Trajectory.from_meshes([mixed, ml.Mesh(torch.rand(6, 2))])


def test_an_index_out_of_range_ends_iteration(mixed):
    with pytest.raises(IndexError):
        heat(mixed)[4]


def test_frames_with_different_fields_are_refused(mixed):
    with pytest.raises(ml.FieldError, match=r"frame 1 .*extra"):
        ml.Trajectory.from_meshes([mixed, mixed.with_point_data(extra=torch.zeros(6))])
