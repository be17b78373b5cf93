"""Specimens: area, symmetry of the outline, names of the boundary, nodes on their curves."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.notch import specimen

AREAS = {"circle": math.pi, "ellipse": math.pi / 2}
NAMES = {"bottom", "right", "notch_right", "top", "left", "notch_left"}


@pytest.mark.parametrize("notch", ["circle", "ellipse", "wedge"])
@pytest.mark.parametrize("radius", [0.2, 0.6])
def test_specimens_have_their_shape_and_names(notch, radius):
    mesh = specimen(radius, 0.05, notch, seed=1)
    assert set(mesh.cell_sets) == NAMES
    rows = torch.cat([mesh.cell_sets[name]["line"] for name in NAMES])
    assert torch.equal(rows.sort().values, torch.arange(len(mesh.cells["line"])))
    assert torch.equal(mesh.cells["line"].unique(), mesh.boundary_points)
    assert mesh.topology.euler_characteristic == 1
    assert mesh.points[mesh.point_sets["bottom_left"]].tolist() == [[0.0, 0.0]]
    if notch in AREAS:
        assert float(mesh.measure()) == pytest.approx(4 - AREAS[notch] * radius**2, abs=2e-3)
    left, right = (
        mesh.points[mesh.cells["line"][mesh.cell_sets[f"notch_{s}"]["line"]].unique()] for s in ("left", "right")
    )
    assert float(left[:, 0].max()) == pytest.approx(radius, abs=1e-3)
    assert float(right[:, 0].min()) == pytest.approx(2 - radius, abs=1e-3)
    if notch == "circle":
        torch.testing.assert_close(
            (left - left.new_tensor([0.0, 1.0])).norm(dim=1), torch.full_like(left[:, 0], radius)
        )


def test_triangles_are_sound_and_meshes_independent():
    one, two = (specimen(0.35, 0.05, "wedge", seed=seed) for seed in (1, 2))
    for mesh in (one, two):
        x = mesh.points[mesh.cells["triangle"]]
        a, b = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
        double = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        longest = (x - x.roll(1, 1)).square().sum(2).amax(1)
        assert float((double / longest).min()) > 0.3  # of an equilateral triangle: 0.87
    inner = one.points[~one.topology.is_boundary]
    assert float(torch.cdist(inner, two.points).amin(1).median()) > 0.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.3, 0.05, "star"), "notch is one of"),
        ((0.9, 0.05), "radius"),
        ((0.3, 0.2), "size"),
        ((0.3, math.nan), "size"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        specimen(*arguments)
