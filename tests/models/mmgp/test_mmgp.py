"""The estimator: exact cases, invariances, bands, samples, files, and bad input."""

import math
from functools import partial

import pytest
import torch

import meshlearn as ml
from meshlearn.testing import check_estimator
from meshlearn.testing.samples import example_meshes
from meshlearn.train.survey import FitWarning

SIZES = torch.linspace(0.15, 0.35, 24, dtype=torch.float64).tolist()


def plates(count=24, seed=0, size=0.08):
    """Plates with one hole of varying radius and independent triangulations; fields that are functions of place."""
    g = torch.Generator().manual_seed(seed)
    meshes = []
    for radius in SIZES[:count]:
        load = float(torch.rand((), generator=g)) + 0.5
        stretch = 1 + 0.5 * float(torch.rand((), generator=g))
        mesh = ml.shapes.plate_with_holes([(0.5, 0.5, radius)], size=size * (1 + 0.3 * (len(meshes) % 3))).double()
        mesh = mesh.replace(points=mesh.points * torch.tensor([stretch, 1.0], dtype=torch.float64))
        meshes.append(with_fields(mesh, load, radius))
    return meshes


def with_fields(mesh, load, radius):
    x, y = mesh.points.T
    centres = torch.cat([mesh.cell_centroids()[kind] for kind in mesh.domain_types])
    return (
        mesh.with_point_data(u=load * torch.sin(2 * x) * y, v=torch.stack([x * load, radius * y], dim=1))
        .with_cell_data(q=load * centres[:, 0] ** 2)
        .with_global_data(load=torch.tensor(load, dtype=torch.float64), peak=torch.tensor(load * radius).double())
    )


@pytest.fixture(scope="module")
def fitted():
    meshes = plates()
    train, test = [m for k, m in enumerate(meshes) if k % 6 != 3], meshes[3::6]
    return ml.MMGP(["load"], ["u", "v", "q", "peak"]).fit(train), train, test


def test_check_estimator():
    meshes = example_meshes(8)
    check_estimator(
        partial(ml.MMGP, restarts=1), meshes, inputs=("f", "a"), outputs=("u", "v", "q", "total"), skip=("single_mesh",)
    )


def test_smooth_fields_are_learned_on_unlike_meshes(fitted):
    model, _, test = fitted
    scores = model.score(test)
    assert scores["u"] < 0.02
    assert scores["v"] < 0.02
    assert scores["peak"] < 0.02
    assert scores["q"] < 0.15
    assert model.morphing_ == "tutte"
    assert model.morph_quality_["flipped"] == 0
    for name in ("u", "v"):
        assert model.floors_[name]["round_trip"] < 0.02
        assert model.cv_score_[name] < 0.05


def test_shared_connectivity_has_no_transfer_error():
    base = ml.shapes.box(1.0, 1.0, 1.0, n=(3, 3, 3), boundary=False).double()
    meshes = []
    for k in range(12):
        a = 0.5 + k / 8
        points = base.points * torch.tensor([1.0, a, 1.0], dtype=torch.float64)
        meshes.append(base.replace(points=points).with_point_data(u=points[:, 1] * points[:, 0]))
    model = ml.MMGP([], ["u"]).fit(meshes[:5] + meshes[6:])
    assert model.morphing_ == "identity"
    assert model.floors_["u"]["round_trip"] == 0.0
    assert model.score([meshes[5]])["u"] < 1e-4


def test_renumbering_and_inverted_cells_change_nothing(fitted):
    model, _, test = fitted
    mesh = test[0]
    order = torch.randperm(mesh.n_points, generator=torch.Generator().manual_seed(1))
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    cells = {kind: back[table].flip(1) if kind == "triangle" else back[table] for kind, table in mesh.cells.items()}
    cells["triangle"] = cells["triangle"].flip(0)
    other = ml.Mesh(mesh.points[order], cells, cell_sets=dict(mesh.cell_sets), global_data=dict(mesh.global_data))
    here, there = model.predict(mesh, return_std=True), model.predict(other, return_std=True)
    for name in ("u", "v", "u_std"):
        torch.testing.assert_close(there.point_data[name], here.point_data[name][order], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(there.global_data["peak"], here.global_data["peak"], rtol=1e-6, atol=1e-9)


def test_bands_cover_and_widen_for_unlike_shapes(fitted):
    model, _, test = fitted
    inside, widths = [], []
    for mesh in test:
        p = model.predict(mesh, return_std=True)
        error = (p.point_data["u"] - mesh.point_data["u"]).abs()
        inside.append((error <= 2.6 * p.point_data["u_std"]).double().mean())
        widths.append(p.point_data["u_std"].mean())
    assert float(torch.stack(inside).mean()) > 0.85
    odd = ml.shapes.plate_with_holes([(0.3, 0.6, 0.1)], size=0.12).double()
    odd = with_fields(odd, 1.0, 0.1)
    assert model.novelty(odd) > 2 > model.novelty(test[0])
    assert float(model.predict(odd, return_std=True).point_data["u_std"].mean()) > 3 * float(torch.stack(widths).max())


def test_samples_have_the_mean_and_the_spread_of_the_prediction(fitted):
    model, _, test = fitted
    drawn = model.sample(test[0], 400, seed=1)
    p = model.predict(test[0], return_std=True)
    peaks = torch.stack([m.global_data["peak"] for m in drawn])
    assert float(peaks.mean()) == pytest.approx(
        float(p.global_data["peak"]), abs=4 * float(p.global_data["peak_std"]) / 20
    )
    assert float(peaks.std()) == pytest.approx(float(p.global_data["peak_std"]), rel=0.15)
    u = torch.stack([m.point_data["u"] for m in drawn])
    assert float((u.mean(0) - p.point_data["u"]).abs().max()) < 0.5 * float(p.point_data["u_std"].max())
    assert bool((u.std(0) <= 1.3 * p.point_data["u_std"] + 1e-12).all())


def test_save_and_load(fitted, tmp_path):
    model, _, test = fitted
    model.save(tmp_path / "model")
    again = ml.load(tmp_path / "model")
    here, there = model.predict(test[0], return_std=True), again.predict(test[0], return_std=True)
    for name in ("u", "u_std", "v"):
        assert torch.equal(here.point_data[name], there.point_data[name])
    assert again.cv_score_ == model.cv_score_


def test_projection_keeps_integrals():
    meshes = plates(12)
    model = ml.MMGP(["load"], ["u"], transfer="projection").fit(meshes)
    placed = model.family_.place(meshes[0])
    common = model.family_.common.mesh
    from meshlearn.models.mmgp.projection import Projection, quadrature

    values = meshes[0].point_data["u"][:, None]
    moved = meshes[0].replace(points=placed.morph.points)
    points, shape, weights = quadrature(common)
    there = placed.to_common(values, "point")
    matrix, _ = ml.interpolation_operator(moved, points)
    assert float(weights @ (shape @ there.numpy())) == pytest.approx(
        float(weights @ (matrix @ values)[:, 0].numpy()), rel=1e-10
    )
    linear = common.points @ torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    onto = Projection(common)
    torch.testing.assert_close(onto(torch.from_numpy(shape @ linear.numpy())), linear, rtol=0, atol=1e-10)
    assert model.score(meshes)["u"] < 0.05


def test_surfaces_of_quads_in_space():
    meshes = []
    for k in range(10):
        flat = ml.shapes.rectangle(1.0, 1.0, n=(6, 5), cells="quad", boundary=False).double()
        x, y = flat.points.T
        points = torch.stack([x, y, 0.1 * k * torch.sin(math.pi * x)], dim=1)
        meshes.append(flat.replace(points=points).with_point_data(u=points[:, 2] ** 2))
    model = ml.MMGP([], ["u"]).fit(meshes[:4] + meshes[5:])
    assert model.score(meshes[4:5])["u"] < 0.02


def test_time_is_an_input():
    mesh = ml.shapes.square(n=4).double()
    series = []
    for k in range(4):
        times = torch.linspace(0, 1, 6, dtype=torch.float64)
        u = torch.stack([torch.sin(t + 0.3 * k) * mesh.points[:, 0] for t in times])
        series.append(
            ml.Trajectory(mesh.with_global_data(a=torch.tensor(0.3 * k).double()), times, point_data={"u": u})
        )
    model = ml.MMGP(["time", "a"], ["u"]).fit(series[:2] + series[3:])
    assert model.score(series[2:3])["u"] < 0.05


def test_bad_input():
    meshes = plates(8)
    with pytest.raises(ml.ParameterError, match="at least two"):
        ml.MMGP(["load"], ["u"]).fit(meshes[:1])
    two_holes = ml.shapes.plate_with_holes([(0.3, 0.3, 0.1), (0.7, 0.7, 0.1)], size=0.15).double()
    with pytest.raises(ml.TopologyError, match=r"2 holes.*1 hole|1 hole.*2 holes"):
        ml.MMGP(["load"], ["u"]).fit([*meshes, with_fields(two_holes, 1.0, 0.1)])
    model = ml.MMGP(["load"], ["u"], restarts=1).fit(meshes)
    with pytest.raises(ml.TopologyError, match="2 holes"):
        model.predict(with_fields(two_holes, 1.0, 0.1))
    with pytest.raises(ml.FieldError, match="load"):
        model.predict(meshes[0].replace(global_data={}))
    with pytest.raises(ml.ParameterError, match="nothing to learn"):
        ml.MMGP([], ["u"]).fit([meshes[0]] * 5)
    for arguments, word in (
        ({"morphing": "magic"}, "morphing"),
        ({"modes": -1}, "modes"),
        ({"transfer": "x"}, "transfer"),
        ({"restarts": 0}, "restarts"),
        ({"calibrate": 1}, "calibrate"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            ml.MMGP(["load"], ["u"], **arguments).fit(meshes)


def test_two_meshes_duplicates_and_constant_outputs():
    meshes = plates(6)
    two = ml.MMGP(["load"], ["u"], restarts=1).fit(meshes[::5])
    assert bool(torch.isfinite(two.predict(meshes[2], return_std=True).point_data["u_std"]).all())
    same = [m.with_point_data(c=torch.full((m.n_points,), 4.0).double()) for m in [*meshes, *meshes]]
    with pytest.warns(FitWarning, match="6 of 12 training meshes or trajectories repeat others"):
        model = ml.MMGP(["load"], ["u", "c"], restarts=1).fit(same)
    p = model.predict(same[0], return_std=True)
    torch.testing.assert_close(p.point_data["c"], same[0].point_data["c"])
    assert float(p.point_data["c_std"].max()) < 1e-9


def test_derivatives_equal_differences_of_predictions(fitted):
    model, _, test = fitted
    mesh, h = test[1], 1e-4
    exact = model.derivative(mesh, "load")
    up, down = (model.predict(mesh.with_global_data(load=mesh.global_data["load"] + s * h)) for s in (1, -1))
    for place, name in (("point_data", "v"), ("global_data", "peak")):
        difference = (getattr(up, place)[name] - getattr(down, place)[name]) / (2 * h)
        torch.testing.assert_close(getattr(exact, place)[f"d_{name}_d_load"], difference, rtol=1e-4, atol=1e-6)
    with pytest.raises(ml.FieldError, match="wrt='u'"):
        model.derivative(mesh, "u")


def test_frames_of_a_trajectory_are_left_out_together():
    mesh, times = ml.shapes.square(n=3).double(), torch.linspace(0, 1, 10, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    series = []
    for k in range(8):  # amplitudes that nothing explains: unseen trajectories cannot be predicted, and the model knows
        a = float(torch.randn((), generator=g))
        u = torch.stack([a * (1 + t) * mesh.points[:, 0] for t in times])
        known = mesh.with_global_data(a=torch.tensor(float(k)).double())
        series.append(ml.Trajectory(known, times, point_data={"u": u}))
    assert ml.MMGP(["time", "a"], ["u"], restarts=1).fit(series).cv_score_["u"] > 0.3


def test_bands_widen_beyond_the_range_of_shapes():
    meshes = [ml.shapes.rectangle(a, 1.0, n=(5, 4)).double() for a in torch.linspace(1, 2, 12).tolist()]
    meshes = [m.with_point_data(u=m.points[:, 0] ** 2) for m in meshes]
    model = ml.MMGP([], ["u"]).fit(meshes)
    far = ml.shapes.rectangle(8.0, 1.0, n=(5, 4)).double()
    assert model.novelty(far) > 5 > 1.2 > model.novelty(meshes[3])
    near, wide = (float(model.predict(m, return_std=True).point_data["u_std"].max()) for m in (meshes[3], far))
    assert wide > 20 * near


def test_zero_outputs_and_wrong_arguments():
    meshes = [m.with_point_data(z=torch.zeros(m.n_points).double()) for m in plates(6)]
    model = ml.MMGP(["load"], ["z"], restarts=1).fit(meshes)
    assert bool((model.predict(meshes[0], return_std=True).point_data["z"] == 0).all())
    for call in (model.novelty, lambda m: model.sample(m, 2), lambda m: model.derivative(m, "load")):
        with pytest.raises(ml.ParameterError, match="one Mesh"):
            call(meshes)


def test_rounding_is_not_new_and_names_do_not_clash():
    base = ml.shapes.rectangle(1.0, 1.0, n=(5, 4)).double()
    meshes = [base.replace(points=base.points * torch.tensor([1 + 0.1 * k, 1.0]).double()) for k in range(12)]
    meshes = [m.with_point_data(u=m.points[:, 0], u_std=m.points[:, 1]) for m in meshes]
    model = ml.MMGP([], ["u"]).fit(meshes)
    rounded = meshes[5].replace(points=(meshes[5].points * 1e6).round() / 1e6)
    assert model.novelty(rounded) < 1
    with pytest.raises(ml.ParameterError, match="clash"):
        ml.MMGP([], ["u", "u_std"]).fit(meshes)
    with pytest.raises(ml.ParameterError, match="landmarks"):
        ml.MMGP([], ["u"], landmarks="tip").fit(meshes)
