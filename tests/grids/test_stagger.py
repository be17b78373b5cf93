import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import meshlearn as ml
from meshlearn.grids import GridWarning
from meshlearn.grids.cores.staggered import StaggeredCore, put_together, take_apart

pytestmark = pytest.mark.filterwarnings("ignore", category=GridWarning)
SMALL = {"core": "unet", "core_options": {"hidden": 8, "multipliers": [1, 2], "blocks": 1}, "shape": 32}


def waves(n, frames=8):
    return ml.sim.make_kuramoto_sivashinsky(n, resolution=32, length=16.0, frames=frames, start=20.0)


def stagger(**options):
    return ml.NeuralStagger(["u"], ["u"], **{**SMALL, "periodic": True, **options})


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3).flatmap(lambda dim: st.lists(st.integers(1, 4), min_size=dim, max_size=dim)),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_grids_are_taken_apart_and_put_together_exactly(coarse, factor, channels):
    x = torch.randn(2, channels, *(n * factor for n in coarse))
    parts = take_apart(x, factor)
    assert parts.shape == (factor ** len(coarse), 2, channels, *coarse)
    assert torch.equal(put_together(parts, factor), x)
    last = parts[-1]
    assert torch.equal(last, x[(slice(None), slice(None), *[slice(factor - 1, None, factor)] * len(coarse))])


def test_in_two_dimensions_it_is_the_pixel_unshuffle():
    x = torch.randn(2, 3, 6, 4)
    mine = take_apart(x, 2).permute(1, 2, 0, 3, 4).reshape(2, 12, 3, 2)
    assert torch.equal(mine, torch.nn.functional.pixel_unshuffle(x, 2))


def test_every_sub_grid_has_its_own_network_or_all_the_same():
    class Times(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor * x

    x = torch.ones(1, 1, 5, 4)
    own = StaggeredCore([Times(k) for k in range(4)], 2, (False, True))(x)
    assert own.shape == x.shape
    assert own[0, 0, :2, :2].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert torch.equal(StaggeredCore([Times(3.0)], 2, (False, True))(x), 3 * x)
    with pytest.raises(ml.ParameterError, match="periodic axis 1"):
        StaggeredCore([Times(1.0)], 2, (False, True))(torch.ones(1, 1, 4, 5))


def test_times_reach_the_cores():
    class Timed(torch.nn.Module):
        takes_time = True

        def forward(self, x, time=None):
            return x * time[:, None, None]

    x, time = torch.ones(2, 1, 4), torch.tensor([1.0, 5.0])
    for cores in ([Timed()], [Timed(), Timed()]):
        made = StaggeredCore(cores, 2, (True,))(x, time)
        assert torch.equal(made, x * time[:, None, None])


def test_arguments_are_those_of_the_operator_and_three_more():
    mine, operators = (inspect.signature(cls.__init__).parameters for cls in (ml.NeuralStagger, ml.GridOperator))
    assert set(mine) - set(operators) == {"space", "streams", "shared"}
    for name, parameter in operators.items():
        assert name in ("self", "core") or mine[name].default == parameter.default, name


def test_one_network_and_one_stream_is_the_operator():
    data = waves(2)
    plain = ml.GridOperator(["u"], ["u"], **SMALL, periodic=True).fit(data, epochs=2, progress=False)
    model = stagger(space=1).fit(data, epochs=2, progress=False)
    made, expected = (m.rollout(data[0][0], 3).point_data["u"] for m in (model, plain))
    assert torch.equal(made, expected)


def test_streams_are_rollouts_of_their_own_put_together(tmp_path):
    data = waves(2, frames=9)
    model = stagger(streams=3, shared=True).fit(data, epochs=2, progress=False)
    assert model.time_step_ == 3.0
    rolled = model.rollout(data[0], steps=7)
    assert rolled.times.tolist() == [float(k) for k in range(8)]
    for first in range(3):
        single = data[0][first]
        state = single
        for k in range(first + 3, 8, 3):
            state = model.predict(state)
            assert torch.allclose(rolled.point_data["u"][k], state.point_data["u"], atol=1e-6)
        assert torch.equal(rolled.point_data["u"][first], single.point_data["u"])
    loaded = ml.load(model.save(tmp_path / "model"))
    assert torch.equal(loaded.rollout(data[0], steps=7).point_data["u"], rolled.point_data["u"])
    assert loaded.score([t[::3] for t in data]) == model.score([t[::3] for t in data])
    with pytest.raises(ml.ParameterError, match="3 streams start from 3 frames"):
        model.rollout(data[0][0], steps=4)
    with pytest.raises(ml.ParameterError, match="steps=2"):
        model.rollout(data[0], steps=2)


def test_staggered_models_have_a_network_per_sub_grid_and_learn():
    data = waves(3, frames=20)
    model = stagger().fit(data, epochs=150, max_steps=80, learning_rate=5e-3, progress=False)
    assert len(model.module_.core.cores) == 2
    assert model.history_[-1]["train_loss"] < 0.7 * model.history_[0]["train_loss"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"space": 0}, "space=0"),
        ({"streams": 1.5}, "streams=1.5"),
        ({"shared": "no"}, "shared='no'"),
        ({"core": "deeponet", "core_options": None}, "no grid to take apart"),
        ({"streams": 5}, "9 frames"),
        ({"space": 64}, "space=64: a grid of shape=32"),
        ({"space": 3}, "space=3: along the periodic axis 0 the grid needs a multiple of 3 nodes"),
    ],
)
def test_wrong_ways_of_taking_apart_are_told(options, told):
    with pytest.raises(ml.ParameterError, match=told):
        stagger(**options).fit(waves(1), epochs=1, progress=False)


@pytest.mark.parametrize(("step", "told"), [(-1.0, "time_step=-1.0"), (0.5, "are 1 apart")])
def test_a_wrong_time_step_is_told_as_it_was_given(step, told):
    data = waves(1)
    model = stagger(streams=2).fit(data, epochs=1, progress=False)
    with pytest.raises(ml.ParameterError, match=told):
        model.rollout(data[0][:2], steps=4, time_step=step)


def test_single_meshes_have_no_streams():
    with pytest.raises(ml.ParameterError, match="single mesh"):
        stagger(streams=2).fit([waves(1)[0][0]], epochs=1, progress=False)
