"""The planar mesher: boundary respected, angles bounded, reproducible, graded; impossible input refused by name."""

import math
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.mesh.quality import min_angle
from meshlearn.mesh.shapes.mesher.curves import segments_meet
from meshlearn.mesh.validity import check_mesh

S = ml.shapes
F64 = {"dtype": torch.float64}


def smallest_angle(mesh):
    return math.degrees(min(v.min().item() for v in min_angle(mesh).values()))


@settings(max_examples=25, deadline=None)
@given(
    holes=st.lists(st.tuples(st.floats(0.03, 0.2), st.floats(0.5, 1.0), st.floats(0, 3)), max_size=4),
    size=st.floats(0.04, 0.2),
    seed=st.integers(0, 5),
)
def test_any_plate_is_valid_and_well_shaped(holes, size, seed):
    centres = [(0.4, 0.4), (1.5, 0.5), (0.95, 0.75), (1.0, 0.25)]
    ellipses = [(x, y, r, r * ratio, angle) for (x, y), (r, ratio, angle) in zip(centres, holes, strict=False)]
    mesh = S.plate_with_holes(ellipses, size, (2.0, 1.0), seed=seed, **F64)
    assert check_mesh(mesh) == []
    assert mesh.topology.euler_characteristic == 1 - len(ellipses)
    assert smallest_angle(mesh) > 20
    # the triangles fill exactly what the segments enclose (Green's formula)
    ends = mesh.points[mesh.cells["line"]]
    enclosed = 0.5 * (ends[:, 0, 0] * ends[:, 1, 1] - ends[:, 1, 0] * ends[:, 0, 1]).sum()
    torch.testing.assert_close(mesh.measure(), enclosed, rtol=1e-10, atol=0)
    exact = 2 - sum(math.pi * e[2] * e[3] for e in ellipses)
    assert mesh.measure().item() == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(
    "outline",
    [
        [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)],
        [(0, 0), (1, 0), (0.3, 0.3), (0, 1)],
        [(math.cos(t) * r, math.sin(t) * r) for t, r in zip(np.arange(10) * math.pi / 5, [1, 1.4] * 5, strict=True)],
        (0.0, 0.0, 1.0, 0.5, 0.3),
    ],
)
def test_outlines(outline):
    mesh = S.planar(outline, size=0.1, **F64)
    assert check_mesh(mesh) == []
    corners = np.asarray(outline, dtype=float)
    if corners.ndim == 2:
        for corner in corners:  # every corner is a node
            assert (mesh.points - torch.from_numpy(corner)).norm(dim=1).min() < 1e-12
    lengths = mesh.cell_measures()["line"]
    assert lengths.max() < 0.13
    assert smallest_angle(mesh) > 14  # the dart has a corner of 22 degrees of its own


def test_sides_are_named_in_the_order_of_the_corners_given():
    corners = [(0.0, 0.0), (3.0, 0.0), (0.0, 1.0)]
    for direction in (1, -1):
        mesh = S.planar(corners[::direction], size=0.3, **F64)
        length = {n: mesh.cell_measures()["line"][k["line"]].sum().item() for n, k in mesh.cell_sets.items()}
        expected = [3.0, math.sqrt(10), 1.0] if direction == 1 else [math.sqrt(10), 3.0, 1.0]
        assert [length[f"side_{i}"] for i in range(3)] == pytest.approx(expected)
        assert length["outline"] == pytest.approx(sum(expected))


def test_edges_have_the_size_and_small_holes_refine_gradually():
    plain = S.square(size=0.05, **F64)
    edges = plain.points[plain.edges]
    length = (edges[:, 1] - edges[:, 0]).norm(dim=1)
    assert length.mean().item() == pytest.approx(0.05, rel=0.1)
    graded = S.plate_with_holes([(0.5, 0.5, 0.03)], size=0.1, **F64)
    ends = graded.points[graded.edges]
    length, distance = (ends[:, 1] - ends[:, 0]).norm(dim=1), (ends.mean(1) - 0.5).norm(dim=1)
    near, far = length[distance < 0.06].mean(), length[distance > 0.4].mean()
    assert near < 0.025
    assert far > 0.07
    assert graded.n_points < 400


def test_narrow_gaps_get_small_cells():
    mesh = S.plate_with_holes([(0.3, 0.5, 0.19), (0.7, 0.5, 0.19)], size=0.1, **F64)
    assert smallest_angle(mesh) > 20
    assert check_mesh(mesh) == []


def test_seeds_reproduce_and_differ():
    one, same, other = (S.plate_with_holes(size=0.1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.points, same.points)
    assert torch.equal(one.cells["triangle"], same.cells["triangle"])
    assert one.points.shape != other.points.shape or not torch.equal(one.points, other.points)


@pytest.mark.parametrize("cells", ["quad", "mixed"])
def test_quads_are_convex(cells):
    mesh = S.plate_with_holes([(0.5, 0.5, 0.2)], size=0.06, cells=cells, **F64)
    assert ml.mesh.quality.scaled_jacobian(mesh)["quad"].min() > 0.2
    assert mesh.cell_counts["quad"] > mesh.cell_counts.get("triangle", 0)


@pytest.mark.parametrize(
    ("holes", "outline", "size", "word"),
    [
        ([(0.3, 0.5, 0.2), (0.5, 0.5, 0.2)], (1.0, 1.0), 0.1, "overlap"),
        ([(0.5, 0.5, 0.3), (0.5, 0.5, 0.1)], (1.0, 1.0), 0.1, "overlap"),
        ([(0.9, 0.5, 0.2)], (1.0, 1.0), 0.1, "not inside"),
        ([(3.0, 3.0, 0.2)], (1.0, 1.0), 0.1, "not inside"),
        ([[(0.2, 0.2), (1.4, 0.3), (0.3, 0.4)]], (1.0, 1.0), 0.1, "not inside"),
        ([(0.5, 0.5, 2.0)], (1.0, 1.0), 0.1, "not inside"),
        ([(0.29, 0.5, 0.2), (0.7, 0.5, 0.2)], (1.0, 1.0), 0.1, None),
        ([(0.3, 0.5, 0.19999), (0.7, 0.5, 0.19999)], (1.0, 1.0), 0.1, "within"),
        ([], (1.0, 1.0), 1.5, "larger"),
        ([], (1.0, 1.0), -0.1, "positive"),
        ([], (1.0, 1.0), 1e-5, "larger size"),
        ([], [(0, 0), (1, 1), (1, 0), (0, 1)], 0.1, "crosses itself"),
        ([], [(0, 0), (1, 0), (2, 0)], 0.1, "no area"),
        ([], [(0, 0), (0, 0), (2, 0), (1, 1)], 0.1, "equal corners"),
        ([(0.5, 0.5, -0.1)], (1.0, 1.0), 0.1, "positive radius"),
        ([(0.5, 0.5)], (1.0, 1.0), 0.1, "cannot read"),
    ],
)
def test_impossible_input_is_refused_and_named(holes, outline, size, word):
    if word is None:
        assert check_mesh(S.plate_with_holes(holes, size, outline)) == []
        return
    with pytest.raises(ParameterError, match=word):
        S.plate_with_holes(holes, size, outline)


def test_sides_in_line_do_not_cross_in_any_frame():
    """Two sides of a notched square lie on one line; in these turned frames, rounding gives their areas mixed signs."""
    h = 0.0754321
    right = [(2.0, 1 - h), (2 - h, 1.0), (2.0, 1 + h)]
    notched = np.array([(0.0, 0.0), (2.0, 0.0), *right, (2.0, 2.0), (0.0, 2.0), *[(2 - x, 2 - y) for x, y in right]])
    for seed in (285, 446, 485, 655, 706, 757, 816, 934, 1262, 1368):
        angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        mesh = S.planar(notched @ turn.T, size=0.5, **F64)
        assert float(mesh.measure()) == pytest.approx(4 - 2 * h**2, rel=1e-9)


def test_segments_meet_as_exact_arithmetic_says():
    """On a grid of whole numbers, where all areas are exact, against the solution of the crossing in fractions."""
    rng = np.random.default_rng(0)
    a, b, c, d = rng.integers(0, 5, size=(4, 400, 2)).astype(float)
    apart = ((a == b) | (c == d)).all(1)
    for p, q, r, s in zip(a[~apart], b[~apart], c[~apart], d[~apart], strict=True):
        found = segments_meet(p, q, r[None], s[None])[0]
        assert found == _meet_exactly(*(tuple(int(v) for v in point) for point in (p, q, r, s)))


def _meet_exactly(a, b, c, d):
    """Whether a + t (b - a) = c + s (d - c) for some t and s in [0, 1]."""
    (ux, uy), (vx, vy) = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1])
    wx, wy = c[0] - a[0], c[1] - a[1]
    det = vx * uy - ux * vy
    if det:
        t, s = Fraction(vx * wy - vy * wx, det), Fraction(ux * wy - uy * wx, det)
        return 0 <= t <= 1 and 0 <= s <= 1
    if ux * wy != uy * wx:
        return False  # parallel
    length = ux * ux + uy * uy
    ends = [Fraction(ux * x + uy * y, length) for x, y in ((wx, wy), (d[0] - a[0], d[1] - a[1]))]
    return max(ends) >= 0 and min(ends) <= 1


def test_speed():
    """About 2000 points in a tenth of a second of processor time; the limit leaves room for slow machines."""
    S.plate_with_holes(size=0.1)
    best = math.inf
    for _ in range(3):
        start = time.process_time()
        mesh = S.plate_with_holes([(0.5, 0.5, 0.2), (1.4, 0.6, 0.15)], 0.033, (2.0, 1.0))
        best = min(best, time.process_time() - start)
    assert mesh.n_points > 1800
    assert best < 0.5
