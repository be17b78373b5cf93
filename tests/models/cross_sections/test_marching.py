"""Marching cubes: closed and manifold for any values, right for known bodies; extraction near the surface only."""

import numpy as np
import pytest
import torch
from section_bodies import peanut, ring, shell, surface_of

import meshlearn as ml
from meshlearn.models.cross_sections.cleaning import seen_parts
from meshlearn.models.cross_sections.extraction import surface
from meshlearn.models.cross_sections.grid import Grid
from meshlearn.models.cross_sections.marching import marching_cubes
from meshlearn.models.cross_sections.marching_table import marching_table


def test_complementary_cases_use_the_same_edges():
    first, triangles = marching_table()
    assert len(triangles) == 820
    for case in range(256):
        mine, other = (set(triangles[first[c] : first[c + 1]].reshape(-1)) for c in (case, 255 - case))
        assert mine == other


@pytest.mark.parametrize("seed", range(4))
def test_surfaces_of_noise_are_closed_manifold_and_outward(seed):
    values = np.full((12, 11, 13), -1.0)
    values[1:-1, 1:-1, 1:-1] = np.random.default_rng(seed).normal(size=(10, 9, 11))
    points, triangles = marching_cubes(values)
    mesh = ml.Mesh(points, {"triangle": triangles})
    assert mesh.is_watertight
    assert mesh.topology.is_manifold
    assert mesh.volume() > 0
    assert mesh.cell_measures()["triangle"].min() > 0


def test_values_of_exactly_zero_are_outside():
    values = np.zeros((4, 4, 4))
    values[1:3, 1:3, 1:3] = 1.0
    points, triangles = marching_cubes(values)
    mesh = ml.Mesh(points, {"triangle": triangles})
    assert mesh.is_watertight
    assert mesh.topology.is_manifold


@pytest.mark.parametrize(("body", "euler"), [(peanut, 2), (ring, 0), (shell, 6)])
def test_surfaces_have_the_topology_of_their_bodies(body, euler):
    mesh = surface_of(body, 48)
    assert mesh.topology.euler_characteristic == euler
    assert mesh.is_watertight


def test_volume_converges_at_second_order():
    exact = 4 / 3 * np.pi * 0.9**3

    def ball(p):
        return 0.9 - np.linalg.norm(p, axis=1)

    errors = [abs(float(surface_of(ball, n).volume()) - exact) for n in (20, 40)]
    assert np.log2(errors[0] / errors[1]) > 1.6


def test_points_are_where_the_function_is_zero_and_not_its_linear_interpolant():
    def steep(x):  # in grid numbers: a sheet of a twentieth of an edge round x = 4, ten times as high as the floor
        return 1.0 - 1.1 * np.clip(np.abs(x[:, 0] - 4) / 0.05, 0, 1) - 0.1 * (np.abs(x[:, 1:] - 4).max(1) > 2.5)

    nodes = np.stack(np.indices((9, 9, 9)), axis=-1).reshape(-1, 3).astype(float)
    values = steep(nodes)
    values[np.abs(nodes[:, 1:] - 4).max(1) > 2.5] = -1.0
    values = values.reshape(9, 9, 9)
    linear, triangles = marching_cubes(values)
    exact, same = marching_cubes(values, steep)
    assert (same == triangles).all()
    on = np.abs(exact[:, 1:] - 4).max(1) < 2.2
    assert np.abs(np.abs(exact[on, 0] - 4) - 0.05 / 1.1).max() < 0.05
    assert np.abs(linear[on, 0] - 4).min() > 0.8


def test_looking_near_the_surface_only_changes_nothing():
    grid = Grid(np.full(3, -1.0), 2 / 80, (81, 81, 81))
    calls = []

    def values_at(points):
        calls.append(len(points))
        return 0.7 - points.double().norm(dim=1).float()

    points, triangles = surface(values_at, grid, np.zeros((0, 3)))
    values = values_at(grid.nodes(np.arange(81**3))).numpy().reshape(81, 81, 81)
    exact = lambda x: values_at(torch.from_numpy((-1 + x / 40).astype(np.float32))).numpy()  # noqa: E731
    full_points, full_triangles = marching_cubes(values, exact)
    np.testing.assert_allclose(points, -1 + full_points / 40, atol=1e-6)
    assert (triangles == full_triangles).all()
    assert sum(calls[: calls.index(81**3)]) < 0.4 * 81**3


def test_thin_parts_between_coarse_nodes_are_followed_from_seeds():
    grid = Grid(np.full(3, -1.0), 2 / 40, (41, 41, 41))

    def values_at(points):  # a wire that no coarse node is near to
        return 0.04 - (points[:, :2] - 0.1).norm(dim=1).clamp(max=0.06) - (points[:, 2].abs() - 0.8).clamp(min=0)

    points, triangles = surface(values_at, grid, np.array([[0.1, 0.1, 0.0]]))
    mesh = ml.Mesh(points, {"triangle": triangles})
    assert mesh.is_watertight
    assert np.ptp(points[:, 2]) > 1.5


def test_parts_that_no_plane_crosses_are_removed():
    def two(p):
        return np.maximum(0.3 - np.linalg.norm(p - 0.5, axis=1), 0.2 - np.linalg.norm(p + 0.5, axis=1))

    mesh = surface_of(two, 40)
    points, triangles = seen_parts(
        mesh.points.numpy(), mesh.cells["triangle"].numpy(), np.array([[0, 0, 1.0]]), np.array([0.5]), 0.01
    )
    assert points.min() > 0.0
    assert ml.Mesh(points, {"triangle": triangles}).is_watertight
