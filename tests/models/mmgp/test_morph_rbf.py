"""Meshes to the shape of the reference by radial functions."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ParameterError, TopologyError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.models.mmgp.morphing import RadialMorpher
from meshlearn.models.mmgp.morphing.wendland import VectorInterpolant, wendland
from meshlearn.testing.permutation import permute_mesh


def bump(mesh, height=0.3):
    x = mesh.double().points.clone()
    x[:, 2] += height * x[:, 2] * torch.exp(-8 * ((x[:, 0] - 0.6) ** 2 + (x[:, 1] - 0.5) ** 2))
    return mesh.double().replace(points=x)


def affine(mesh):
    dim = mesh.dim
    matrix = torch.diag(torch.tensor([1.7, 0.6, 1.2], dtype=torch.float64)[:dim])
    return mesh.double().replace(points=mesh.double().points @ matrix.T + 3.0)


def test_wendland_is_one_at_home_and_smooth_at_the_end():
    r = np.linspace(0, 1.2, 1201)
    value = wendland(r)
    assert value[0] == 1
    assert (value[r >= 1] == 0).all()
    assert np.abs(np.diff(value, 3)).max() < 1e-6  # twice differentiable: third differences of order h^3


@pytest.mark.parametrize("n", [300, 2500])
@pytest.mark.parametrize("dim", [2, 3])
def test_interpolant_is_exact_at_centres_and_on_affine_fields(n, dim):
    rng = np.random.default_rng(0)
    centres, points = rng.uniform(size=(n, dim)), rng.uniform(size=(50, dim))
    values = np.sin(3 * centres) + centres**2
    fitted = VectorInterpolant(centres, values, 1.0)
    assert np.abs(fitted(centres) - values).max() < 1e-8
    matrix = rng.normal(size=(dim, dim))
    assert np.abs(VectorInterpolant(centres, centres @ matrix + 1, 1.0)(points) - points @ matrix - 1).max() < 1e-10


@pytest.mark.parametrize(
    "mesh",
    [
        ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.4, 0.15)], size=0.1),
        ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.4, 0.15)], size=0.2, order=2, cells="mixed"),
        ml.shapes.box(n=3),
        ml.shapes.box(n=3, cells="mixed", order=2),
        ml.shapes.sphere(),
        ml.shapes.box(n=3, cells="hexahedron").boundary_mesh(),
    ],
    ids=["holes", "holes of second order", "box", "mixed box", "sphere", "quads of a box"],
)
def test_affine_images_come_back(mesh):
    morph = RadialMorpher(mesh).morph(affine(mesh))
    assert (morph.points - mesh.points.double()).abs().max() < 1e-6
    assert morph.flipped == 0


def test_plates_go_to_the_plate():
    reference = ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.5, 0.12)], size=0.08)
    morpher = RadialMorpher(reference)
    locator = ml.PointLocator(reference.double())
    rng = np.random.default_rng(0)
    for _ in range(10):
        x, y, z, w = np.array([0.3, 0.5, 0.7, 0.5]) + rng.uniform(-0.08, 0.08, 4)
        outline = [(0.0, 0.0), (1.2, 0.0), (1.1, 0.9 + 0.2 * rng.uniform()), (0.0, 1.0)]
        holes = [(x, y, rng.uniform(0.08, 0.15)), (z, w, rng.uniform(0.08, 0.15))]
        mesh = ml.shapes.planar(outline, holes, 0.07, side_names=("bottom", "right", "top", "left", "hole_0", "hole_1"))
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert locator.locate(morph.points[mesh.boundary_points]).distance.max() < 1e-6
        for side in ("left", "right", "top", "bottom"):
            here = morph.points[tagged_points(mesh, side)]
            there = reference.points[tagged_points(reference, side)].double()
            assert torch.allclose(here.amin(0), there.amin(0), atol=1e-6)
            assert torch.allclose(here.amax(0), there.amax(0), atol=1e-6)


def test_a_corner_that_becomes_straight_keeps_its_cell():
    outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.7), (0.7, 1.0), (0.0, 1.0)]
    names = ("bottom", "right", "chamfer", "top", "left")
    reference = ml.shapes.planar(outline, (), 0.1, side_names=names)
    morph = RadialMorpher(reference).morph(ml.shapes.square(n=9))
    assert morph.flipped == 0
    assert morph.smallest_jacobian > 1e-4


def test_holes_by_tags_or_by_place():
    holes = [(0.25, 0.5, 0.1), (0.75, 0.5, 0.1)]
    reference = ml.shapes.plate_with_holes(holes, size=0.1)
    swapped = ml.shapes.plate_with_holes(holes[::-1], size=0.09)
    morph = RadialMorpher(reference).morph(swapped)
    assert morph.flipped == 0
    assert (morph.points - swapped.points).norm(dim=1).max() < 0.1


def test_numbering_and_orientation_do_not_matter():
    reference = ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.4, 0.15)], size=0.15)
    mesh = ml.shapes.plate_with_holes([(0.35, 0.55, 0.12), (0.7, 0.5, 0.1)], size=0.14)
    expected = RadialMorpher(reference).morph(mesh)
    new = permute_mesh(mesh, 1)
    turned = new.mesh.replace(cells={k: c.flip(1) if k == "triangle" else c for k, c in new.mesh.cells.items()})
    found = RadialMorpher(permute_mesh(reference, 2).mesh).morph(turned)
    assert found.flipped == expected.flipped == 0
    assert (found.points - expected.points[new.points]).abs().max() < 1e-7


@pytest.mark.parametrize("cells", ["tetra", "hexahedron", "wedge"])
def test_solids_with_a_bump(cells):
    reference = ml.shapes.box(n=4)
    mesh = bump(ml.shapes.box(n=(5, 4, 6), cells=cells))
    morph = RadialMorpher(reference).morph(mesh)
    assert morph.flipped == 0
    top = morph.points[tagged_points(mesh, "top")]
    assert (top[:, 2] - 1).abs().max() < 1e-9
    outside = ml.PointLocator(reference.double()).locate(morph.points).distance
    assert outside.max() < 1e-9


def test_landmarks_inside():
    square = ml.shapes.square(n=6, dtype=torch.float64)
    middle = (square.points - 0.5).norm(dim=1).argmin()
    other = (square.points - torch.tensor([0.5, 0.6667])).norm(dim=1).argmin()
    reference = square.replace(point_sets={"eye": middle[None]})
    morph = RadialMorpher(reference, landmarks=["eye"]).morph(square.replace(point_sets={"eye": other[None]}))
    assert torch.equal(morph.points[other], square.points[middle])
    assert morph.flipped == 0


def test_many_steps_keep_cells_that_one_step_turns_over():
    reference = ml.shapes.plate_with_holes([(0.25, 0.5, 0.12)], size=0.06)
    mesh = ml.shapes.plate_with_holes([(0.72, 0.5, 0.12)], size=0.06)
    assert RadialMorpher(reference, steps=1).morph(mesh).flipped > 0
    assert RadialMorpher(reference).morph(mesh).flipped == 0


def test_what_it_refuses():
    box = ml.shapes.box(n=2)
    with pytest.raises(TopologyError, match="a plate with no holes, against a solid"):
        RadialMorpher(box).morph(ml.shapes.square(n=2))
    with pytest.raises(TopologyError, match="a closed surface with 1 handle, against a closed surface with no handles"):
        RadialMorpher(ml.shapes.sphere()).morph(ml.shapes.torus())
    sides = torch.cat([box.cell_sets[name]["triangle"] for name in ("left", "right", "front", "back")])
    wrong = box.replace(cell_sets={"left": {"triangle": sides}, "right": {"triangle": sides}})
    with pytest.raises(TopologyError, match="other parts than the reference's"):
        RadialMorpher(box).morph(wrong)
    with pytest.raises(ParameterError, match="radius=0"):
        RadialMorpher(box, radius=0)
    with pytest.raises(ParameterError, match="steps=0"):
        RadialMorpher(box, steps=0)
