import pytest
import torch

import meshlearn as ml
from meshlearn.grids import GridWarning
from meshlearn.models.around.schedule import NoiseSchedule
from meshlearn.testing import check_estimator
from meshlearn.train.sample import collate

pytestmark = pytest.mark.filterwarnings("ignore", category=GridWarning)


def waves(n, frames=6, resolution=32):
    return ml.sim.make_kuramoto_sivashinsky(n, resolution=resolution, length=16.0, frames=frames, start=20.0)


def grid(inputs=("u",), outputs=("u",), **options):
    core = {"core": "unet", "core_options": {"hidden": 8, "multipliers": [1, 2], "blocks": 1}}
    return ml.GridOperator(list(inputs), list(outputs), **{**core, "shape": 32, "periodic": True, **options})


def graph(inputs=("u",), outputs=("u",), **options):
    return ml.MeshGraphNet(list(inputs), list(outputs), hidden=8, steps=2, levels=2, **options)


def plates(n):
    """Fields at points, on cells and of the mesh, on plates with different holes."""
    made = []
    for k in range(n):
        mesh = ml.shapes.plate_with_holes([(0.3 + 0.1 * k, 0.5, 0.15)], size=0.2, seed=k, boundary=False)
        x = mesh.points[:, 0]
        mesh = mesh.with_point_data(f=x * (k + 1), u=torch.stack([x, x.square()], 1))
        heat = mesh.points[mesh.cells["triangle"]].mean(1)[:, 0]
        made.append(mesh.with_cell_data(q=heat * k).with_global_data(load=torch.tensor(float(k)), total=x.sum()))
    return made


MODELS = {"grid": grid, "graph": graph, "slices": lambda i=("u",), o=("u",): ml.SliceTransformer(i, o, 8, 1, 2, 4)}


# -- the schedule ------------------------------------------------------------------------------------------------


def test_schedules_go_from_the_least_noise_to_nothing_else():
    schedule = NoiseSchedule(3, 4e-7)
    assert torch.allclose(schedule.added, torch.tensor([4e-7, 4e-7 ** (2 / 3), 4e-7 ** (1 / 3), 1.0]).double())
    assert float(schedule.kept[-1]) == 0
    assert abs(float(1 - schedule.kept[0]) / 4e-7 - 1) < 1e-6


def test_the_velocity_gives_the_clean_values_back_at_every_step():
    schedule = NoiseSchedule(4, 1e-3)
    clean, noise = torch.randn(2, 50, 2, dtype=torch.float64)
    for k in range(5):
        level = torch.full((50,), k)
        noisy = schedule.noisy(clean, noise, level)
        assert torch.allclose(schedule.cleaned(noisy, schedule.velocity(clean, noise, level), k), clean, atol=1e-7)


def test_steps_back_have_the_distribution_of_the_step_before():
    """With the truth as the estimate, y_(k-1) drawn from y_k has mean sqrt(a) y and variance 1 - a."""
    torch.manual_seed(0)
    schedule, clean = NoiseSchedule(3, 0.05), torch.full((200_000, 1), 0.7, dtype=torch.float64)
    for k in range(1, 4):
        level = torch.full((len(clean),), k)
        noisy = schedule.noisy(clean, torch.randn_like(clean), level)
        before = schedule.back(noisy, clean, torch.randn_like(clean), k)
        a = schedule.kept[k - 1]
        assert abs(float(before.mean() - a.sqrt() * 0.7)) < 0.01
        assert abs(float(before.var() / (1 - a)) - 1) < 0.02


# -- the writers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("transfer", ["interpolate", "kernel", "conservative", "learned"])
def test_written_inputs_are_those_of_a_mesh_prepared_with_the_values(kind, transfer):
    if kind != "grid" and transfer != "interpolate":
        pytest.skip("transfers are those of grids")
    meshes = plates(3)
    inputs, outputs = ["f", "load"], ["u", "q", "total"]
    options = {"periodic": False, "shape": 9, "transfer": transfer} if kind == "grid" else {}
    if transfer == "learned":  # kernels that look at the fields on the mesh
        options = {**options, "transfer": "interpolate", "learned": 2}
    if kind == "slices":
        inner = ml.SliceTransformer(inputs, outputs, 8, 1, 2, 4)
    else:
        inner = MODELS[kind](inputs, outputs, **options)
    model = ml.PDERefiner(inner).fit(meshes, epochs=1, progress=False)
    samples = [model.prepare(mesh) for mesh in meshes[:2]]
    batch = model.normalizers_.normalise(model.collate(samples))
    rows = [mesh.n_points for mesh in meshes[:2]]
    torch.manual_seed(0)
    state = {
        "point": torch.randn(sum(rows), 2),
        "cell": torch.randn(sum(mesh.n_cells for mesh in meshes[:2]), 1),
        "global": torch.randn(2, 1),
    }
    written = model._written(batch, state, torch.tensor([0, 3])).feature_tensors()

    parts, at, cell = [], 0, 0
    for i, mesh in enumerate(meshes[:2]):
        u, q = state["point"][at : at + mesh.n_points], state["cell"][cell : cell + mesh.n_cells, 0]
        at, cell = at + mesh.n_points, cell + mesh.n_cells
        named = mesh.replace(
            point_data={**mesh.point_data, "u (estimate)": u},
            cell_data={**mesh.cell_data, "q (estimate)": {"triangle": q}},
            global_data={
                **mesh.global_data,
                "total (estimate)": state["global"][i, 0],
                "refinement step": torch.tensor([-1.0, 1.0][i]),
                "refinement level": torch.eye(4)[[0, 3][i]],
            },
        )
        parts.append(model.inner.prepare(named))
    expected = model.normalizers_.normalise(model.inner.collate(parts)).feature_tensors()
    assert set(written) == set(expected)
    for name, values in expected.items():
        assert torch.allclose(written[name], values.to(written[name]), atol=2e-5), name


def test_fits_by_least_squares_cannot_be_written_and_say_so():
    with pytest.raises(ml.ParameterError, match="l2"):
        ml.PDERefiner(grid(transfer="l2")).fit(waves(1), epochs=1, progress=False)


# -- the estimator -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_refiners_fit_predict_roll_out_and_come_back_from_files(kind, tmp_path):
    data = waves(2)
    model = ml.PDERefiner(MODELS[kind](), steps=2, samples=3).fit(data, epochs=2, progress=False)
    assert list(model.inputs) == ["u"]
    future = model.rollout(data[0][0], steps=3, seed=1)
    loaded = ml.load(model.save(tmp_path / "model"))
    assert torch.equal(loaded.rollout(data[0][0], steps=3, seed=1).point_data["u"], future.point_data["u"])
    assert not torch.equal(model.rollout(data[0][0], steps=3, seed=2).point_data["u"], future.point_data["u"])
    made = model.predict(data[0], return_std=True)
    assert made.point_data["u_std"].shape == made.point_data["u"].shape
    assert float(made.point_data["u_std"][1:].min()) >= 0
    assert float(made.point_data["u_std"][1:].max()) > 0
    assert loaded.get_params()["steps"] == 2
    assert type(loaded.model) is type(model.model)


@pytest.mark.parametrize("kind", MODELS)
def test_a_draw_is_the_same_alone_as_among_others(kind):
    data = waves(3)
    model = ml.PDERefiner(MODELS[kind](), steps=1).fit(data, epochs=1, progress=False)
    together = model.predict([trajectory[:2] for trajectory in data])
    for one, trajectory in zip(together, data, strict=True):
        alone = model.predict(trajectory[:2]).point_data["u"]
        assert torch.allclose(alone, one.point_data["u"], atol=1e-5)


def test_training_draws_every_step_and_repeats_bit_for_bit():
    data = waves(2)
    first, again = (ml.PDERefiner(grid(), steps=1).fit(data, epochs=2, progress=False, seed=4) for _ in range(2))
    for name, values in first.module_.state_dict().items():
        assert torch.equal(values, again.module_.state_dict()[name]), name
    batch = collate([first.prepare(data[0][0])] * 64)
    assert set(first.augment(batch).level.tolist()) == {0, 1}


def test_noise_on_grids_is_what_the_grid_can_hold():
    """On a mesh finer than the grid, noise at the points is interpolated from the nodes: carrying it there keeps it."""
    data = waves(1, resolution=64)
    model = ml.PDERefiner(grid(shape=16), steps=1).fit(data, epochs=1, progress=False)
    batch = model.augment(model.prepare(data[0][0]))
    noise = batch.noise["point"]
    adapter = model.inner.adapter
    back = adapter.to_mesh(data[0].mesh, adapter.to_grid(data[0].mesh, noise))
    assert torch.allclose(back, noise, atol=1e-5)
    assert torch.equal(noise[0], noise[-1])  # one point of the circle


def test_validation_is_the_error_of_a_draw_and_averaged_weights_are_kept():
    data = waves(3)
    model = ml.PDERefiner(grid(), steps=1).fit(data[:2], validation=data[2:], epochs=2, progress=False, ema=0.5)
    assert 0 < model.history_[-1]["val_loss"] < 100


def test_the_step_conditions_cores_that_take_a_time():
    class Timed(torch.nn.Module):
        takes_time = True

        def __init__(self, n_in, n_out, periodic):
            super().__init__()
            self.kernel, self.seen = torch.nn.Conv1d(n_in, n_out, 1), []

        def forward(self, x, time=None):
            self.seen.append(time)
            return self.kernel(x)

    model = ml.PDERefiner(grid(core=Timed, core_options=None), steps=2).fit(waves(1), epochs=1, progress=False)
    seen = model.module_.core.seen
    seen.clear()
    model.predict(waves(1)[0][0])
    assert [float(time) for time in seen] == [1.0, 0.0, -1.0]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ml.PDERefiner("unet"), "GridOperator"),
        (lambda: ml.PDERefiner(ml.PDERefiner(grid())), "not one that is around"),
        (lambda: ml.PDERefiner(grid(), steps=0), "steps=0"),
        (lambda: ml.PDERefiner(grid(), min_noise=2.0), "min_noise=2.0"),
        (lambda: ml.PDERefiner(grid(), samples=1), "samples=1"),
        (lambda: ml.PDERefiner(graph(noise=0.1)), "adds its own"),
        (lambda: ml.PDERefiner(ml.RidgeRegression(["u"], ["u"])), "RidgeRegression"),
        (lambda: ml.PDERefiner(ml.NeuralStagger(["u"], ["u"], streams=2)), "streams=2 of the model inside"),
    ],
)
def test_wrong_refiners_are_told_at_fit(make, told):
    with pytest.raises(ml.ParameterError, match=told):
        make().fit(waves(1), epochs=1, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "graph"])
def test_refiners_keep_the_contract_of_estimators(kind):
    def make(inputs, outputs):
        options = {"periodic": False, "shape": 8} if kind == "grid" else {}
        return ml.PDERefiner(MODELS[kind](inputs, outputs, **options), steps=1, samples=2)

    skip = ["save_and_load"]  # the model inside is no data: tested above
    skip += [] if kind == "grid" else ["permutation"]  # noise follows the order of the points, but not that of nodes
    passed = check_estimator(make, inputs=("f", "q", "a"), outputs=("u", "total"), skip=skip)
    assert len(passed) > 8


@pytest.mark.slow
def test_samples_spread_as_wide_as_what_cannot_be_known():
    """u is noise of the spread of g, which the network sees: the draws of a trained refiner are as wide."""
    torch.manual_seed(0)
    mesh, data = ml.shapes.interval(n=31), []
    for _ in range(150):
        g = 0.2 + 0.8 * (torch.rand(1) > 0.5).float()
        data.append(mesh.with_point_data(g=g.expand(32), u=g * torch.randn(32)))
    model = ml.PDERefiner(grid(["g"], ["u"], periodic=False, coordinates=False), steps=8, min_noise=0.03, samples=16)
    model.fit(data, epochs=40, learning_rate=5e-3, batch_points=32 * 64, progress=False)
    for g in (0.2, 1.0):
        std = model.predict(mesh.with_point_data(g=torch.full((32,), g)), return_std=True).point_data["u_std"]
        assert abs(float(std.mean()) / g - 1) < 0.35, (g, float(std.mean()))
