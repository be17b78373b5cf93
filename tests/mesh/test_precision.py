"""Numbers without a dtype keep their precision where single precision would not hold it."""

import numpy as np
import pytest
import torch

import meshlearn as ml


def test_coordinates_far_from_the_origin_stay_apart():
    points = [[5000000.123, 1.0], [5000000.223, 1.0]]
    assert ml.Mesh(points).points.tolist() == points
    assert ml.Mesh([[0.1, 0.0], [0.2, 1.0]]).dtype == torch.float32  # torch's default is enough


def test_whole_numbers_as_coordinates():
    far = np.array([[16777217, 0], [16777219, 0]])
    assert ml.Mesh(far).points.tolist() == far.tolist()
    assert ml.Mesh(far.tolist()).points.tolist() == far.tolist()
    assert ml.Mesh(np.array([[1, 2], [3, 4]])).dtype == torch.float32


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([101325.01, 101325.02], torch.float64),
        ([0.1, 0.2], torch.float32),
        ([0.1 + 0.2, 0.3], torch.float32),  # rounding, no spread
        ([0.1, float("nan")], torch.float32),
        ([1e300, 0.0], torch.float64),
        ([1e-50, 0.0], torch.float64),
        ([[1.0, 7e6], [2.0, 7e6 + 0.1]], torch.float64),  # one component
        ([float("inf"), 1.0], torch.float32),
    ],
)
def test_fields(values, dtype):
    field = ml.Mesh([[0.0], [1.0]], point_data={"u": values}).point_data["u"]
    assert field.dtype == dtype
    expected = torch.tensor(values, dtype=torch.float64)
    assert torch.allclose(field.double(), expected, rtol=1e-12 if dtype.itemsize == 8 else 1e-6, atol=0, equal_nan=True)


def test_single_numbers():
    mesh = ml.Mesh([[0.0]], global_data={"load": 3.3, "seconds": 1700000000.5})
    assert mesh.global_data["load"].dtype == torch.float32
    assert float(mesh.global_data["seconds"]) == 1700000000.5


@pytest.mark.parametrize(
    "times", [[1700000000, 1700000001], (1700000000.0, 1700000001.0), range(1700000000, 1700000002),
              np.array([1700000000, 1700000001]), torch.tensor([1700000000, 1700000001])],
)  # fmt: skip
def test_times_in_seconds_of_an_epoch(times):
    series = ml.Trajectory(ml.shapes.square(n=1), times)
    assert series.times.tolist() == [1700000000, 1700000001]
    assert float(series[1].global_data["time"]) == 1700000001
