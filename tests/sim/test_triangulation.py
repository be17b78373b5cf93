"""Meshes of one shape that have no interior point in common, and sides that stay where they are."""

import numpy as np
import pytest
import torch

from meshlearn.mesh.boundary import tagged_points
from meshlearn.sim.triangulation import independent_mesh

CORNERS = np.array([(0.0, 0.0), (3.0, 0.0), (3.0, 2.0), (0.0, 2.0)])
SIDES = ("bottom", "right", "top", "left")


def test_sides_and_holes_are_where_they_belong():
    for seed in range(3):
        mesh = independent_mesh(CORNERS, [(1.0, 0.9, 0.4)], 0.2, seed, SIDES, refine=1)
        for name, axis, value in (("bottom", 1, 0.0), ("right", 0, 3.0), ("top", 1, 2.0), ("left", 0, 0.0)):
            assert bool((mesh.points[tagged_points(mesh, name), axis] == value).all())
        rim = mesh.points[tagged_points(mesh, "hole_0")]
        torch.testing.assert_close((rim - rim.new_tensor([1.0, 0.9])).norm(dim=1), torch.full_like(rim[:, 0], 0.4))
        assert float(mesh.measure()) == pytest.approx(6 - np.pi * 0.16, rel=1e-2)
        assert mesh.topology.is_oriented


def test_two_seeds_give_independent_points():
    one, two = (independent_mesh(CORNERS, size=0.1, seed=seed) for seed in (1, 2))
    inner = one.points[~one.topology.is_boundary]
    nearest = torch.cdist(inner, two.points).amin(1)
    assert float(nearest.median()) == pytest.approx(
        0.038, abs=0.006
    )  # of a lattice at a random place: 0.38 of the size


def test_sides_in_line_are_never_taken_for_crossing():
    """Two sides of a notched square lie on one line; with rounding, these frames make them seem to cross."""
    h = 0.0754321
    right = [(2.0, 1 - h), (2 - h, 1.0), (2.0, 1 + h)]
    notched = np.array([(0.0, 0.0), (2.0, 0.0), *right, (2.0, 2.0), (0.0, 2.0), *[(2 - x, 2 - y) for x, y in right]])
    for seed in (285, 446, 485, 655, 706, 757, 816, 934):
        mesh = independent_mesh(notched, size=0.5, seed=seed)
        assert float(mesh.measure()) == pytest.approx(4 - 2 * h**2, rel=1e-8)
