"""Skins cut at sharp edges: machine parts without tags, meshed anew, go face to face."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.shapes.lattice import extrude
from meshlearn.models.mmgp.morphing import RadialMorpher
from meshlearn.models.mmgp.morphing.alignment import Frame
from meshlearn.models.mmgp.morphing.controls import SkinControls
from meshlearn.models.mmgp.morphing.creases import cut_skin
from meshlearn.models.mmgp.morphing.skin import skin_of
from meshlearn.testing.permutation import permute_mesh


def pulled_up(plate, height, layers=2):
    """Wedges above a plate, without tags."""
    flat = plate.double().points
    z = torch.linspace(0.0, height, layers + 1, dtype=torch.float64).repeat_interleave(len(flat))
    points = torch.cat([flat.repeat(layers + 1, 1), z[:, None]], 1)
    return ml.Mesh(points, extrude({"triangle": plate.cells["triangle"].numpy()}, len(flat), layers))


def tube(outer=1.0, inner=0.5, height=2.0, n=20, layers=3):
    rounds = torch.arange(n) * (2 * torch.pi / n) + 0.1
    outline = (outer * torch.stack([rounds.cos(), rounds.sin()], 1)).tolist()
    return pulled_up(ml.shapes.planar(outline, [(0.0, 0.0, inner)], 0.35), height, layers)


def bracket(a=1.0, b=1.0, radius=0.12, size=0.14):
    outline = [(0.0, 0.0), (a, 0.0), (a, 0.4), (0.4, 0.4), (0.4, b), (0.0, b)]
    return pulled_up(ml.shapes.planar(outline, [(0.7 * a, 0.2, radius), (0.2, 0.7 * b, radius)], size), 0.3)


def cut(mesh, tags=(), angle=0.7):
    mesh = mesh.double().oriented()
    return cut_skin(skin_of(mesh, list(tags)), Frame(mesh.points, mesh.point_measures()).placed, angle)


@pytest.mark.parametrize(
    ("make", "faces", "edges", "corners"),
    [
        (lambda: ml.shapes.box(n=2), 6, 12, 8),
        (lambda: ml.shapes.box(n=2, cells="hexahedron", order=2), 6, 12, 8),
        (lambda: ml.shapes.box(n=2, cells="hexahedron").boundary_mesh(), 6, 12, 8),
        (tube, 4, 4, 0),
        (bracket, 10, 22, 12),
        (ml.shapes.sphere, 1, 0, 0),
        (lambda: ml.shapes.sphere(order=2), 1, 0, 0),
        (ml.shapes.cylinder, 3, 2, 0),
    ],
    ids=["box", "quadratic box", "quads of a box", "tube", "bracket", "sphere", "quadratic sphere", "cylinder"],
)
def test_faces_edges_and_corners_are_counted_as_one_would(make, faces, edges, corners):
    mesh = make()
    found = cut(mesh)
    assert (len(found.faces), len(found.curves), len(found.corners)) == (faces, edges, corners)
    assert sum(len(face.inside) for face in found.faces) + len(
        np.unique(np.concatenate([np.zeros(0, int), *(curve.nodes for curve in found.curves)]))
    ) == len(found.skin.nodes)


def test_the_rim_of_a_sheet_has_corners():
    flat = ml.shapes.rectangle(2.0, 1.0, n=(6, 4), dtype=torch.float64)
    found = cut(ml.Mesh(torch.cat([flat.points, flat.points[:, :1]], 1), dict(flat.cells)))
    assert (len(found.faces), len(found.curves), len(found.corners)) == (1, 4, 4)


def test_tags_cut_what_is_smooth():
    mesh = ml.shapes.sphere(refine=2)
    above = (mesh.cell_centroids()["triangle"][:, 2] > 0).nonzero().squeeze(1)
    found = cut(mesh.replace(cell_sets={"cap": {"triangle": above}}), ["cap"])
    assert sorted(face.tags[0] for face in found.faces) == [False, True]
    assert [curve.closed for curve in found.curves] == [True]


def test_a_tube_goes_to_a_tube_at_the_same_angle_and_height():
    reference, mesh = tube().oriented(), tube(1.2, 0.5, 1.5, 24, 4).oriented()
    controls = next(SkinControls(reference, [], True).candidates(mesh))
    assert controls.remark == ""
    points, targets = mesh.points[torch.from_numpy(controls.nodes)].numpy(), controls.targets
    assert np.abs(targets[:, 2] - points[:, 2] * 2.0 / 1.5).max() < 1e-9
    radius, there = np.linalg.norm(points[:, :2], axis=1), np.linalg.norm(targets[:, :2], axis=1)
    assert np.abs(there[radius < 0.51] - 0.5).max() < 0.03  # chords of the bore
    assert np.abs(there[radius > 1.19] - 1.0).max() < 0.03
    turn = np.angle((targets @ [1, 1j, 0]) / (points @ [1, 1j, 0]))
    assert np.abs(turn).max() < 0.05


SHEAR = torch.tensor([[1.0, 0.3, 0.0], [-0.1, 1.2, 0.2], [0.2, 0.0, 0.8]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "matrix"),
    [(tube, torch.diag(torch.tensor([1.3, 0.8, 1.7]).double())), (bracket, SHEAR), (bracket, 1e3 * SHEAR)],
)
def test_affine_images_of_parts_come_back(make, matrix):
    mesh = make()
    morph = RadialMorpher(mesh).morph(mesh.replace(points=mesh.points @ matrix + 2.0))
    assert morph.remark == ""
    assert (morph.points - mesh.points).abs().max() < 1e-8
    assert morph.flipped == 0


def test_parts_meshed_anew_keep_their_cells_and_fill_the_reference():
    rng = np.random.default_rng(0)
    reference = bracket()
    morpher, locator = RadialMorpher(reference), ml.PointLocator(reference)
    corners = reference.points[torch.from_numpy(cut(reference).corners)]
    for _ in range(4):
        mesh = bracket(*rng.uniform(0.9, 1.2, 2), rng.uniform(0.06, 0.16), rng.uniform(0.12, 0.16))
        morph = morpher.morph(mesh)
        assert morph.flipped == 0
        assert morph.remark == ""
        assert locator.locate(morph.points).distance.max() < 1e-9
        moved = morph.points[torch.from_numpy(cut(mesh).corners)]
        assert torch.cdist(corners, moved).amin(1).max() < 1e-12
        whole = list(SkinControls(reference.oriented(), [], True).candidates(mesh.oriented()))[1]
        points = torch.cdist(corners, torch.from_numpy(whole.targets)).amin(1)
        assert points.max() > 1e-3  # the closest points of the whole skin miss corners


def test_faces_do_not_depend_on_numbering_and_orientation():
    reference, mesh = bracket(), bracket(1.1, 0.9, 0.15, 0.13)
    expected = RadialMorpher(reference).morph(mesh)
    new = permute_mesh(mesh, 1)
    found = RadialMorpher(permute_mesh(reference, 2).mesh).morph(new.mesh)
    assert (found.points - expected.points[new.points]).abs().max() < 1e-7
    inverted = mesh.replace(cells={"wedge": mesh.cells["wedge"][:, [3, 4, 5, 0, 1, 2]]})
    assert (RadialMorpher(reference).morph(inverted).points - expected.points).abs().max() < 1e-7


def test_what_cannot_be_matched_is_said():
    outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.7), (0.7, 1.0), (0.0, 1.0)]
    reference = ml.shapes.box(n=4)
    morph = RadialMorpher(reference).morph(pulled_up(ml.shapes.planar(outline, (), 0.25), 1.0, 3))
    assert morph.remark.startswith("sharp edges and tags cut its skin into 7 faces, 15 edges and 10 corners, against 6")


def test_rough_surfaces_are_not_cut():
    sphere = ml.shapes.sphere(refine=3).double()
    noise = torch.rand(sphere.n_points, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rough = sphere.replace(points=sphere.points * (1 + 0.5 * noise))
    assert cut(rough) is None
    assert (RadialMorpher(rough).morph(rough).points - rough.points).abs().max() < 1e-12


@pytest.mark.slow
def test_a_family_of_brackets_is_learned_by_auto():
    rng = np.random.default_rng(1)
    meshes = []
    for _ in range(18):
        mesh = bracket(*rng.uniform(0.9, 1.2, 2), rng.uniform(0.06, 0.16), rng.uniform(0.12, 0.16))
        x, y, z = mesh.points.T
        meshes.append(mesh.with_point_data(u=torch.sin(2 * x) * torch.exp(-y) + z))
    model = ml.MMGP([], ["u"], restarts=1).fit(meshes[:14])
    assert model.morphing_ == "rbf"
    assert model.morph_quality_["flipped"] == 0
    nearest = ml.NearestNeighbor([], ["u"]).fit(meshes[:14]).score(meshes[14:])["u"]
    assert model.score(meshes[14:])["u"] < 0.3 * nearest


def test_outline_and_hole_are_told_apart_where_the_hole_of_one_sheet_has_a_corner():
    def sheet(width, bend, hole):
        plate = ml.shapes.planar([(0.0, 0.0), (width, 0.0), (width, 1.0), (0.0, 1.0)], [hole], 0.13, boundary=False)
        x, y = plate.points.double().T
        return ml.Mesh(torch.stack([x, y, bend * x**2], 1), plate.cells)

    rounds = np.arange(16) * (np.pi / 8)
    even = np.stack([0.5 + 0.2 * np.cos(rounds), 0.5 + 0.15 * np.sin(rounds)], 1)
    drop = even.copy()
    drop[0, 0] += 0.1  # a tip
    reference, mesh = sheet(1.2, 0.2, drop.tolist()), sheet(1.5, 0.1, even.tolist())
    morph = RadialMorpher(reference).morph(mesh)
    assert (morph.flipped, morph.remark) == (0, "")
    outline = max(mesh.topology.boundary_loops, key=len)
    x, y, _ = morph.points[outline].T
    assert torch.stack([x, 1.2 - x, y, 1 - y]).abs().amin(0).max() < 1e-6  # on the reference's outline
    corners = torch.tensor([[0.0, 0.0], [1.2, 0.0], [1.2, 1.0], [0.0, 1.0]], dtype=torch.float64)
    assert torch.cdist(corners, morph.points[outline, :2]).amin(1).max() < 1e-6
