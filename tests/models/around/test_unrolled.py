import pytest
import torch

import meshlearn as ml
from meshlearn.grids import GridWarning
from meshlearn.models.around.windows import Windows
from meshlearn.train.field_network import FieldNetworkEstimator

pytestmark = pytest.mark.filterwarnings("ignore", category=GridWarning)


def waves(n, frames=6, resolution=32):
    return ml.sim.make_kuramoto_sivashinsky(n, resolution=resolution, length=16.0, frames=frames, start=20.0)


def driven(n, frames=6):
    """A state that a force, given at every frame and place, and a rate of the mesh drive; and its mean."""
    mesh, made = ml.shapes.interval(n=12), []
    generator = torch.Generator().manual_seed(1)
    for _ in range(n):
        force = torch.randn(frames, mesh.n_points, generator=generator)
        rate = torch.rand(1, generator=generator)
        u = [torch.randn(mesh.n_points, generator=generator)]
        for k in range(frames - 1):
            u.append(0.9 * u[-1] + 0.1 * rate * force[k])
        u = torch.stack(u)
        named = mesh.with_global_data(rate=rate[0])
        made.append(
            ml.Trajectory(named, list(range(frames)), {"u": u, "force": force}, global_data={"mean": u.mean(1)})
        )
    return made


def grid(inputs=("u",), outputs=("u",), **options):
    core = {"core": "unet", "core_options": {"hidden": 8, "multipliers": [1, 2], "blocks": 1}, "shape": 32}
    return ml.GridOperator(list(inputs), list(outputs), **{**core, "periodic": True, **options})


def graph(inputs=("u",), outputs=("u",)):
    return ml.MeshGraphNet(list(inputs), list(outputs), hidden=8, steps=2, levels=2)


MODELS = {"grid": grid, "graph": graph, "slices": lambda i=("u",), o=("u",): ml.SliceTransformer(i, o, 8, 1, 2, 4)}


def test_windows_know_the_frames_ahead():
    trajectory = driven(1)[0]
    (window,) = Windows([trajectory], ["u", "force", "rate", "mean"], 3)
    assert len(window) == 4
    u = trajectory.point_data["u"]
    for k in (1, 2):
        assert torch.equal(window.point_data[f"u (+{k})"][:3], u[k : k + 3])
    assert torch.equal(window.point_data["u (+3)"][:3], u[3:6])
    assert "rate (+1)" not in window.global_data


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("through", [True, False])
def test_the_loss_is_that_of_a_rollout_of_the_network(kind, through):
    """The steps in training are those of `rollout`: the loss computed from predicted fields is the same."""
    data = driven(3)
    inputs, outputs = ["u", "force", "rate"], ["u", "mean"]
    options = {"periodic": False, "shape": 13} if kind == "grid" else {}
    inner = MODELS[kind](inputs, outputs, **options)
    inner.loss = "mse"
    model = ml.Unrolled(inner, steps=3, through=through).fit(data, epochs=2, progress=False)
    window = Windows(data, [*inputs, *outputs], 3)[0]
    sample = model.make_sample(window[0], window[1])
    batch = model.normalizers_.normalise(sample)
    with torch.no_grad():
        loss = float(model.sample_losses(model.network(model.module_, batch), batch))

    truth, rolled = data[0], model.rollout(data[0], steps=3)
    total = 0.0
    for k in range(3):
        for name in outputs:
            place = "global_data" if name == "mean" else "point_data"
            error = getattr(rolled, place)[name][k + 1] - getattr(truth, place)[name][k + 1]
            location = place.removesuffix("_data")
            scale = model.normalizers_.targets[location].scale[0]
            weights = sample.weights[location]
            total += float((weights * (error / scale).square().reshape(-1)).sum())
    assert loss == pytest.approx(total / 2 / 3, rel=1e-3)


def test_gradients_flow_through_the_steps_or_are_cut():
    data = waves(1)
    for through in (True, False):
        model = ml.Unrolled(grid(), steps=2, through=through).fit(data, epochs=1, progress=False)
        window = Windows(data, ["u"], 2)[0]
        batch = model.normalizers_.normalise(model.make_sample(window[0], window[1]))
        first = {location: torch.zeros(33, 1, requires_grad=True) for location in ("point",)}
        state = model._next(batch.present, first)
        assert state["point"].requires_grad is through


def test_one_step_at_a_time_is_the_model_inside():
    data = waves(2)
    plain = grid().fit(data, epochs=2, progress=False)
    unrolled = ml.Unrolled(grid(), steps=1).fit(data, epochs=2, progress=False)
    for name, values in plain.module_.state_dict().items():
        assert torch.equal(values, unrolled.module_.state_dict()[name]), name
    assert torch.equal(plain.predict(data[0][0]).point_data["u"], unrolled.predict(data[0][0]).point_data["u"])


@pytest.mark.parametrize("kind", MODELS)
def test_unrolled_models_come_back_from_files(kind, tmp_path):
    data = waves(3)
    model = ml.Unrolled(MODELS[kind](), steps=2).fit(data[:2], validation=data[2:], epochs=1, progress=False)
    assert model.history_[-1]["val_loss"] > 0
    loaded = ml.load(model.save(tmp_path / "model"))
    assert torch.equal(loaded.rollout(data[0][0], 2).point_data["u"], model.rollout(data[0][0], 2).point_data["u"])
    assert loaded.score(data) == model.score(data)


class Factor(FieldNetworkEstimator):
    """The change is a number times the state, whatever the state: too simple for two rates of decay."""

    loss = "mse"

    def __init__(self, inputs, outputs):
        self.inputs = inputs
        self.outputs = outputs

    def build(self, fields):
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(2, 1)

            def forward(self, batch):
                return {"point": self.linear(batch.point_inputs)}

        return Net()


def test_what_is_trained_on_several_steps_is_better_over_several_steps():
    """A network that cannot be right is best over the number of steps it was trained on: here, by least squares."""
    mesh, data = ml.shapes.interval(n=3), []
    for rate, size in ((0.2, 2.0), (1.0, 1.0)):
        u = torch.tensor([size * rate**k for k in range(5)])
        data.append(ml.Trajectory(mesh, list(range(5)), {"u": u[:, None].expand(5, 4)}))
    options = {"epochs": 100, "learning_rate": 0.1, "weight_decay": 0.0, "progress": False}
    errors = []
    for model in (Factor(["u"], ["u"]), ml.Unrolled(Factor(["u"], ["u"]), steps=4)):
        model.fit(data, **options)
        made = torch.stack([model.rollout(t[0], steps=4).point_data["u"] for t in data])
        errors.append(float((made - torch.stack([t.point_data["u"] for t in data])).square().mean()))
    assert errors[1] < 0.9 * errors[0], errors


class Absolute(ml.NetworkEstimator):
    """A network that learns the next value itself."""

    def __init__(self, inputs, outputs):
        self.inputs = inputs
        self.outputs = outputs

    def build(self, fields):
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(2, 1)

            def forward(self, batch):
                return {"point": self.linear(batch.point_inputs)}

        return Net()


@pytest.mark.parametrize(
    ("make", "data", "told"),
    [
        (lambda: ml.Unrolled(grid(), steps=0), waves(1), "steps=0"),
        (lambda: ml.Unrolled(grid(), through=1), waves(1), "through=1"),
        (lambda: ml.Unrolled(grid(["u"], ["v"])), waves(1), "no output is an input"),
        (lambda: ml.Unrolled(grid(), steps=7), waves(1), "7 frames"),
        (lambda: ml.Unrolled(Absolute(["u"], ["u"])), waves(1), "does not learn the change"),
        (lambda: ml.Unrolled(None), waves(1), "GridOperator"),
    ],
)
def test_wrong_requests_of_several_steps_are_told(make, data, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        make().fit(data, epochs=1, progress=False)


def test_moving_points_are_refused():
    trajectory = waves(1)[0]
    moving = trajectory.replace(moving_points=trajectory.mesh.points.expand(7, -1, -1))
    with pytest.raises(ml.ParameterError, match="points of trajectory 0 move"):
        ml.Unrolled(grid()).fit(moving, epochs=1, progress=False)
