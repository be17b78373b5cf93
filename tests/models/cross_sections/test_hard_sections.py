"""Sections that are hard to take: contours that cross, very many of them, planes at odd places, other frames."""

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from section_bodies import ball, iou, peanut, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes
from meshlearn.models.cross_sections.body import Body, Frame
from meshlearn.models.cross_sections.grid import Grid
from meshlearn.models.cross_sections.grid_field import beyond_hull
from meshlearn.models.cross_sections.samples import along_contours

SMALL = {"base": "hermite", "network": False, "centres": 500}


def cuts(shape, planes, n=48):
    mesh = surface_of(shape, n)
    return ml.CrossSections.from_mesh(mesh, planes(mesh) if callable(planes) else planes)


def two(p):
    return np.maximum(ball(p, (-0.5, 0, 0), 0.4), ball(p, (0.5, 0.1, 0.1), 0.35))


def test_contours_that_cross_themselves_give_a_closed_body():
    eight = [[[[0, 0, z], [1, 1, z], [1, 0, z], [0, 1, z]]] for z in (0.0, 0.3, 0.6, 0.9)]
    with pytest.warns(ml.MeshReadWarning, match="cross at 1 place"):
        sections = ml.CrossSections.from_contours(eight)
    with pytest.warns(ml.FitWarning, match="cross at 1 place"):
        model = ml.CrossSectionReconstructor(**SMALL).fit(sections)
    mesh = model.to_mesh(resolution=32)
    assert mesh.is_watertight
    assert model.predict([[0.85, 0.5, 0.45], [0.15, 0.5, 0.45], [0.5, 0.85, 0.45]]).tolist() == [1, 1, 0]


@pytest.mark.parametrize("planes", [lambda m: parallel_planes(m, 9, (1, 0, 0)), lambda m: random_planes(m, 14, seed=1)])
def test_several_bodies_stay_apart(planes):
    model = ml.CrossSectionReconstructor(**SMALL).fit(cuts(two, planes))
    assert model.to_mesh(resolution=40).topology.euler_characteristic == 4
    assert iou(model, two) > 0.93


def test_the_least_bending_body_follows_motions_and_scalings():
    sections = cuts(peanut, lambda m: random_planes(m, 8, seed=1), 40)
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    q *= np.linalg.det(q)
    shift, scale = np.array([1e3, -2e3, 5e2]), 1e-2
    first = ml.CrossSectionReconstructor(**SMALL).fit(sections)
    second = ml.CrossSectionReconstructor(**SMALL).fit(sections.moved(q, shift, scale))
    points = np.random.default_rng(1).uniform(-0.8, 0.8, size=(2000, 3))
    here, there = first.distance(points), second.distance(scale * points @ q.T + shift) / scale
    assert float((here - there).abs().max()) < 2e-3


def test_many_contours_are_not_more_work_than_asked_for():
    circle = np.stack([np.cos(np.arange(12) / 6 * np.pi), np.sin(np.arange(12) / 6 * np.pi), np.zeros(12)], axis=1)
    contours = [[0.2 * circle + [i, j, z] for i in range(9) for j in range(9)] for z in (0.0, 1.0, 2.0)]
    sections = ml.CrossSections.from_contours(contours)
    body = Body.of(sections, Frame.of(sections))
    assert len(along_contours(body, 100, np.random.default_rng(0), least=8)) <= 250
    assert len(along_contours(body, 2000, np.random.default_rng(0), least=8)) >= 3 * 81 * 4


def affine_of(kind):
    """Voxels to millimetres: turned, with steps of their own, mirrored, or sheared."""
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    linear = turn @ np.diag([0.7, 0.9, 2.5])
    if kind == "mirrored":
        linear[:, 0] *= -1
    if kind == "sheared":
        linear[:, 2] += 0.6 * linear[:, 0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, (-90.0, 126.0, -72.0)
    return matrix


@pytest.mark.parametrize("kind", ["turned", "mirrored", "sheared"])
def test_label_volumes_come_back_through_any_affine(kind):
    index = np.stack(np.indices((24, 22, 18)), axis=-1)
    labels = (np.linalg.norm((index - [12, 11, 9]) * [0.7, 0.9, 1.1], axis=-1) < 6.5).astype(np.int64)
    affine = affine_of(kind)
    sections = ml.CrossSections.from_volume(labels, affine, slices=slice(0, None, 2))
    model = ml.CrossSectionReconstructor(base="linear", network=False).fit(sections)
    found = model.to_volume(labels.shape, affine)
    assert (found[:, :, ::2] == labels[:, :, ::2]).mean() > 0.995
    assert (found & labels).sum() / (found | labels).sum() > 0.85
    volume = float(labels.sum()) * abs(np.linalg.det(affine[:3, :3]))
    assert float(model.to_mesh(resolution=48).volume()) == pytest.approx(volume, rel=0.1)


def test_volume_files_keep_oblique_affines(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    labels = np.zeros((8, 9, 7), np.uint8)
    labels[2:6, 3:7, 2:5] = 1
    affine = affine_of("sheared")
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "a.nii.gz")
    directions = " ".join("(" + ",".join(repr(float(x)) for x in affine[:3, k]) + ")" for k in range(3))
    origin = "(" + ",".join(repr(float(x)) for x in affine[:3, 3]) + ")"
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\nsizes: 8 9 7\n"
        f"space directions: {directions}\nspace origin: {origin}\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + labels.tobytes(order="F"))
    plain = ml.CrossSections.from_volume(labels, affine)
    for name in ("a.nii.gz", "a.nrrd"):
        read = ml.CrossSections.read(tmp_path / name)
        np.testing.assert_allclose(read.points, plain.points, atol=1e-4)
        np.testing.assert_allclose([p.normal for p in read], [p.normal for p in plain], atol=1e-5)


def plates(side, gap):
    """A square plate on a plane between two empty ones."""
    ring = [[0.0, 0.0, 0.0], [side, 0.0, 0.0], [side, side, 0.0], [0.0, side, 0.0]]
    return ml.CrossSections.from_contours([[], [ring], []], planes=[((0, 0, z), (0, 0, 1)) for z in (-gap, 0.0, gap)])


@pytest.mark.parametrize("resolution", [32, 48, 64])
def test_thin_parts_between_empty_planes_stay_thin(resolution):
    model = ml.CrossSectionReconstructor(base="linear", network=False).fit(plates(1.0, 0.01))
    mesh = model.to_mesh(resolution=resolution)
    assert float(mesh.points[:, 2].abs().max()) < 0.01
    assert float(mesh.volume()) == pytest.approx(0.0146, rel=0.06)


def test_parts_that_voxels_do_not_resolve_are_told_with_the_resolution_to_use():
    volume = np.zeros((30, 30, 201), int)
    volume[5:25, 5:25, [10, 101, 190]] = 1
    model = ml.CrossSectionReconstructor(base="linear", network=False).fit(ml.CrossSections.from_volume(volume))
    with pytest.warns(ml.FitWarning, match=r"thinner than the voxels of resolution=16: .* Use resolution=\d+") as told:
        rough = model.to_mesh(resolution=16)
    better = int(str(told[0].message).rpartition("=")[2].strip("."))
    assert better < 1000
    mesh = model.to_mesh(resolution=better)  # without a warning
    assert mesh.topology.euler_characteristic == 6 > rough.topology.euler_characteristic - 1
    assert model.report(meshes={1: mesh})["labels"][1]["worst_dice"] > 0.7


def test_contradicting_planes_are_not_taken_for_thin_parts():
    ring = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    planes = [((0, 0, z), (0, 0, 1)) for z in (0.0, 0.5, 1.0)] + [((0.5, 0, 0), (1, 0, 0))]
    stack = [[np.add(ring, (0, 0, z)).tolist()] for z in (0.0, 0.5, 1.0)]
    sections = ml.CrossSections.from_contours([*stack, []], planes=planes)
    with pytest.warns(ml.FitWarning, match="contradict"):
        model = ml.CrossSectionReconstructor(base="distance", network=False).fit(sections)
    assert model.to_mesh(resolution=32).is_watertight


def test_wide_caps_cost_what_the_body_needs_and_have_a_bound():
    ring = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    sections = ml.CrossSections.from_contours([[np.add(ring, (0, 0, z)).tolist()] for z in (0.0, 0.5, 1.0)])
    model = ml.CrossSectionReconstructor(base="linear", network=False, cap=1.7).fit(sections)
    grid = Grid.of(model.field_, 64, [1], on_planes=True)
    assert np.prod(grid.shape) < 170**3  # with a room of the cap on all sides it would be 280 ** 3
    mesh = model.to_mesh(resolution=32)
    assert mesh.is_watertight
    assert float(mesh.points[:, 2].max()) > 1.3
    with pytest.raises(ml.ParameterError, match=r"cap=10 is farther than the contours measure across, 1.732"):
        ml.CrossSectionReconstructor(base="linear", network=False, cap=10).fit(sections)


def test_grids_between_parallel_planes_have_levels_on_them():
    sections = cuts(peanut, lambda mesh: parallel_planes(mesh, 7))
    model = ml.CrossSectionReconstructor(base="linear", network=False).fit(sections)
    grid = Grid.of(model.field_, 24, [1], on_planes=True)
    heights = model.field_.body.offsets
    assert np.abs(grid.levels[:, None] - heights).min(0).max() < 1e-12
    assert np.diff(grid.levels).max() <= grid.voxel * (1 + 1e-9)
    numbers = np.random.default_rng(0).uniform(0, np.array(grid.shape) - 1, size=(50, 3))
    np.testing.assert_allclose(grid.numbers(grid.places(numbers)), numbers, atol=1e-9)
    report = model.report(meshes={1: model.to_mesh(resolution=24)})["labels"][1]
    assert report["worst_dice"] > 0.985


@pytest.mark.parametrize("mesh", [ml.shapes.torus(), ml.shapes.sphere(refine=4)])
def test_few_half_spaces_close_the_hull_on_all_sides(mesh):
    sections = ml.CrossSections.from_mesh(mesh, random_planes(mesh, 12, seed=0))
    body = Body.of(sections, Frame.of(sections))
    exact = ConvexHull(body.sections.points).equations
    generator = np.random.default_rng(0)
    points = generator.normal(size=(4000, 3))
    points *= generator.uniform(0.5, 1.3, size=(4000, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    beyond = (points @ exact[:, :3].T + exact[:, 3]).max(1)
    found = beyond_hull(body, torch.from_numpy(points.astype(np.float32))).numpy()
    near = np.abs(beyond) < 0.15
    assert (np.abs(found - beyond) < 0.05)[near].all()


def test_reports_are_on_meshes_of_known_labels():
    model = ml.CrossSectionReconstructor(base="linear", network=False).fit(
        cuts(peanut, lambda m: parallel_planes(m, 5))
    )
    mesh = model.to_mesh(resolution=16)
    for wrong in ({7: mesh}, [mesh]):
        with pytest.raises(ml.ParameterError, match=r"labels of \[1\] is expected"):
            model.report(meshes=wrong)
