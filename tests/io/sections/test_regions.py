"""Regions on planes: even-odd, exact distances, overlaps, conflicts; cuts of meshes and label volumes."""

import gzip
import warnings

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, polygons, random_planes

UP = (0.0, 0.0, 1.0)


def square(half, z=0.0, centre=(0.0, 0.0)):
    x, y = centre
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    return [[x + a, y + b, z] for a, b in corners]


def on_plane(section, points):
    return section.project(np.c_[np.asarray(points, float), np.full(len(points), section.origin[2])])


def test_distance_to_a_square_is_exact():
    sections = ml.CrossSections.from_contours([[square(1.0)]], planes=[((0, 0, 0), UP)])
    points = [(0, 0), (0.9, 0), (2, 0), (2, 2), (1, 1)]
    found = sections[0].signed_distance(on_plane(sections[0], points), 1)
    np.testing.assert_allclose(found, [1, 0.1, -1, -np.sqrt(2), 0], atol=1e-12)


def test_fast_distances_equal_slow_ones():
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + 0.3 * np.sin(9 * angle))[:, None]
    segments = polygons.ring_segments(ring)
    points = np.random.default_rng(0).uniform(-2, 2, size=(9000, 2))
    some = slice(0, 400)
    np.testing.assert_allclose(
        polygons.distance(points, segments)[some], polygons.distance(points[some], segments), atol=1e-12
    )


def test_crossings_are_found_and_touching_is_none():
    eight = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(polygons.crossings(polygons.ring_segments(eight)), [[0.5, 0.5]])
    touching = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [2.0, 2.0], [1.0, 1.0], [0.0, 2.0]])
    assert not len(polygons.crossings(polygons.ring_segments(touching)))


def test_of_overlapping_labels_the_smaller_keeps_its_part():
    with pytest.warns(ml.MeshReadWarning, match="overlaps"):
        sections = ml.CrossSections.from_contours([{1: [square(2.0)], 2: [square(1.0)]}], planes=[((0, 0, 0), UP)])
    plane = sections[0]
    assert plane.label_at(on_plane(plane, [(0, 0), (1.5, 0), (3, 0)])).tolist() == [2, 1, 0]
    np.testing.assert_allclose(plane.signed_distance(on_plane(plane, [(0.5, 0), (1.25, 0)]), 1), [-0.5, 0.25])
    np.testing.assert_allclose(plane.signed_distance(on_plane(plane, [(1.0, 0), (3, 0)]), 0), [-1.0, 1.0])


def test_a_label_that_fills_a_hole_does_not_overlap():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sections = ml.CrossSections.from_contours(
            [{1: [square(2.0), square(1.0)], 2: [square(1.0)]}], planes=[((0, 0, 0), UP)]
        )
    assert sections[0].areas == {1: 12.0, 2: 4.0}


@pytest.mark.parametrize("seed", range(3))
def test_cuts_of_a_solid_and_of_its_surface_are_the_same(seed):
    solid = ml.shapes.box(n=3).double()
    planes = random_planes(solid, 6, seed=seed)
    from_solid = ml.CrossSections.from_mesh(solid, planes)
    from_surface = ml.CrossSections.from_mesh(solid.boundary_mesh(), planes)
    for a, b in zip(from_solid, from_surface, strict=True):
        assert sum(a.areas.values()) == pytest.approx(sum(b.areas.values()), rel=1e-9)


def test_planes_through_points_and_edges_of_a_mesh_give_closed_contours():
    box = ml.shapes.box(n=2).double()
    planes = [((0, 0, 0.5), UP), ((0.5, 0.5, 0.5), (1, 1, 0)), ((0.5, 0.5, 0.5), (1, 1, 1)), ((0, 0, 0), UP)]
    sections = ml.CrossSections.from_mesh(box, planes)
    found = [sum(plane.areas.values()) for plane in sections]
    np.testing.assert_allclose(found, [1.0, np.sqrt(2), 0.75 * np.sqrt(3), 0.0], rtol=1e-9)


def test_an_open_surface_is_refused():
    sphere = ml.shapes.sphere(refine=2)
    pierced = sphere.replace(cells={"triangle": sphere.cells["triangle"][1:]})
    with pytest.raises(ml.TopologyError, match="open ends"):
        ml.CrossSections.from_mesh(pierced, parallel_planes(sphere, 40))


def test_labels_of_cells_become_labels_of_regions():
    box = ml.shapes.box(n=4).double()
    halves = torch.where(box.join_cells(box.cell_centroids())[:, 0] < 0.5, 1, 2)
    sections = ml.CrossSections.from_mesh(box.with_cell_data(part=halves), [((0, 0, 0.4), UP)], labels="part")
    assert sections[0].areas == pytest.approx({1: 0.5, 2: 0.5})


def test_planes_that_contradict_each_other_are_reported():
    sphere = ml.shapes.sphere(refine=3).double()
    good = ml.CrossSections.from_mesh(sphere, random_planes(sphere, 5, seed=1))
    assert good.conflicts() == []
    bad = ml.CrossSections.from_contours([[square(1.0)], [[[0.0, 3, -1], [0, 4, -1], [0, 4, 1], [0, 3, 1]]]])
    (conflict,) = bad.conflicts()
    assert conflict.planes == (0, 1)
    assert conflict.depth > 0.4


@pytest.mark.parametrize(
    ("contours", "planes", "told"),
    [
        ([[[[0, 0, 0], [1, 0, 0]]]], None, "open contour of 2"),
        ([[[[0, 0, 0], [1, 0, 0], [0, 0, 0]]]], None, "open contour of 2"),
        ([[[[0, 0], [1, 0], [1, 1]]]], None, r"\(k, 3\)"),
        ([[[[0, 0, 0], [1, 0, float("nan")], [1, 1, 0]]]], None, "not finite"),
        ([[[[0, 0, 0], [1, 0, 0], [2, 0, 0]]]], None, "in a line"),
        ([[]], None, "no contour"),
        ([[square(1)], [square(1, 2.0)]], [((0, 0, 0), UP)], "1 planes"),
        ([[square(1, 1.0)]], [((0, 0, 0), UP)], "off the plane"),
        ([{0: [square(1)]}], None, "plane 0: label=0"),
        ([[square(1)]], [((0, 0, 0), (0, 0, 0))], "not zero"),
    ],
)
def test_contours_that_bound_no_region_are_refused(contours, planes, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.CrossSections.from_contours(contours, planes)


def test_rigid_motions_and_scalings_move_regions():
    torus = ml.shapes.torus().double()
    planes = random_planes(torus, 3, seed=0)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turn = turn * torch.linalg.det(turn)
    sections = ml.CrossSections.from_mesh(torus, planes)
    moved = sections.moved(turn.numpy(), [1.0, 2.0, 3.0], 2.5)
    other = torus.replace(points=2.5 * torus.points @ turn.T + torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    again = ml.CrossSections.from_mesh(other, [(plane.origin, plane.normal) for plane in moved])
    for a, b in zip(moved, again, strict=True):
        assert sum(a.areas.values()) == pytest.approx(sum(b.areas.values()), rel=1e-9)


# -- label volumes -----------------------------------------------------------------------------------------------------


def volume():
    x, y, z = np.indices((24, 20, 12))
    labels = np.zeros(x.shape, dtype=np.int16)
    labels[(x - 11) ** 2 + (y - 9) ** 2 + (2 * (z - 5)) ** 2 < 80] = 1
    labels[(x - 14) ** 2 + (y - 9) ** 2 + (2 * (z - 5)) ** 2 < 12] = 7
    return labels


AFFINE = np.array([[0.0, -0.5, 0.0, 3.0], [0.7, 0.0, 0.1, -2.0], [0.0, 0.0, 2.0, 10.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_have_the_labels_of_their_voxels(axis):
    labels = volume()
    sections = ml.CrossSections.from_volume(labels, AFFINE, axis=axis, slices=slice(None, None, 3))
    assert sections.labels == (1, 7)
    for k, plane in zip(range(0, labels.shape[axis], 3), sections, strict=True):
        index = np.stack(np.nonzero(np.ones_like(labels)), axis=1)
        index = index[index[:, axis] == k]
        flat = plane.project(index @ AFFINE[:3, :3].T + AFFINE[:3, 3])
        assert (plane.label_at(flat) == labels[tuple(index.T)]).all()


def test_volume_files_give_the_same_sections(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    labels = volume()
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), tmp_path / "v.nii.gz")
    np.savez(tmp_path / "v.npz", labels=labels, affine=AFFINE)
    columns = " ".join(f"({','.join(map(str, AFFINE[:3, k]))})" for k in range(3))
    origin = f"({','.join(map(str, AFFINE[:3, 3]))})"
    header = "NRRD0004\n# made by hand\ntype: short\ndimension: 3\nsizes: 24 20 12\nendian: little\n"
    header += f"space: left-posterior-superior\nspace directions: {columns}\nspace origin: {origin}\n"
    raw = labels.astype("<i2").tobytes(order="F")
    (tmp_path / "v.nrrd").write_bytes(f"{header}encoding: gzip\n\n".encode() + gzip.compress(raw))
    (tmp_path / "v.nhdr").write_text(f"{header}encoding: raw\ndata file: v.raw\n")
    (tmp_path / "v.raw").write_bytes(raw)
    skips = {"lines": "line skip: 2\nbyte skip: 3\n", "end": "byte skip: -1\n"}
    for name, skip in skips.items():
        (tmp_path / f"{name}.nhdr").write_text(f"{header}encoding: raw\n{skip}data file: {name}.raw\n")
        (tmp_path / f"{name}.raw").write_bytes(b"some\nnotes\nabc" + raw)
    expected = ml.CrossSections.from_volume(labels, AFFINE, slices="labelled")
    for name in ("v.nii.gz", "v.npz", "v.nrrd", "v.nhdr", "lines.nhdr", "end.nhdr"):
        found = ml.CrossSections.read(tmp_path / name, slices="labelled")
        np.testing.assert_allclose(found.points, expected.points, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "options", "told"),
    [
        (np.zeros((3, 3)), {}, "three axes"),
        (np.full((3, 3, 3), 0.5), {}, "whole numbers"),
        (np.full((3, 3, 3), np.nan), {}, "27 of 27 voxels are NaN"),
        (np.full((3, 3, 3), -1), {}, "from 0 on"),
        (np.ones((3, 3, 3), int), {"affine": np.zeros((4, 4))}, "invertible"),
        (np.ones((3, 3, 3), int), {"slices": [5]}, "no slice 5"),
        (np.ones((3, 3, 3), int), {"axis": 3}, "0, 1 or 2"),
    ],
)
def test_volumes_that_hold_no_labels_are_refused(labels, options, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.CrossSections.from_volume(labels, **options)


def test_structure_sets_are_read_where_pydicom_is_installed(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data = FileDataset(str(tmp_path / "s.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Modality, data.SOPClassUID = "RTSTRUCT", meta.MediaStorageSOPClassUID
    roi, contours = Dataset(), []
    roi.ROINumber, roi.ROIName = 4, "liver"
    for z in (2.0, 0.0):
        contour = Dataset()
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.ContourData = [float(x) for point in square(3.0, z) for x in point]
        contour.NumberOfContourPoints = 4
        contours.append(contour)
    of_roi = Dataset()
    of_roi.ReferencedROINumber, of_roi.ContourSequence = 4, contours
    data.StructureSetROISequence, data.ROIContourSequence = [roi], [of_roi]
    data.save_as(tmp_path / "s.dcm", enforce_file_format=True)
    sections = ml.CrossSections.read(tmp_path / "s.dcm")
    assert [plane.areas for plane in sections] == [{4: pytest.approx(36.0)}] * 2
    assert sections.label_names == {4: "liver"}
    assert sections[0].origin[2] < sections[1].origin[2]


@pytest.mark.parametrize("other", [square(1.0), square(1.0)[::-1], square(1.0, centre=(1.0, 0.0))])
def test_contours_that_cover_the_same_region_are_told(other):
    with pytest.warns(ml.MeshReadWarning, match="cover the same region, for example number 0 and 1"):
        ml.CrossSections.from_contours([[square(1.0), other]])


def test_holes_islands_and_neighbours_are_no_defect():
    diamond = [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [-2.0, 0.0, 0.0], [0.0, -2.0, 0.0]]  # meets the corners of the square
    hole = square(0.5, centre=(-0.5, -0.5))  # along two sides of the square
    for rings in ([square(2.0), square(1.0), square(0.5)], [square(1.0), hole], [square(1.0), diamond]):
        assert not ml.CrossSections.from_contours([rings]).defects()
    assert not ml.CrossSections.from_contours([[square(1.0), square(1.0, centre=(2.0, 0.5))]]).defects()


def test_planes_are_chosen_by_numbers_and_masks():
    sections = ml.CrossSections.from_contours([[square(1.0, z)] for z in range(4)])
    heights = [float(plane.origin[2]) for plane in sections[[True, False, True, False]]]
    assert heights == [0.0, 2.0]
    assert [float(plane.origin[2]) for plane in sections[np.array([3, 1])]] == [3.0, 1.0]
    assert len(sections[[]]) == 0
    for wrong in ([True, False], "2", [0.5], 1.5):
        with pytest.raises(ml.ParameterError, match="names no planes"):
            sections[wrong]


@pytest.mark.parametrize("wrong", [{"shift": (1.0, 2.0)}, {"shift": (0, 0, np.nan)}, {"scale": np.inf}])
def test_motions_that_are_none_are_refused(wrong):
    sections = ml.CrossSections.from_contours([[square(1.0)]])
    with pytest.raises(ml.ParameterError, match=next(iter(wrong))):
        sections.moved(**wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("sizes: 3 4 3", "60 bytes of data, 36 expected: the sizes"),
        ("sizes: 3 4 6", "cut off"),
        ("sizes: 3 4 x", "three axes"),
        ("sizes: 3 4 5\ndimension: 4", "counts 4 dimensions"),
        ("sizes: 3 4 4\nencoding: text", "60 values, 48 expected"),
    ],
)
def test_nrrd_headers_that_do_not_fit_the_data_are_refused(tmp_path, wrong, told):
    data = b"1 " * 60 if "text" in wrong else bytes(60)
    text = "encoding: raw\n" if "text" not in wrong else ""
    (tmp_path / "v.nrrd").write_bytes(f"NRRD0004\ntype: uchar\n{text}{wrong}\n\n".encode() + data)
    with pytest.raises(ml.MeshReadError, match=told):
        ml.CrossSections.read(tmp_path / "v.nrrd")
