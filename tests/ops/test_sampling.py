"""Farthest-point sampling: greedy, different points, independent of their order."""

import pytest
import torch

import meshlearn as ml
from meshlearn import ops


def test_every_choice_is_the_farthest_from_those_before():
    points = torch.rand(80, 3, dtype=torch.float64)
    chosen = ops.farthest_point_sampling(points, 12, start=5)
    assert chosen[0] == 5
    for i in range(1, 12):
        distance = torch.cdist(points, points[chosen[:i]]).amin(1)
        torch.testing.assert_close(distance[chosen[i]], distance.max())


def test_permuting_the_points_permutes_the_choice():
    points = torch.rand(50, 2, dtype=torch.float64)
    order = torch.randperm(50)
    assert torch.equal(order[ops.farthest_point_sampling(points[order], 9)], ops.farthest_point_sampling(points, 9))


def test_equal_points_are_all_chosen_once():
    chosen = ops.farthest_point_sampling(torch.zeros(6, 2), 6)
    assert sorted(chosen.tolist()) == list(range(6))


def test_none_all_and_too_many():
    points = torch.rand(4, 2)
    assert ops.farthest_point_sampling(points, 0).shape == (0,)
    assert ops.farthest_point_sampling(points[:0], 0).shape == (0,)
    assert sorted(ops.farthest_point_sampling(points, 4).tolist()) == [0, 1, 2, 3]
    with pytest.raises(ml.ParameterError, match="5 of 4"):
        ops.farthest_point_sampling(points, 5)
    with pytest.raises(ml.ParameterError, match="index of a point"):
        ops.farthest_point_sampling(points, 2, start=4)
