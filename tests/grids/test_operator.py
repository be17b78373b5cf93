import functools
import warnings

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.grids import GridWarning, register_core
from meshlearn.testing import check_estimator
from meshlearn.train.batching import mix
from meshlearn.train.items import split_validation
from tests.grids.adapter_cases import wave

SMALL = {
    "fno": {"hidden": 8, "modes": 4, "layers": 2},
    "tfno": {"hidden": 8, "modes": 4, "layers": 2, "rank": 0.5},
    "unet": {"hidden": 8, "multipliers": (1, 2), "blocks": 1},
    "sinenet": {"hidden": 8, "waves": 2, "levels": 2},
    "mgtfno": {"hidden": 8, "modes": 4, "layers": 2, "rank": 0.5, "margin": 2},
    "deeponet": {"hidden": 8, "terms": 8},
    "mgno": {"hidden": 8, "layers": 2, "iterations": (1, 1, 2)},
    "lsm": {"hidden": 8, "levels": 2, "heads": 4},
    "scot": {"hidden": 16, "depths": (2, 2), "window": 4},
}


def operator(core="unet", inputs=("f",), outputs=("u",), shape=12, **options):
    if core in ("fno", "tfno", "mgtfno"):
        pytest.importorskip("neuralop", reason='the package neuraloperator: pip install "meshlearn[grids]"')
    return ml.GridOperator(inputs, outputs, core=core, core_options=SMALL.get(core), shape=shape, **options)


def plates(n, size=0.12):
    """u solves nothing: it is a smooth function of place and of what f says; the holes differ."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for k in range(n):
        a, b, c = torch.rand(3, generator=generator).tolist()
        mesh = ml.shapes.plate_with_holes([(0.3 + 0.4 * a, 0.5, 0.15)], size=size, seed=k, boundary=False)
        x = mesh.points
        f = b * x[:, 0] + c * torch.sin(3 * x[:, 1])
        made.append(mesh.with_point_data(f=f, u=f * x[:, 0] + c))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("core", ["fno", "unet", "deeponet"])
def test_operators_keep_the_contract_of_estimators(core):
    make = functools.partial(ml.GridOperator, core=core, core_options=SMALL[core], shape=8)
    if core in ("fno", "tfno"):
        pytest.importorskip("neuralop", reason='the package neuraloperator: pip install "meshlearn[grids]"')
    passed = check_estimator(make, inputs=("f", "q", "a"), outputs=("u", "total"))
    assert len(passed) > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::meshlearn.grids.GridWarning")
@pytest.mark.parametrize("core", SMALL)
def test_every_core_learns_a_few_meshes_by_heart(core):
    meshes = plates(2)
    model = operator(core).fit(meshes, epochs=150, learning_rate=1e-2, progress=False)
    assert model.score(meshes)["u"] < 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::meshlearn.grids.GridWarning")
@pytest.mark.parametrize("core", ["mgno", "lsm", "scot"])
def test_learned_cores_beat_the_mean_field_on_unseen_darcy_flow(core):
    meshes = ml.sim.make_darcy(24, seed=1, holes=0, size=(0.09, 0.1), finer=0)
    train, test = meshes[:18], meshes[18:]
    mean = ml.MeanField([], ["u"]).fit(train).score(test)["u"]
    model = operator(core, ["permeability", "source"], shape=16)
    model.fit(train, epochs=25, learning_rate=5e-3, progress=False)
    assert model.score(test)["u"] < 0.5 * mean


def test_on_nodes_that_are_the_grid_the_operator_is_its_core():
    """B = P = I: the mesh model equals the core on the grid, exactly."""
    core = torch.nn.Conv2d(2, 1, 3, padding=1)
    mesh = ml.shapes.rectangle(n=(7, 7), cells="quad", boundary=False).double()
    mesh = mesh.replace(points=(mesh.points * 7).round() / 7)
    mesh = mesh.with_point_data(f=wave(mesh.points), u=mesh.points[:, 0])
    model = operator(lambda n_in, n_out, periodic: core, shape=8, coordinates=False, distance=False, loss="mse")
    model.fit([mesh], epochs=1, learning_rate=1e-12, precision="64", progress=False)
    image = _as_image(mesh, mesh.point_data["f"])
    features = torch.stack([image, torch.ones_like(image)])
    normal = model.normalizers_.features["grid_inputs"](features.reshape(2, -1).T).T.reshape(1, 2, 8, 8)
    direct = model.module_.core(normal)[0, 0]
    direct = model.normalizers_.targets["point"].inverse(direct.reshape(-1, 1)).reshape(8, 8)
    assert torch.allclose(_as_image(mesh, model.predict(mesh).point_data["u"]), direct, rtol=0, atol=1e-12)


def _as_image(mesh, values):
    place = (mesh.points * 7).round().long()
    image = values.new_zeros(8, 8)
    image[place[:, 0], place[:, 1]] = values
    return image


def test_grids_of_different_shapes_share_a_batch():
    long, square = ml.shapes.rectangle(2.0, 1.0, n=(8, 4)), ml.shapes.square(n=5)
    meshes = [
        m.with_point_data(f=m.points[:, 0], u=m.points[:, 1])
        for m in (long, square, long.replace(points=long.points * 2))
    ]
    for core in ("unet", "deeponet"):
        model = operator(core).fit(meshes, epochs=2, progress=False)
        together, apart = model.predict(meshes), [model.predict(mesh) for mesh in meshes]
        for a, b in zip(together, apart, strict=True):
            assert torch.allclose(a.point_data["u"], b.point_data["u"], atol=1e-5)


def test_cell_fields_and_global_values_come_and_go():
    meshes = []
    for mesh in plates(3):
        centres = mesh.join_cells(mesh.cell_centroids())
        mesh = mesh.with_cell_data(k=centres[:, 0], v=centres[:, :2]).with_global_data(load=centres[0, 0])
        meshes.append(mesh.with_global_data(total=mesh.cell_data["k"]["triangle"].mean()))
    for core in ("unet", "deeponet"):
        model = operator(core, inputs=["k", "load"], outputs=["u", "v", "total"])
        pred = model.fit(meshes, epochs=2, progress=False).predict(meshes[0])
        assert pred.cell_data["v"]["triangle"].shape == meshes[0].cell_data["v"]["triangle"].shape
        assert pred.global_data["total"].shape == ()


@pytest.mark.parametrize("transfer", ["l2", "conservative", "kernel"])
def test_every_transfer_feeds_a_model(transfer):
    meshes = plates(3)
    model = operator(transfer=transfer, extension="nearest").fit(meshes, epochs=1, progress=False)
    assert torch.isfinite(model.predict(meshes[0]).point_data["u"]).all()


def test_models_in_three_dimensions_and_along_periodic_axes():
    mesh = ml.shapes.box(n=3)
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 2])
    model = operator(shape=(8, 6, 6), periodic=[True, False, False]).fit([mesh], epochs=1, progress=False)
    assert model.predict(mesh).point_data["u"].shape == (mesh.n_points,)


def test_outputs_that_never_are_on_a_grid_have_no_floor():
    assert operator("deeponet", shape=5).fit(plates(1), epochs=1, progress=False).floors_ == {}


def test_a_coarse_grid_is_told_with_the_number_to_use():
    meshes = []
    for mesh in plates(2, size=0.06):
        meshes.append(mesh.with_point_data(u=torch.sin(12 * mesh.points[:, 0]) * mesh.point_data["f"]))
    with pytest.warns(GridWarning, match=r"u: carrying it .* shape=\d+ has a fifth"):
        model = operator(shape=5).fit(meshes, epochs=1, progress=False)
    assert model.floors_["u"] > 0.2
    assert operator(shape=24).fit(meshes, epochs=1, progress=False).floors_["u"] < 0.1


def test_own_cores_and_their_files(tmp_path):
    meshes = plates(2)
    register_core(
        "two convolutions",
        lambda n_in, n_out, periodic, width=4: torch.nn.Sequential(
            torch.nn.Conv2d(n_in, width, 3, padding=1), torch.nn.GELU(), torch.nn.Conv2d(width, n_out, 3, padding=1)
        ),
    )
    model = ml.GridOperator(["f"], ["u"], core="two convolutions", core_options={"width": 6}, shape=8)
    model.fit(meshes, epochs=1, progress=False).save(tmp_path / "model")
    again = ml.load(tmp_path / "model")
    assert torch.equal(again.predict(meshes[0]).point_data["u"], model.predict(meshes[0]).point_data["u"])
    assert again.floors_ == model.floors_
    module = ml.GridOperator(["f"], ["u"], core=torch.nn.Conv2d(5, 1, 1), shape=8).fit(meshes, epochs=1, progress=False)
    with pytest.raises(ml.CheckpointError, match="core="):
        module.save(tmp_path / "module")


def test_steps_in_time_are_learned_as_changes():
    mesh = ml.shapes.square(n=6)
    times = torch.arange(5.0)
    u = 100.0 + times[:, None] * mesh.points[:, 0]
    trajectory = ml.Trajectory(mesh, times, point_data={"u": u})
    model = operator(inputs=["u"], outputs=["u"], shape=8).fit(
        [trajectory], epochs=40, learning_rate=1e-2, progress=False
    )
    out = model.rollout(trajectory)
    assert (out.point_data["u"] - u).abs().max() < 0.5


class Timed(torch.nn.Module):
    """A core that says what it was told: the time, or -100 for none."""

    takes_time = True

    def __init__(self, n_in, n_out, periodic):
        super().__init__()
        self.unused = torch.nn.Conv2d(n_in, n_out, 1)

    def forward(self, x, time=None):
        told = x.new_full((len(x),), -100.0) if time is None else time
        return self.unused(x) * 0 + told[:, None, None, None]


def test_cores_that_take_a_time_are_told_it_mesh_by_mesh():
    long, square = ml.shapes.rectangle(2.0, 1.0, n=(8, 4)), ml.shapes.square(n=5)
    meshes = [
        mesh.with_point_data(u=mesh.points[:, 1]).with_global_data(load=torch.tensor([1.0, k]), lead=torch.tensor(k))
        for k, mesh in enumerate((long, square, long, square), start=1)
    ]
    model = ml.GridOperator(["load", "lead"], ["u"], core=Timed, shape=8, time="lead", loss="mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        model.fit(meshes, epochs=1, progress=False)
    normal = model.normalizers_.targets["point"]
    for mesh, pred in zip(meshes, model.predict(meshes), strict=True):
        told = normal(pred.point_data["u"][:, None])
        lead = (mesh.global_data["lead"] - 2.5) / 1.25**0.5  # 1, 2, 3, 4
        assert (told - lead).abs().max() < 1e-4
    model.set_params(time=None).fit(meshes[:1], epochs=1, progress=False)
    normal = model.normalizers_.targets["point"]
    assert (normal(model.predict(meshes[0]).point_data["u"][:, None]) + 100).abs().max() < 1e-3


def test_a_time_that_is_no_input_is_told():
    mesh = plates(1)[0].with_global_data(lead=torch.tensor(1.0))
    for name, message in (("laed", "did you mean 'lead'"), (3, "time=3 is not an input"), ("f", "one value per mesh")):
        with pytest.raises(ml.ParameterError, match=message):
            ml.GridOperator(["f", "lead"], ["u"], core="unet", time=name, shape=8).fit([mesh], epochs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"core": "unnet"}, "did you mean 'unet'"),
        ({"core_options": {"modes": 3}}, "has no option 'modes'"),
        ({"core_options": 3}, "must be a dictionary"),
        ({"loss": "mes"}, "loss='mes'"),
        ({"shape": 2}, "shape=2"),
        ({"transfer": "nearest"}, "transfer='nearest'"),
        ({"box": ((0, 0), (0.5, 0.5))}, "outside the box"),
        ({"core": lambda *_: 3}, "an nn.Module is expected"),
    ],
)
def test_wrong_arguments_of_a_grid_operator_are_told(options, message):
    model = ml.GridOperator(["f"], ["u"], **{"core": "unet", "shape": 8, **options})
    with pytest.raises(ml.MeshlearnError, match=message):
        model.fit(plates(1), epochs=1, progress=False)


def test_floors_are_those_of_meshes_that_were_trained_on():
    """One mesh carries a field that no grid does; held out, it is not looked at."""
    meshes = plates(5)
    rough = meshes[0].with_point_data(u=torch.arange(meshes[0].n_points) % 2 * 1.0)
    model = operator(shape=16)
    for seed in range(3):
        _, held_out = split_validation(5, 0.2, mix(seed, 1))
        shown = list(meshes)
        shown[held_out[0]] = rough
        assert model.fit(iter(shown), validation=0.2, seed=seed, epochs=1, progress=False).floors_["u"] < 0.1
    others = iter([rough])
    assert model.fit(iter(meshes), validation=others, epochs=1, progress=False).floors_["u"] < 0.1


def test_numbers_of_numpy_are_taken(tmp_path):
    options = {"hidden": np.int64(8), "multipliers": (np.int64(1), np.int32(2)), "blocks": np.int8(1)}
    model = ml.GridOperator(["f"], ["u"], core="unet", core_options=options, shape=np.int64(8))
    meshes = plates(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        model.fit(meshes, epochs=1, progress=False).save(tmp_path / "model")
    again = ml.load(tmp_path / "model").predict(meshes[0])
    assert torch.equal(again.point_data["u"], model.predict(meshes[0]).point_data["u"])
    assert ml.MeshToGrid(np.array([5, 6]), radius=np.float32(2.0)).grid(meshes[0]).shape == (5, 6)


def test_fit_shows_the_options_of_training():
    import inspect

    assert "learning_rate" in inspect.signature(ml.GridOperator.fit).parameters
    with pytest.raises(ml.ParameterError, match="did you mean 'learning_rate'"):
        operator().fit(plates(1), lr=1.0)
