import functools
import re
import warnings

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.grids import GridWarning, register_core
from meshlearn.grids.cores import registry
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
        ({"coordinates": "yes"}, "coordinates='yes'"),
        ({"distance": 1}, "distance=1"),
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


@pytest.mark.parametrize("shape", [4, 6])
def test_the_number_to_use_is_told_of_very_coarse_grids(shape):
    mesh = ml.shapes.square(n=30)
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=torch.sin(20 * mesh.points[:, 0]))
    with pytest.warns(GridWarning, match=r"u: carrying it .* shape=\d+ has") as told:
        operator(shape=shape).fit([mesh], epochs=1, progress=False)
    n = int(re.search(r"shape=(\d+) has", str(told[0].message)).group(1))
    assert ml.MeshToGrid(n).floor(mesh, "u") < 0.5 * ml.MeshToGrid(shape).floor(mesh, "u")


def test_what_a_grid_costs_a_step_in_time_is_the_error_of_carrying_the_change():
    mesh = ml.shapes.square(n=20).double()
    change = torch.sin(15 * mesh.points[:, 0])
    states = torch.stack([5 + k * change for k in range(3)]).float()
    moving = ml.Trajectory(mesh.float(), [0.0, 1.0, 2.0], {"u": states})
    with pytest.warns(GridWarning, match=r"shape=\d+ has"):
        model = operator(inputs=["u"], shape=5).fit([moving], epochs=1, progress=False)
    pair = model.adapter.transfer(mesh)
    expected = pair.floor(change) * pair.size(change) / pair.size(5 + 2 * change)
    assert model.floors_["u"] == pytest.approx(expected, rel=1e-3)
    assert expected < 0.5 * pair.floor(change)


def test_floors_of_fields_that_begin_at_rest_are_not_zero():
    mesh = ml.shapes.square(n=12)
    u = torch.stack([torch.zeros(mesh.n_points), torch.sin(9 * mesh.points[:, 0])])
    series = ml.Trajectory(mesh, [0.0, 1.0], {"u": u})
    with pytest.warns(GridWarning):
        assert operator(inputs=["u"], shape=4).fit([series], epochs=1, progress=False).floors_["u"] > 0.3


def test_fields_that_are_zero_have_no_floor_and_nothing_is_told():
    mesh = ml.shapes.square(n=4)
    still = ml.Trajectory(mesh, [0.0, 1.0], {"u": torch.stack([mesh.points[:, 0], torch.zeros(mesh.n_points)])})
    assert operator(inputs=["u"], shape=5).fit([still], epochs=1, progress=False).floors_["u"] == 0.0


class Pointwise(torch.nn.Module):
    """A core of the user's own: lazy, or for squares only, or with an output of the wrong form."""

    def __init__(self, n_out=1, cut=0, square=False):
        super().__init__()
        self.kernel, self.cut, self.square = torch.nn.LazyConv2d(n_out, 1), cut, square

    def forward(self, x):
        if self.square and x.shape[-1] != x.shape[-2]:
            raise ValueError("squares only")
        return self.kernel(x)[..., self.cut :]


@pytest.mark.parametrize(
    ("core", "told"),
    [
        (torch.nn.Conv2d(3, 1, 1), r"f \(1\), mask \(1\), signed distance \(1\), coordinates \(2\), load \(1\)"),
        (torch.nn.Conv3d(6, 1, 1), r"core=Conv3d does not take a tensor of shape \(1, 6, 8, 5\)"),
        (Pointwise(n_out=2), r"made shape \(1, 2, 8, 5\) of \(1, 6, 8, 5\); a tensor of shape \(1, 1, 8, 5\)"),
        (Pointwise(cut=1), r"made shape \(1, 1, 8, 4\)"),
        (Pointwise(square=True), "squares only"),
        (lambda n_in, n_out: torch.nn.Conv2d(n_in, n_out, 1), "too many positional arguments"),
        (lambda n_in, n_out, periodic: torch.nn.LSTM(8, 8), "core=LSTM"),
    ],
)
def test_own_cores_that_do_not_fit_are_told_what_they_are_given(core, told):
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(6, 3))
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 1]).with_global_data(load=torch.tensor(1.0))
    model = ml.GridOperator(["f", "load"], ["u"], core=core, shape=8)
    with pytest.raises(ml.ParameterError, match=told):
        model.fit([mesh], epochs=1, progress=False)


def test_lazy_layers_of_own_cores_get_their_sizes():
    (mesh,) = plates(1)
    model = ml.GridOperator(["f"], ["u"], core=Pointwise(), shape=8).fit([mesh], epochs=1, progress=False)
    assert model.module_.core.kernel.weight.shape == (1, 5, 1, 1)


def test_cores_without_a_name_and_names_without_a_core_are_told(tmp_path):
    (mesh,) = plates(1)
    given = ml.GridOperator(["f"], ["u"], core=Pointwise(), shape=8).fit([mesh], epochs=1, progress=False)
    with pytest.raises(ml.CheckpointError, match="register_core"):
        given.save(tmp_path / "given")
    register_core("for a while", lambda a, b, c, width=1: torch.nn.Conv2d(a, b, width))
    named = ml.GridOperator(["f"], ["u"], core="for a while", shape=8).fit([mesh], epochs=1, progress=False)
    named.save(tmp_path / "named")
    with pytest.raises(ml.ParameterError, match=r"'widht': did you mean 'width'.*\n  It takes width"):
        ml.GridOperator(["f"], ["u"], core="for a while", core_options={"widht": 2}).fit([mesh], epochs=1)
    registry._REGISTERED.pop("for a while")
    with pytest.raises(ml.CheckpointError, match="Register it before loading"):
        ml.load(tmp_path / "named")


def test_more_levels_than_a_grid_has_nodes_for_are_refused():
    (mesh,) = plates(1)
    pytest.importorskip("neuralop", reason='the package neuraloperator: pip install "meshlearn[grids]"')
    options = {"hidden": 4, "modes": 2, "layers": 1, "levels": 6}
    model = ml.GridOperator(["f"], ["u"], core="mgtfno", core_options=options, shape=16)
    with pytest.raises(ml.ParameterError, match=r"(?s)levels=6: the grid of .* Choose levels=2 or less"):
        model.fit([mesh], epochs=1, progress=False)
