"""Meshes to the shape of the reference as elastic bodies."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ConvergenceError, ParameterError, TopologyError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.models.mmgp.morphing import ElasticMorpher
from meshlearn.models.mmgp.morphing.stiffness import stiffness
from meshlearn.testing.permutation import permute_mesh


def bump(mesh, height=0.3):
    x = mesh.double().points.clone()
    x[:, 2] += height * x[:, 2] * torch.exp(-8 * ((x[:, 0] - 0.6) ** 2 + (x[:, 1] - 0.5) ** 2))
    return mesh.double().replace(points=x)


def skin_distance(mesh, morph, reference):
    """Largest distance of the moved boundary from the reference's boundary, both ways round."""
    from meshlearn.mesh.search.closest import ClosestPoint

    moved = mesh.double().replace(points=morph.points)
    there = ClosestPoint(reference.double().points, reference.topology.boundary_facets)
    return float(there(moved.points[mesh.boundary_points])[2].max())


@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_stiffness_is_that_of_a_body(cells):
    """Symmetric, no forces under rigid motions, and the energy of a stretch known by hand."""
    mesh = ml.shapes.square(n=3, cells=cells, dtype=torch.float64)
    matrix = stiffness(mesh, mesh.points, poisson=0.25)
    x = mesh.points.numpy()
    assert abs(matrix - matrix.T).max() < 1e-12
    for rigid in (np.tile([1.0, 0.0], len(x)), np.stack([-x[:, 1], x[:, 0]], 1).reshape(-1)):
        assert np.abs(matrix @ rigid).max() < 1e-12
    stretch = np.stack([x[:, 0], 0 * x[:, 0]], 1).reshape(-1)
    # equal cells: modulus 1, and lambda + 2 mu for nu = 1/4 is 6/5
    assert stretch @ matrix @ stretch == pytest.approx(1.2)


def test_small_cells_are_stiffer():
    points = torch.tensor([[0.0, 0], [1, 0], [0, 1], [-0.1, 0], [0, -0.1]], dtype=torch.float64)
    mesh = ml.Mesh(points, {"triangle": [[0, 1, 2], [0, 3, 4]]})
    diagonal = stiffness(mesh, points).diagonal().reshape(-1, 2).sum(1)
    assert diagonal[3] > 100 * diagonal[1]


@pytest.mark.parametrize(
    "mesh",
    [ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.4, 0.15)], size=0.15), ml.shapes.box(n=3)],
    ids=["plate", "box"],
)
def test_stretched_images_come_back(mesh):
    scale = torch.tensor([1.7, 0.6, 1.2])[: mesh.dim]
    morph = ElasticMorpher(mesh).morph(mesh.replace(points=mesh.points * scale + 3))
    assert (morph.points - mesh.points.double()).abs().max() < 1e-5
    assert morph.flipped == 0


def test_plates_with_moved_holes():
    reference = ml.shapes.plate_with_holes([(0.3, 0.5, 0.1), (0.7, 0.5, 0.12)], size=0.15)
    morpher = ElasticMorpher(reference)
    rng = np.random.default_rng(1)
    for _ in range(2):
        x, y, z, w = np.array([0.3, 0.5, 0.7, 0.5]) + rng.uniform(-0.06, 0.06, 4)
        mesh = ml.shapes.plate_with_holes([(x, y, 0.12), (z, w, 0.09)], size=0.13, outline=(1.3, 1.0))
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert skin_distance(mesh, morph, reference) < 1e-4
        for side in ("left", "right", "top", "bottom"):
            here = morph.points[tagged_points(mesh, side)]
            there = reference.points[tagged_points(reference, side)].double()
            assert torch.allclose(here.amin(0), there.amin(0), atol=2e-4)
            assert torch.allclose(here.amax(0), there.amax(0), atol=2e-4)


def test_numbering_does_not_matter():
    reference = ml.shapes.disc(n=5, boundary=False)
    mesh = ml.shapes.square(size=0.15, boundary=False)
    expected = ElasticMorpher(reference).morph(mesh)
    assert expected.flipped == 0
    new = permute_mesh(mesh, 1)
    turned = new.mesh.replace(cells={k: c.flip(1) for k, c in new.mesh.cells.items()})
    found = ElasticMorpher(permute_mesh(reference, 2).mesh).morph(turned)
    assert (found.points - expected.points[new.points]).abs().max() < 1e-5


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("cells", ["tetra", "hexahedron"])
def test_solids_with_a_bump(cells, tags):
    reference = ml.shapes.box(n=3)
    mesh = bump(ml.shapes.box(n=(4, 3, 3), cells=cells))
    morph = ElasticMorpher(reference, tags=tags).morph(mesh)
    assert morph.flipped == 0
    assert morph.smallest_jacobian > 0.1
    assert skin_distance(mesh, morph, reference) < 2e-4
    if tags:
        assert (morph.points[tagged_points(mesh, "top")][:, 2] - 1).abs().max() < 2e-4


def test_landmarks_inside():
    square = ml.shapes.square(n=6, dtype=torch.float64)
    middle = (square.points - 0.5).norm(dim=1).argmin()
    other = (square.points - torch.tensor([0.5, 0.6667])).norm(dim=1).argmin()
    reference = square.replace(point_sets={"eye": middle[None]})
    morph = ElasticMorpher(reference, landmarks=["eye"]).morph(square.replace(point_sets={"eye": other[None]}))
    assert (morph.points[other] - 0.5).norm() < 1e-4
    assert morph.flipped == 0


def test_it_says_what_remains():
    reference = ml.shapes.plate_with_holes([(0.25, 0.5, 0.1)], size=0.15)
    mesh = ml.shapes.plate_with_holes([(0.7, 0.5, 0.1)], size=0.15)
    with pytest.raises(ConvergenceError, match=r"of the size of the reference from its skin") as caught:
        ElasticMorpher(reference, iterations=2).morph(mesh)
    assert len(caught.value.residuals) == 3
    morph = ElasticMorpher(reference, iterations=2, strict=False).morph(mesh)
    assert morph.flipped == 0


def test_what_it_refuses():
    with pytest.raises(TopologyError, match="not surfaces"):
        ElasticMorpher(ml.shapes.sphere())
    with pytest.raises(TopologyError, match="a plate with 1 hole, against a plate with no holes"):
        ElasticMorpher(ml.shapes.square(n=2)).morph(ml.shapes.annulus())
    with pytest.raises(ParameterError, match="expected positive numbers"):
        ElasticMorpher(ml.shapes.square(n=2), tolerance=0.0)
