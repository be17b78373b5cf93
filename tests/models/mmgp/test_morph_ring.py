"""Plates with a hole to a ring."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.morphing import TutteMorpher, admissible_morphings
from meshlearn.testing.permutation import permute_mesh


def ring(n=(40, 6), inner=0.3, centre=(0.0, 0.0), tilt=0.0, stretch=1.0, boundary=False, cells="triangle"):
    """A structured ring whose hole is an ellipse, turned and moved; one connectivity for all shapes."""
    mesh = ml.shapes.annulus(inner, 1.0, n=n, boundary=boundary, cells=cells, dtype=torch.float64)
    radius = mesh.points.norm(dim=1, keepdim=True)
    angle = torch.atan2(mesh.points[:, 1:], mesh.points[:, :1])
    hole = inner * torch.cat([stretch * torch.cos(angle - tilt), torch.sin(angle - tilt) / stretch], 1)
    turn = torch.tensor([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    hole = hole @ turn.T + torch.tensor(centre, dtype=torch.float64)
    share = (radius - inner) / (1 - inner)
    return mesh.replace(points=hole + share * (mesh.points / radius - hole))


@pytest.fixture(scope="module")
def plates():
    return ml.sim.make_plates(12, holes=1, size=5.0, physics="poisson", order=1)


@pytest.mark.parametrize("weights", ["mean_value", "uniform", "cotangent"])
def test_no_flips_on_plates_with_a_moving_hole(plates, weights):
    assert admissible_morphings(plates)[0] == "tutte"
    morpher = TutteMorpher(plates[0], weights=weights)
    for mesh in plates:
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert morph.smallest_jacobian > 0
        radius = morph.points.norm(dim=1)
        assert radius.max() <= 1 + 1e-12
        rim = radius[mesh.boundary_points]
        inner = rim.min()
        assert (((rim - inner).abs() < 1e-9) | ((rim - 1).abs() < 1e-9)).all()
        assert float(inner) == pytest.approx(float(morpher.common.points.norm(dim=1).min()), abs=1e-9)


def test_result_does_not_depend_on_numbering_and_orientation(plates):
    reference, mesh = plates[0], plates[3]
    expected = TutteMorpher(reference).morph(mesh).points
    new = permute_mesh(mesh, 2)
    flipped = new.mesh.replace(cells={k: c.flip(1) if k == "triangle" else c for k, c in new.mesh.cells.items()})
    found = TutteMorpher(permute_mesh(reference, 3).mesh).morph(flipped)
    assert found.flipped == 0
    assert (found.points - expected[new.points]).abs().max() < 1e-9


def test_a_ring_stays_a_ring():
    mesh = ring((60, 8))
    common = TutteMorpher(mesh).common.points
    assert (common[mesh.boundary_points] - mesh.points[mesh.boundary_points]).abs().max() < 1e-2
    assert (common - mesh.points).norm(dim=1).max() < 0.1


@pytest.mark.parametrize("path", ["centre", "tilt", "stretch"])
def test_positions_are_continuous_in_the_shape(path):
    """Half the change of the shape, half the change of the positions, all the way round."""

    def shape(t):
        if path == "centre":
            return ring(centre=(0.4 * np.cos(t), 0.4 * np.sin(t)))
        if path == "tilt":
            return ring(tilt=t, stretch=1.3)
        return ring(stretch=1.2 + 0.2 * np.cos(t), centre=(0.2, 0.0))

    morpher = TutteMorpher(ring())

    def largest_step(n):
        points = [morpher.morph(shape(t)).points for t in np.linspace(0, 2 * np.pi, n + 1)]
        assert all(torch.isfinite(p).all() for p in points)
        return max(float((b - a).norm(dim=1).max()) for a, b in pairwise(points))

    coarse, fine = largest_step(16), largest_step(32)
    assert fine < 0.7 * coarse
    assert fine < 0.3


@pytest.mark.parametrize("cells", ["triangle", "quad", "mixed"])
def test_every_planar_cell(cells):
    morpher = TutteMorpher(ring())
    morph = morpher.morph(ring((36, 5), centre=(0.3, -0.2), cells=cells))
    assert morph.flipped == 0
    curved = ml.shapes.annulus(n=(24, 3), cells=cells, order=2)
    assert TutteMorpher(curved).morph(curved).flipped == 0


def test_a_square_hole_is_anchored_at_its_corners():
    def plate(side, tilt):
        turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        hole = side * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ turn.T
        return ml.shapes.planar((0.0, 0.0, 1.0), [hole], 0.15, boundary=False, dtype=torch.float64), hole

    (reference, corners), (mesh, moved) = plate(0.3, 0.0), plate(0.25, 0.4)
    morpher = TutteMorpher(reference)
    morph = morpher.morph(mesh)
    assert morph.flipped == 0
    for a, b in zip(corners, moved, strict=True):
        here = (mesh.points - torch.from_numpy(b)).norm(dim=1).argmin()
        there = (reference.points - torch.from_numpy(a)).norm(dim=1).argmin()
        assert (morph.points[here] - morpher.common.points[there]).norm() < 1e-12
