"""Plates to the disc and to the ring: embeddings, invariances, anchors."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ParameterError, TopologyError
from meshlearn.models.mmgp.morphing import TutteMorpher, make_morpher
from meshlearn.models.mmgp.morphing.means import MeanMap
from meshlearn.models.mmgp.morphing.weights import neighbour_weights
from meshlearn.testing.permutation import permute_mesh


def star(rng, n=60, size=0.12, modes=5, amplitude=0.35):
    """A random smooth star: radius 1 plus a few Fourier modes, always above 0.4."""
    angle = 2 * np.pi * np.arange(n) / n
    k = np.arange(2, 2 + modes)[:, None]
    a, b = rng.normal(size=(2, modes, 1)) / k
    wave = (a * np.cos(k * angle) + b * np.sin(k * angle)).sum(0)
    radius = 1 + amplitude * wave / max(np.abs(wave).max(), 1.0)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return ml.shapes.planar(outline, (), size, dtype=torch.float64, boundary=False)


def without_tags(mesh):
    return ml.Mesh(mesh.points, {kind: mesh.cells[kind] for kind in mesh.domain_types})


def notched(radius, height, size=0.1, tags=True):
    """The unit square with a half circle cut out of its left side."""
    angle = np.linspace(np.pi / 2, -np.pi / 2, 13)
    notch = np.stack([radius * np.cos(angle), height + radius * np.sin(angle)], 1)
    outline = np.concatenate([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], notch])
    mesh = ml.shapes.planar(outline, (), size, dtype=torch.float64)
    return mesh if tags else without_tags(mesh)


def renumbered(mesh, seed=0):
    """Points and cells in another order, cells starting at another node; (mesh, old number of each new point)."""
    turned = mesh.replace(cells={k: (n.roll(1, 1) if k == "triangle" else n) for k, n in mesh.cells.items()})
    new = permute_mesh(turned, seed)
    return new.mesh, new.points


def inverted(mesh):
    return mesh.replace(cells={k: (n.flip(1) if k in ("triangle", "quad") else n) for k, n in mesh.cells.items()})


def linear_error(mesh):
    """With the boundary kept, mean values reproduce the points of the mesh."""
    mesh = mesh.double()
    points = mesh.points.numpy()
    solved = MeanMap(neighbour_weights(mesh), mesh.topology.is_boundary.numpy()).solve(points * 1.0)
    return np.abs(solved - points).max()


@pytest.mark.parametrize("cells", ["triangle", "quad", "mixed"])
def test_mean_values_have_linear_precision(cells):
    assert linear_error(ml.shapes.square(size=0.1, cells=cells)) < 1e-12


def test_uniform_weights_have_not():
    mesh = ml.shapes.square(size=0.1).double()
    weights = neighbour_weights(mesh, "uniform")
    solved = MeanMap(weights, mesh.topology.is_boundary.numpy()).solve(mesh.points.numpy() * 1.0)
    assert np.abs(solved - mesh.points.numpy()).max() > 1e-3


@pytest.fixture(scope="module")
def stars():
    rng = np.random.default_rng(0)
    return [star(rng) for _ in range(31)]


@pytest.mark.parametrize("weights", ["mean_value", "uniform"])
def test_no_flips_on_stars(weights, stars):
    shapes = stars
    morpher = TutteMorpher(shapes[0], weights=weights)
    for mesh in shapes[1:]:
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert morph.smallest_jacobian > 0
        radius = morph.points[mesh.boundary_points].norm(dim=1)
        assert torch.allclose(radius, torch.ones_like(radius))


def test_no_flips_on_plates_with_notches():
    rng = np.random.default_rng(1)
    morpher = TutteMorpher(notched(0.2, 0.5))
    for number in range(12):
        radius = rng.uniform(0.05, 0.35)
        mesh = notched(
            radius, rng.uniform(radius + 0.05, 0.95 - radius), rng.uniform(0.06, 0.15), tags=bool(number % 2)
        )
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert morph.smallest_jacobian > 0


@pytest.mark.parametrize("cells", ["triangle", "quad", "mixed"])
@pytest.mark.parametrize("order", [1, 2])
def test_every_planar_cell(cells, order):
    morpher = TutteMorpher(ml.shapes.square(n=6))
    mesh = ml.shapes.square(n=5, cells=cells, order=order)
    morph = morpher.morph(mesh)
    assert morph.flipped == 0
    assert morph.points.norm(dim=1).max() <= 1 + 1e-12
    assert float(morph.points[mesh.boundary_points].norm(dim=1).min()) > 0.95


@pytest.mark.parametrize("tags", [True, False])
def test_result_does_not_depend_on_numbering_and_orientation(tags):
    reference, mesh = notched(0.2, 0.5, tags=tags), notched(0.3, 0.4, 0.09, tags=tags)
    expected = TutteMorpher(reference).morph(mesh)
    other, old = renumbered(mesh, 1)
    for reference_used in (reference, renumbered(reference, 2)[0], inverted(reference)):
        morpher = TutteMorpher(reference_used)
        for candidate in (other, inverted(other)):
            found = morpher.morph(candidate)
            assert found.flipped == 0
            assert (found.points - expected.points[old]).abs().max() < 1e-10
            assert found.smallest_jacobian == pytest.approx(expected.smallest_jacobian, abs=1e-9)


def test_smooth_shapes_without_anchors_do_not_depend_on_numbering(stars):
    reference, mesh = stars[3:5]
    expected = TutteMorpher(reference).morph(mesh)
    other, old = renumbered(mesh, 3)
    found = TutteMorpher(renumbered(reference, 5)[0]).morph(other)
    assert (found.points - expected.points[old]).abs().max() < 1e-10


def test_similar_meshes_go_to_the_same_place():
    """Mean values depend on angles only: moved and scaled copies go where the mesh goes."""
    mesh = notched(0.25, 0.5)
    morpher = TutteMorpher(mesh)
    moved = mesh.replace(points=3.0 * mesh.points + torch.tensor([5.0, -2.0]))
    assert (morpher.morph(moved).points - morpher.common.points).abs().max() < 1e-9


@pytest.mark.parametrize("tags", [True, False])
def test_corners_go_to_corners(tags):
    reference, mesh = notched(0.2, 0.5, tags=tags), notched(0.3, 0.35, 0.07, tags=tags)
    morpher = TutteMorpher(reference)
    corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    ends = [([0.0, 0.7], [0.0, 0.65]), ([0.0, 0.3], [0.0, 0.05])]
    for there, here in [*((c, c) for c in corners), *ends]:
        a = (reference.points - torch.tensor(there)).norm(dim=1).argmin()
        b = (mesh.points - torch.tensor(here)).norm(dim=1).argmin()
        assert (morpher.common.points[a] - morpher.morph(mesh).points[b]).norm() < 1e-12


def test_tags_decide_over_corners():
    """A rectangle with its tags a quarter turn on goes to the disc a quarter turn on."""
    square = ml.shapes.square(n=6)
    turn = {"bottom": "right", "right": "top", "top": "left", "left": "bottom"}
    turned = square.replace(cell_sets={turn.get(name, name): rows for name, rows in square.cell_sets.items()})
    morpher = TutteMorpher(square)
    rotation = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    plain = morpher.morph(square).points
    found = morpher.morph(turned).points
    ring = square.boundary_points
    assert (found[ring] - plain[ring] @ rotation.T).abs().max() < 1e-12
    assert (TutteMorpher(square, tags=False).morph(turned).points - plain).abs().max() < 1e-12


def test_landmarks_are_anchors():
    disc = ml.shapes.disc(n=6, boundary=False)
    rim = disc.boundary_points
    reference = disc.replace(point_sets={"mark": rim[:1]})
    mesh = disc.replace(point_sets={"mark": rim[5:6]})
    morpher = TutteMorpher(reference, landmarks=["mark"])
    assert (morpher.morph(mesh).points[rim[5]] - morpher.common.points[rim[0]]).norm() < 1e-12
    with pytest.raises(ParameterError, match="landmark 'nose'"):
        TutteMorpher(reference, landmarks=["nose"])


def test_tags_in_another_order_are_refused():
    square = ml.shapes.square(n=4)
    swap = {"bottom": "right", "right": "bottom"}
    other = square.replace(cell_sets={swap.get(name, name): rows for name, rows in square.cell_sets.items()})
    with pytest.raises(TopologyError, match=r"another order.*\n.*\{\"tags\": False\}"):
        TutteMorpher(square).morph(other)


def test_a_chamfer_is_closed():
    """A side that the reference has not: its middle stands for the reference's corner."""
    outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.7), (0.7, 1.0), (0.0, 1.0)]
    names = ("bottom", "right", "chamfer", "top", "left")
    mesh = ml.shapes.planar(outline, (), 0.1, side_names=names)
    square = ml.shapes.square(n=6)
    morpher = TutteMorpher(square)
    morph = morpher.morph(mesh)
    assert morph.flipped == 0
    corner = (square.points - 1.0).norm(dim=1).argmin()
    middle = (mesh.points - 0.85).norm(dim=1).argmin()
    assert (morph.points[middle] - morpher.common.points[corner]).norm() < 1e-12


def test_the_disc_lies_as_the_reference_does():
    disc = ml.shapes.disc(radius=2.0, n=6).double()
    assert (TutteMorpher(disc).common.points - disc.points / 2).abs().max() < 1e-2
    rim = disc.boundary_points
    assert (TutteMorpher(disc).common.points[rim] - disc.points[rim] / 2).abs().max() < 1e-6


def test_unused_points_stay_with_their_neighbours():
    square = ml.shapes.square(n=4)
    extra = square.replace(points=torch.cat([square.points, torch.tensor([[0.5, 0.5]])]))
    morph = TutteMorpher(square).morph(extra)
    assert (morph.points[-1] - morph.points[12]).norm() < 1e-12


def test_what_it_refuses():
    square = ml.shapes.square(n=4)
    with pytest.raises(TopologyError, match="a plate with 1 hole, against a plate with no holes"):
        TutteMorpher(square).morph(ml.shapes.annulus())
    with pytest.raises(TopologyError, match="3-D space"):
        TutteMorpher(ml.shapes.box(n=2))
    with pytest.raises(TopologyError, match="planar meshes"):
        TutteMorpher(square).morph(ml.shapes.sphere())
    with pytest.raises(TopologyError, match="third coordinate is constant"):
        TutteMorpher(square.replace(points=torch.nn.functional.pad(square.points, (0, 1))))
    two = ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.5, 0.1)], size=0.1)
    with pytest.raises(TopologyError, match="a plate with 2 holes"):
        TutteMorpher(two)
    with pytest.raises(ParameterError, match="expected one of"):
        TutteMorpher(square, weights="equal")
    with pytest.raises(ParameterError, match="knows triangles, not quad"):
        TutteMorpher(ml.shapes.square(n=2, cells="quad"), weights="cotangent")
    with pytest.raises(ParameterError, match=r"no option 'weight'; its options are: weights, tags"):
        make_morpher("tutte", square, weight="uniform")
