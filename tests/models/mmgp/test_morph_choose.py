"""Topology in words, identity, and the choice of a morphing."""

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import MeshError, ParameterError, TopologyError
from meshlearn.models.mmgp.morphing import (
    MORPHERS,
    IdentityMorpher,
    admissible_morphings,
    check_same_topology,
    make_morpher,
    signature,
)
from meshlearn.testing.permutation import permute_mesh

TWO_HOLES = [(0.3, 0.5, 0.1), (0.7, 0.5, 0.1)]


def apart(mesh, other):
    """Two meshes of triangles as one."""
    cells = torch.cat([mesh.cells["triangle"], other.cells["triangle"] + mesh.n_points])
    return ml.Mesh(torch.cat([mesh.points, other.points]), {"triangle": cells})


WORDS = [
    (lambda: ml.shapes.square(n=3), "a plate with no holes"),
    (lambda: ml.shapes.square(n=3, cells="mixed", order=2), "a plate with no holes"),
    (lambda: ml.shapes.annulus(), "a plate with 1 hole"),
    (lambda: ml.shapes.plate_with_holes(TWO_HOLES, size=0.1), "a plate with 2 holes"),
    (lambda: apart(ml.shapes.square(n=2), ml.shapes.annulus()), "a plate with 1 hole in 2 parts"),
    (lambda: ml.shapes.sphere(), "a closed surface with no handles"),
    (lambda: ml.shapes.torus(), "a closed surface with 1 handle"),
    (lambda: ml.shapes.box(n=2), "a solid with 1 boundary surface and Euler characteristic 1"),
    (lambda: ml.shapes.box(n=2).boundary_mesh(), "a closed surface with no handles"),
    (lambda: ml.shapes.square(n=2).boundary_mesh(), "a curve with no ends"),
    (lambda: ml.Mesh([[0.0, 0.0]]), "a point cloud"),
]


@pytest.mark.parametrize(("make", "words"), WORDS, ids=[words for _, words in WORDS])
def test_topology_in_words(make, words):
    mesh = make()
    assert str(signature(mesh)) == words
    assert signature(permute_mesh(mesh, 1).mesh) == signature(mesh)


def test_orientation_does_not_matter():
    mesh = ml.shapes.annulus(boundary=False)
    nodes = mesh.cells["triangle"].clone()
    assert signature(mesh.replace(cells={"triangle": nodes.flip(1)})) == signature(mesh)
    nodes[::2] = nodes[::2].flip(1)
    assert signature(mesh.replace(cells={"triangle": nodes})) == signature(mesh)


def moebius(n=12):
    angle = torch.arange(n) * 2 * torch.pi / n
    half = torch.stack([torch.cos(angle / 2) * torch.cos(angle), torch.cos(angle / 2) * torch.sin(angle)], 1) * 0.3
    middle = torch.stack([torch.cos(angle), torch.sin(angle)], 1)
    z = 0.3 * torch.sin(angle / 2)
    rims = [torch.cat([middle + s * half, s * z[:, None]], 1) for s in (-1, 1)]
    low, high = torch.arange(n), torch.arange(n, 2 * n)
    nxt_low, nxt_high = torch.cat([low[1:], high[:1]]), torch.cat([high[1:], low[:1]])
    return ml.Mesh(torch.cat(rims), {"quad": torch.stack([low, nxt_low, nxt_high, high], 1)})


def test_one_sided():
    assert str(signature(moebius())) == "a one-sided surface with 1 boundary loop and Euler characteristic 0"


def test_both_topologies_are_named():
    one, two = ml.shapes.plate_with_holes(TWO_HOLES[:1], size=0.1), ml.shapes.plate_with_holes(TWO_HOLES, size=0.1)
    check_same_topology(one, one)
    with pytest.raises(TopologyError, match=r"the fit needs one topology: a plate with 1 hole.*a plate with 2 holes"):
        check_same_topology(one, two, "the fit")
    with pytest.raises(TopologyError, match=r"a plate with 1 hole.*plates/a\.vtu.*a plate with 2 holes"):
        check_same_topology(one.replace(source="plates/a.vtu"), signature(two))


def test_touching_parts_are_refused():
    points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    with pytest.raises(TopologyError, match="branches at point 0"):
        signature(ml.Mesh(points, {"triangle": [[0, 1, 2], [0, 3, 4]]}))


@pytest.mark.parametrize(
    "mesh",
    [
        ml.shapes.square(n=2, cells="mixed"),
        ml.shapes.box(n=2, cells="hexahedron"),
        ml.shapes.sphere(),
        ml.shapes.torus(),
    ],
    ids=["plate", "solid", "sphere", "torus"],
)
def test_identity_takes_everything_to_the_reference(mesh):
    morpher = IdentityMorpher(mesh)
    assert torch.equal(morpher.common.points, mesh.points.double())
    own = morpher.morph(mesh)
    assert torch.equal(own.points, mesh.points.double())
    assert own.flipped == 0
    assert own.smallest_jacobian > 0
    stretched = mesh.replace(points=mesh.points * (1 + torch.arange(mesh.dim)) + 1.0)
    assert torch.equal(morpher.morph(stretched).points, mesh.points.double())
    assert morpher.morph(stretched).smallest_jacobian == own.smallest_jacobian


def test_jacobian_of_equal_cells_is_one():
    assert IdentityMorpher(ml.shapes.square(n=3)).morph(ml.shapes.square(n=3)).smallest_jacobian == pytest.approx(1.0)


def test_flips_are_counted():
    square = ml.shapes.square(n=2)
    bent = square.points.clone()
    bent[4] = torch.tensor([1.5, 0.5])  # the middle point beyond the right side
    morph = IdentityMorpher(square.replace(points=bent)).morph(square)
    assert morph.flipped == 2
    assert morph.smallest_jacobian < 0
    flat = square.points.clone()
    flat[4] = torch.tensor([1.0, 0.5])
    assert IdentityMorpher(square.replace(points=flat)).morph(square).flipped > 0


def test_folds_of_surfaces_are_counted():
    sheet = ml.shapes.square(n=4, dtype=torch.float64)
    surface = sheet.replace(points=torch.nn.functional.pad(sheet.points, (0, 1)))
    folded = surface.points.clone()
    folded[12, 0] += 0.4  # the middle point across its neighbour
    assert IdentityMorpher(surface).morph(surface).flipped == 0
    assert IdentityMorpher(surface.replace(points=folded)).morph(surface).flipped > 0


def test_identity_needs_the_same_cells():
    morpher = IdentityMorpher(ml.shapes.square(n=2))
    with pytest.raises(TopologyError, match="needs the same cells in every mesh"):
        morpher.morph(ml.shapes.square(n=3))
    with pytest.raises(TopologyError, match="a plate with 1 hole, against a plate with no holes"):
        morpher.morph(ml.shapes.annulus())
    nodes = ml.shapes.square(n=2).cells["triangle"].clone()
    nodes[:2] = torch.tensor([[0, 1, 3], [1, 4, 3]])  # the other diagonal of one square
    with pytest.raises(TopologyError, match=r"9 points and \{'triangle': 8\}, joined in another way"):
        morpher.morph(ml.Mesh(ml.shapes.square(n=2).points, {"triangle": nodes}))


def test_choice():
    squares = [ml.shapes.square(n=n) for n in (2, 3)]
    assert admissible_morphings([squares[0], squares[0].replace(points=2 * squares[0].points)])[0] == "identity"
    assert admissible_morphings(squares)[0] == "tutte"
    assert admissible_morphings([ml.shapes.annulus(n=(16, 3)), ml.shapes.annulus()])[0] == "tutte"
    holes = [ml.shapes.plate_with_holes(TWO_HOLES, size=size) for size in (0.1, 0.15)]
    assert admissible_morphings(holes)[0] == "rbf"
    assert admissible_morphings([ml.shapes.box(n=2), ml.shapes.box(n=3, cells="hexahedron")])[0] == "rbf"
    assert admissible_morphings([ml.shapes.box(n=2), ml.shapes.box(n=3, boundary=False)]) == ("rbf", "elastic")
    assert admissible_morphings([ml.shapes.torus(), ml.shapes.torus(n=(12, 9))])[0] == "rbf"
    with pytest.raises(TopologyError, match="a plate with 1 hole"):
        admissible_morphings([*squares, ml.shapes.annulus()])
    with pytest.raises(ParameterError, match="no mesh"):
        admissible_morphings([])


def test_unknown_names_and_broken_meshes():
    square = ml.shapes.square(n=2)
    with pytest.raises(ParameterError, match=", ".join(repr(name) for name in MORPHERS)):
        make_morpher("magic", square)
    with pytest.raises(ParameterError, match="no option 'tags'; its options are: none"):
        make_morpher("identity", square, tags=True)
    with pytest.raises(TopologyError, match="point cloud"):
        make_morpher("identity", ml.Mesh(square.points))
    broken = square.points.clone()
    broken[3] = torch.nan
    with pytest.raises(MeshError, match="1 points are not finite"):
        make_morpher("tutte", square.replace(points=broken))
