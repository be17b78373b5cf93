"""Bodies from sections: planes are met, motions followed, labels share space, nonsense is refused."""

import numpy as np
import pytest
import torch
from section_bodies import ball, fork, grid, iou, peanut, ring, shell, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes

FAST = {"network": False, "centres": 700}


def cuts(body, planes, n=72):
    mesh = surface_of(body, n)
    return ml.CrossSections.from_mesh(mesh, planes(mesh) if callable(planes) else planes)


def stack(n):
    return lambda mesh: parallel_planes(mesh, n)


def scattered(n, seed=1):
    return lambda mesh: random_planes(mesh, n, seed=seed)


def turn(seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return q * np.linalg.det(q)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "planes", "base"),
    [
        (peanut, stack(15), "auto"),
        (ring, scattered(20), "rbf"),
        (shell, stack(15), "cubic"),
        (shell, scattered(20), "rbf"),
    ],
    ids=["peanut-parallel", "ring-random", "shell-parallel", "shell-random"],
)
def test_thick_bodies_come_back(body, planes, base):
    sections = cuts(body, planes)
    model = ml.CrossSectionReconstructor(base=base, **FAST).fit(sections)
    assert iou(model, body) > (0.96 if sections.is_parallel else 0.94)
    mesh = model.to_mesh(resolution=64)
    assert mesh.is_watertight
    assert mesh.topology.is_manifold
    assert mesh.volume() > 0
    report = model.report(meshes={1: mesh})["labels"][1]
    assert report["worst_dice"] > 0.98
    voxel = float(np.ptp(sections.points, axis=0).max()) / 64
    assert max(row["error_99"] for row in report["planes"] if row["error_99"] == row["error_99"]) < 1.5 * voxel
    if sections.is_parallel:
        assert mesh.topology.euler_characteristic == surface_of(body).topology.euler_characteristic


def test_thin_bodies_are_better_than_the_blend_of_distances():
    sections = cuts(fork, scattered(20))
    scores = {
        base: iou(ml.CrossSectionReconstructor(base=base, **FAST).fit(sections), fork) for base in ("distance", "rbf")
    }
    assert scores["rbf"] > scores["distance"] + 0.05, scores


@pytest.mark.parametrize("base", ["linear", "rbf"])
def test_planes_are_met_by_every_base(base):
    sections = cuts(shell, stack(9))
    model = ml.CrossSectionReconstructor(base=base, **FAST).fit(sections)
    for plane in sections:
        flat = np.random.default_rng(0).uniform(-1, 1, size=(3000, 2)) + plane.project(np.zeros((1, 3)))
        depth = plane.signed_distance(flat, 1)
        sure = np.abs(depth) > 0.01
        assert (model.predict(plane.lift(flat)).numpy()[sure] == (depth > 0)[sure]).all()


@pytest.mark.parametrize(
    ("planes", "base", "scale"),
    [(stack(7), "cubic", 1e-3), (scattered(8), "distance", 40.0), (scattered(8), "rbf", 1e-3)],
)
def test_results_follow_motions_and_scalings(planes, base, scale):
    sections = cuts(peanut, planes, 40)
    q, shift = turn(), np.array([5.0, -3.0, 100.0]) * scale
    meshes = []
    for given in (sections, sections.moved(q, shift, scale)):
        meshes.append(ml.CrossSectionReconstructor(base=base, **FAST).fit(given).to_mesh(resolution=40))
    expected = scale * meshes[0].points.numpy() @ q.T + shift
    from scipy.spatial import cKDTree

    voxel = scale * float(np.ptp(sections.points, axis=0).max()) / 40
    there = cKDTree(expected).query(meshes[1].points.numpy())[0].max()
    back = cKDTree(meshes[1].points.numpy()).query(expected)[0].max()
    assert max(there, back) < 2 * voxel
    assert float(meshes[1].volume()) == pytest.approx(float(meshes[0].volume()) * scale**3, rel=1e-2)


def nested():
    outer = cuts(lambda p: ball(p, (0, 0, 0), 0.9), stack(9))
    inner = cuts(lambda p: ball(p, (0.2, 0, 0), 0.45), [(p.origin, p.normal) for p in outer])
    halves = []
    for a, b in zip(outer, inner, strict=True):
        rings = {1: [a.lift(r.points) for r in a.rings] + [b.lift(r.points) for r in b.rings]}
        halves.append({**rings, 2: [b.lift(r.points) for r in b.rings]})
    return ml.CrossSections.from_contours(halves, [(p.origin, p.normal) for p in outer])


def test_labels_neither_overlap_nor_leave_gaps():
    model = ml.CrossSectionReconstructor(base="cubic", **FAST).fit(nested())
    points = grid(40)
    found = model.predict(points).numpy()
    inner, outer = ball(points, (0.2, 0, 0), 0.45), ball(points, (0, 0, 0), 0.9)
    truth = np.where(inner > 0, 2, np.where(outer > 0, 1, 0))
    for label in (1, 2):
        same, either = ((found == label) & (truth == label)).sum(), ((found == label) | (truth == label)).sum()
        assert same / either > 0.9
    assert (found[(outer > 0.1)] > 0).all()
    meshes = {label: model.to_mesh(label, 48) for label in (1, 2)}
    assert all(mesh.is_watertight for mesh in meshes.values())
    assert float(meshes[1].volume() + meshes[2].volume()) == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=0.03)
    both = model.to_mesh(resolution=48)
    assert both.is_watertight
    assert sorted(set(both.cell_data["label"]["triangle"].tolist())) == [1, 2]


def test_planes_without_contours_end_a_body():
    body = cuts(peanut, stack(7))
    top = float(body.points[:, 2].max())
    longer = ml.CrossSectionReconstructor(base="linear", cap=0.5, **FAST).fit(body).to_mesh(resolution=40)
    ended = body + ml.CrossSections.from_contours([[]], planes=[((0, 0, top + 0.05), (0, 0, 1))])
    shorter = ml.CrossSectionReconstructor(base="linear", cap=0.5, **FAST).fit(ended).to_mesh(resolution=40)
    assert float(longer.points[:, 2].max()) > top + 0.08
    assert float(shorter.points[:, 2].max()) < top + 0.05 + 0.05


def test_a_saved_model_predicts_the_same(tmp_path):
    model = ml.CrossSectionReconstructor(base="rbf", **FAST).fit(cuts(peanut, scattered(8), 40))
    again = ml.load(model.save(tmp_path / "model"))
    points = torch.rand(500, 3) * 2 - 1
    torch.testing.assert_close(again.distance(points), model.distance(points), rtol=1e-5, atol=1e-6)
    assert again.base_ == model.base_
    cloud = ml.Mesh(points)
    assert again.predict(cloud).point_data["label"].shape == (500,)
    assert [torch.equal(found.point_data["label"], again.predict(points)) for found in again.predict([cloud])] == [True]


def test_uncertainty_is_small_where_planes_are():
    sections = cuts(peanut, stack(9), 40)
    model = ml.CrossSectionReconstructor(base="cubic", **FAST).fit(sections)
    on = sections.points[::7]
    far = sections.points[::7] + np.array([0, 0, 0.6])
    assert float(model.uncertainty(on).mean()) < float(model.uncertainty(far).mean())
    inside = model.probability(np.array([[0.0, 0.0, -0.4], [3.0, 0.0, 0.0]]))
    assert inside[0] > 0.9
    assert inside[1] < 0.1


@pytest.mark.slow
def test_the_network_learns_and_is_used_only_where_it_helps():
    from meshlearn.models.cross_sections.body import Body, Frame
    from meshlearn.models.cross_sections.choice import overlap, plane_points, shown
    from meshlearn.models.cross_sections.network import ResidualNetwork
    from meshlearn.models.cross_sections.training import fit_network, network_grid

    sections = cuts(peanut, scattered(10), 40)
    body = Body.of(sections, Frame.of(sections))
    torch.manual_seed(0)
    network = ResidualNetwork(1, hidden=32, layers=3, iterations=2)
    steps = fit_network(body, None, network, 150, float("inf"), 0)
    assert steps == 150
    with torch.no_grad():
        pairs = [
            ((network(plane_points(body, k))[-1][:, 0] > 0).to(torch.int64), shown(body, k))
            for k in range(len(sections))
        ]
    assert overlap(pairs) > 0.8
    assert network_grid(network, body, 97).shape == (1, 97, 97, 97)
    model = ml.CrossSectionReconstructor(
        time_budget=None, hidden=16, layers=2, iterations=2, steps=40, centres=500
    ).fit(sections)
    assert set(model.network_scores_) == {0.0, 0.25, 0.5, 0.75, 1.0}
    best = max(model.network_scores_.values())
    assert model.network_scores_[model.network_share_] >= best - 0.002
    assert iou(model, peanut) > 0.93


def test_label_volumes_go_on_where_they_were_interrupted(tmp_path):
    x = np.stack(np.indices((30, 28, 26)), axis=-1)
    centres = np.array([[8, 8, 8], [20, 8, 9], [9, 20, 12], [20, 20, 18], [14, 14, 20]])
    near = np.linalg.norm(x[..., None, :] - centres, axis=-1)
    labels = np.where(near.min(-1) < 7, near.argmin(-1) + 1, 0)
    sections = ml.CrossSections.from_volume(labels, slices=slice(0, None, 3))
    model = ml.CrossSectionReconstructor(base="linear", **FAST).fit(sections)
    plain = model.to_volume(labels.shape)
    assert (plain[:, :, ::3] == labels[:, :, ::3]).mean() > 0.998
    assert ((plain == labels) & (labels > 0)).sum() / ((plain > 0) | (labels > 0)).sum() > 0.9

    from meshlearn.models.cross_sections import label_volume

    small, label_volume.BLOCK = label_volume.BLOCK, 10
    try:
        whole = model.to_volume(labels.shape, folder=tmp_path / "v")
        assert (np.asarray(whole) == plain).all()
        note = (tmp_path / "v" / "done.json").read_text()
        (tmp_path / "v" / "done.json").write_text(note.replace('"blocks": [0, 1, ', '"blocks": ['))
        whole[:20, :10, :10] = 99  # blocks 0, 1 and others: only what is not noted as done is made again
        again = np.asarray(model.to_volume(labels.shape, folder=tmp_path / "v"))
        assert (again[:10, :10, :20] == plain[:10, :10, :20]).all()
        assert (again[10:20, :10, :10] == 99).all()
        with pytest.raises(ml.CheckpointError, match="another"):
            model.to_volume((5, 5, 5), folder=tmp_path / "v")
    finally:
        label_volume.BLOCK = small


@pytest.mark.parametrize(
    ("planes", "told"),
    [(1, "one plane does not determine"), (0, "none of the 0 planes"), ("twice", "the same plane")],
)
def test_sections_that_determine_no_body_are_refused(planes, told):
    sections = cuts(peanut, stack(5), 30)
    given = sections + sections if planes == "twice" else sections[: int(planes)]
    with pytest.raises(ml.ParameterError, match=told):
        ml.CrossSectionReconstructor(**FAST).fit(given)


@pytest.mark.parametrize(
    "planes", [[((0, 0, 0), (0, 0, 1)), ((0, 0, 0), (1, 0, 0))], [((0, 0, z), (0, 0, 1)) for z in (-0.2, 0.3)]]
)
def test_two_planes_are_enough_for_a_body(planes):
    sections = cuts(peanut, planes, 40)
    model = ml.CrossSectionReconstructor(**FAST).fit(sections)
    assert model.to_mesh(resolution=32).is_watertight
    assert torch.isnan(model.uncertainty(np.zeros((2, 3)))).all()


def test_empty_planes_alone_are_refused():
    empty = ml.CrossSections.from_contours([[], []], planes=[((0, 0, 0), (0, 0, 1)), ((0, 0, 1), (0, 0, 1))])
    with pytest.raises(ml.ParameterError, match="nothing to reconstruct"):
        ml.CrossSectionReconstructor().fit(empty)


def test_contradictions_are_told_and_the_result_is_closed():
    sections = cuts(peanut, scattered(6), 40)
    plane = sections[0]
    wrong = ml.CrossSections([type(plane)(plane.origin, plane.axes, ()), *sections.planes[1:]])
    with pytest.warns(ml.FitWarning, match="contradict"):
        model = ml.CrossSectionReconstructor(base="distance", **FAST).fit(wrong)
    assert model.conflicts_
    assert model.to_mesh(resolution=32).is_watertight


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"base": "spline"}, "one of"),
        ({"base": "distance"}, "parallel planes have"),
        ({"steps": 0}, "at least 1"),
        ({"time_budget": -1}, "positive"),
        ({"network": "yes"}, "True or False"),
        ({"cap": 0.0}, "positive"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(arguments, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.CrossSectionReconstructor(**arguments).fit(cuts(peanut, stack(4), 30))


def test_questions_to_a_model_are_checked():
    model = ml.CrossSectionReconstructor(base="linear", **FAST)
    with pytest.raises(ml.NotFittedError):
        model.to_mesh()
    model.fit(cuts(peanut, stack(4), 30))
    with pytest.raises(ml.ParameterError, match="label=3"):
        model.to_mesh(label=3)
    with pytest.raises(ml.ParameterError, match="resolution"):
        model.to_mesh(resolution=2)
    with pytest.raises(ml.ParameterError, match="2048 voxels"):
        model.to_mesh(resolution=100_000)
    with pytest.raises(ml.ParameterError, match="got str"):
        model.predict("a")
    with pytest.raises(ml.ParameterError, match="points"):
        model.predict(np.zeros((4, 2)))
    with pytest.raises(ml.ParameterError, match="no uncertainty"):
        model.predict(np.zeros((4, 3)), return_std=True)
    with pytest.raises(ml.ParameterError, match="CrossSections"):
        ml.CrossSectionReconstructor().fit([1, 2])
