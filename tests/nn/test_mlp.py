"""The MLP: the block-wise kernel equals plain operations, values and gradients, in every mode."""

import copy
import itertools
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn import ops
from meshlearn.nn import fused
from meshlearn.nn.mlp import MLP, Picked


@pytest.fixture(params=["stored", "recomputed", "many blocks"])
def mode(request, monkeypatch):
    """The ways the kernel works: values kept, computed again, and cut into blocks of 256 rows."""
    if request.param == "recomputed":
        monkeypatch.setattr(MLP, "recompute", property(lambda self: True, lambda self, value: None), raising=False)
    if request.param == "many blocks":
        monkeypatch.setattr(fused, "BLOCK_ELEMENTS", {"cpu": 1, "cuda": 1})
    return request.param


def graph(n_rows=40, n_cols=30, n_edges=700):
    return ops.Adjacency.from_edges(
        torch.randint(0, n_cols, (n_edges,)), torch.randint(0, n_rows - 3, (n_edges,)), n_rows, n_cols
    )


def edge_case(adjacency, width=6, dtype=torch.float64):
    e = torch.randn(adjacency.n_edges, width, dtype=dtype, requires_grad=True)
    receivers = torch.randn(adjacency.n_rows, 5, dtype=dtype, requires_grad=True)
    senders = torch.randn(adjacency.n_cols, 4, dtype=dtype, requires_grad=True)
    return e, receivers, senders


def values_and_gradients(mlp, leaves, inputs, **options):
    out, sums = mlp.evaluate(inputs, **options)
    loss = sum(
        (x * torch.linspace(0.1, 0.3, x.shape[1], dtype=x.dtype)).sin().sum() for x in (out, sums) if x is not None
    )
    return [x for x in (out, sums) if x is not None] + list(torch.autograd.grad(loss, [*leaves, *mlp.parameters()]))


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("norm", [True, False])
def test_blocks_equal_plain_operations(mode, activation, layers, norm):
    adjacency = graph()
    e, x, y = edge_case(adjacency)
    mlp = MLP([6, 5, 4], 6, width=7, layers=layers, activation=activation, norm=norm).double()
    plain = copy.deepcopy(mlp)
    plain.fused = False
    inputs = e, Picked(x, adjacency, "receivers"), Picked(y, adjacency, "senders")
    for options in (
        {"residual": True, "sum_over": adjacency},
        {"sum_over": adjacency, "keep": False},
        {"residual": True},
    ):
        got = values_and_gradients(mlp, (e, x, y), inputs, **options)
        expected = values_and_gradients(plain, (e, x, y), inputs, **options)
        assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_picked_inputs_equal_the_concatenation_they_stand_for():
    adjacency = graph()
    e, x, y = edge_case(adjacency)
    mlp = MLP([6, 5, 4], 3).double()
    sequential = torch.nn.Sequential(mlp.linears[0], torch.nn.SiLU(), mlp.linears[1], mlp.norm)
    joined = torch.cat([e, x[adjacency.receivers], y[adjacency.index]], dim=1)
    got = mlp(e, Picked(x, adjacency, "receivers"), Picked(y, adjacency, "senders"))
    assert_close(got, sequential(joined), rtol=1e-10, atol=1e-10)


def test_gradcheck(mode):
    adjacency = graph(6, 5, 9)
    e, x, y = edge_case(adjacency)
    mlp = MLP([6, 5, 4], 6, width=3, layers=2).double()
    parameters = list(mlp.parameters())

    def function(e, x, y, *_):
        return mlp.evaluate(
            (e, Picked(x, adjacency, "receivers"), Picked(y, adjacency, "senders")), residual=True, sum_over=adjacency
        )

    assert torch.autograd.gradcheck(function, (e, x, y, *parameters), fast_mode=True)


@pytest.mark.parametrize("side", ["receivers", "senders"])
def test_block_sums_add_up_to_the_sum_over_all_edges(side):
    """The sums that replace edge-by-edge addition on a GPU, checked where there is none."""
    adjacency = graph()
    values = torch.randn(adjacency.n_edges, 3, dtype=torch.float64)
    rows, index = (
        (adjacency.n_rows, adjacency.receivers) if side == "receivers" else (adjacency.n_cols, adjacency.index)
    )
    expected = torch.zeros(rows, 3, dtype=torch.float64).index_add(0, index, values)
    cuts = [0, 1, 250, adjacency.n_edges]
    parts = [fused.block_sum(values[a:b], adjacency, side, a, b) for a, b in itertools.pairwise(cuts)]
    assert_close(sum(parts), expected)
    assert_close(fused.block_sum(values, adjacency, side, 0, adjacency.n_edges), expected)


def test_several_dense_inputs_and_no_gradient_needed_for_features():
    mlp = MLP([2, 3], 4)
    features = torch.randn(10, 2)
    latent = torch.randn(10, 3, requires_grad=True)
    mlp(features, latent).sum().backward()
    assert features.grad is None
    assert latent.grad is not None
    assert bool(torch.isfinite(latent.grad).all())


@pytest.mark.parametrize("n", [0, 1])
def test_no_rows_and_one_row(mode, n):
    mlp = MLP(3, 2)
    x = torch.randn(n, 3, requires_grad=True)
    y = mlp(x)
    assert y.shape == (n, 2)
    y.sum().backward()
    assert x.grad.shape == (n, 3)


def test_no_gradient_means_nothing_is_kept():
    mlp = MLP(3, 2)
    with torch.no_grad():
        assert mlp(torch.randn(5, 3)).grad_fn is None


def test_bfloat16_autocast_is_near_float32(mode):
    adjacency = graph()
    e, x, y = edge_case(adjacency, width=16, dtype=torch.float32)
    mlp = MLP([16, 5, 4], 16)
    inputs = e, Picked(x, adjacency, "receivers"), Picked(y, adjacency, "senders")
    expected = values_and_gradients(mlp, (e, x, y), inputs, residual=True, sum_over=adjacency)
    with torch.autocast("cpu", torch.bfloat16):
        got = values_and_gradients(mlp, (e, x, y), inputs, residual=True, sum_over=adjacency)
    assert [g.dtype for g in got] == [x.dtype for x in expected]
    for g, x in zip(got, expected, strict=True):
        assert (g - x).norm() < 0.05 * (x.norm() + 1)


def test_a_second_derivative_needs_plain_operations():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    fast, plain = MLP(3, 2).double(), MLP(3, 2, fused=False).double()
    (gradient,) = torch.autograd.grad(plain(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    (gradient,) = torch.autograd.grad(fast(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


COMPILED = """
import torch
from meshlearn import ops
from meshlearn.nn.interaction import Interaction

torch.manual_seed(0)
graph = ops.Adjacency.from_edges(torch.randint(0, 30, (200,)), torch.randint(0, 30, (200,)), 30)
graph.receivers, graph.transpose()
layer = Interaction(6)
x, e = torch.randn(30, 6, requires_grad=True), torch.randn(200, 6, requires_grad=True)

def run(x, e):
    return layer(x, e, graph)

def results(function):
    new_x, new_e = function(x, e)
    leaves = [x, e, *layer.parameters()]
    return [new_x, new_e, *torch.autograd.grad(new_x.sin().sum() + new_e.cos().sum(), leaves)]

compiled = torch.compile(run, backend="aot_eager")
torch.testing.assert_close(results(compiled), results(run), rtol=1e-4, atol=1e-4)
"""


def test_compiled_equals_eager():
    """As a user runs it, without the shape checks of tests, which the compiler does not know."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("arguments", [{"in_features": 0}, {"layers": -1}, {"activation": "tanh"}, {"in_features": ()}])
def test_impossible_arguments(arguments):
    with pytest.raises(ml.ParameterError):
        MLP(**{"in_features": 2, "out_features": 2, **arguments})


def test_wrong_number_of_inputs():
    with pytest.raises(ml.ParameterError, match="takes 2 inputs"):
        MLP([2, 2], 2)(torch.zeros(1, 2))


@pytest.mark.gpu
def test_cuda_equals_cpu(mode):
    adjacency = graph()
    e, x, y = edge_case(adjacency)
    mlp = MLP([6, 5, 4], 6).double()
    options = {"residual": True}
    inputs = e, Picked(x, adjacency, "receivers"), Picked(y, adjacency, "senders")
    expected = values_and_gradients(mlp, (e, x, y), inputs, sum_over=adjacency, **options)
    there = adjacency.to("cuda")
    e, x, y = (t.detach().cuda().requires_grad_() for t in (e, x, y))
    mlp.cuda()
    inputs = e, Picked(x, there, "receivers"), Picked(y, there, "senders")
    loss_weights = values_and_gradients_on(mlp, (e, x, y), inputs, there, options)
    for got, want in zip(loss_weights, expected, strict=True):
        assert_close(got.cpu(), want, rtol=1e-9, atol=1e-9)


def values_and_gradients_on(mlp, leaves, inputs, adjacency, options):
    out, sums = mlp.evaluate(inputs, sum_over=adjacency, **options)
    loss = sum((x * torch.linspace(0.1, 0.3, x.shape[1]).to(x)).sin().sum() for x in (out, sums))
    return [out, sums, *torch.autograd.grad(loss, [*leaves, *mlp.parameters()])]
