"""Segment reductions: equal to a loop over rows, right gradients of first and second order, all shapes and dtypes."""

from itertools import pairwise

import pytest
import torch

import meshlearn as ml
from meshlearn import ops
from meshlearn.ops import blocks

REDUCTIONS = {
    "segment_sum": lambda rows: rows.sum(0),
    "segment_mean": lambda rows: rows.mean(0),
    "segment_max": lambda rows: rows.amax(0),
    "segment_min": lambda rows: rows.amin(0),
}
PTR = torch.tensor([0, 3, 3, 4, 9, 9])


@pytest.mark.parametrize("features", [(), (1,), (5,), (2, 3)])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_equals_a_loop_over_rows(name, features):
    x = torch.randn(9, *features, dtype=torch.float64)
    loop = torch.stack(
        [REDUCTIONS[name](x[a:b]) if b > a else x.new_zeros(features) for a, b in pairwise(PTR.tolist())]
    )
    torch.testing.assert_close(getattr(ops, name)(x, PTR), loop)


@pytest.mark.parametrize("as_adjacency", [False, True])
@pytest.mark.parametrize("features", [(), (2,), (2, 2)])
@pytest.mark.parametrize("name", [*REDUCTIONS, "segment_softmax"])
def test_first_and_second_derivatives(name, features, as_adjacency):
    x = torch.randn(9, *features, dtype=torch.float64, requires_grad=True)
    rows = ops.Adjacency(PTR, torch.zeros(9, dtype=torch.int64)) if as_adjacency else PTR

    def reduce(values):
        return getattr(ops, name)(values, rows)

    assert torch.autograd.gradcheck(reduce, (x,))
    assert torch.autograd.gradgradcheck(reduce, (x,))


def test_third_derivative_of_softmax():
    x = torch.randn(9, dtype=torch.float64, requires_grad=True)

    def slope(values):
        (gradient,) = torch.autograd.grad(ops.segment_softmax(values, PTR).square().sum(), values, create_graph=True)
        return gradient

    assert torch.autograd.gradgradcheck(slope, (x,))


@pytest.mark.parametrize("name", ["segment_max", "segment_min"])
def test_equal_extremes_share_the_gradient(name):
    x = torch.tensor([2.0, 2.0, 2.0, 5.0], requires_grad=True)
    getattr(ops, name)(x, torch.tensor([0, 3, 4])).backward(torch.tensor([3.0, 7.0]))
    assert x.grad.tolist() == [1.0, 1.0, 1.0, 7.0]


@pytest.mark.parametrize("name", ["segment_max", "segment_min"])
def test_second_derivative_follows_the_shares_of_equal_extremes(name):
    x = torch.tensor([2.0, 2.0, 5.0], requires_grad=True)
    g = torch.tensor([3.0, 7.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(getattr(ops, name)(x, torch.tensor([0, 2, 3])), x, g, create_graph=True)
    (back,) = torch.autograd.grad(gradient, g, torch.tensor([1.0, 3.0, 10.0]))
    assert back.tolist() == [2.0, 10.0]


def test_gradients_do_not_depend_on_the_order_of_the_edges():
    x = torch.randint(0, 3, (9, 4)).double().requires_grad_()
    order = torch.cat([torch.randperm(3), torch.tensor([3]), 4 + torch.randperm(5)])
    g = torch.randn(5, 4, dtype=torch.float64)
    (straight,) = torch.autograd.grad(ops.segment_max(x, PTR), x, g)
    (turned,) = torch.autograd.grad(ops.segment_max(x[order], PTR), x, g)
    torch.testing.assert_close(straight, turned)


def test_not_a_number_stays_in_its_row():
    x = torch.tensor([1.0, float("nan"), 4.0, 2.0])
    ptr = torch.tensor([0, 2, 4])
    for name in REDUCTIONS:
        result = getattr(ops, name)(x, ptr)
        assert result.isnan().tolist() == [True, False], name
        torch.testing.assert_close(getattr(ops, name)(x, ptr, backend="baseline"), result, equal_nan=True)


@pytest.mark.parametrize("backend", ["paired", "baseline"])
def test_infinite_extremes_are_values_like_any_other(backend):
    inf = float("inf")
    x = torch.tensor([-inf, -inf, 1.0, inf], requires_grad=True)
    top = ops.segment_max(x, torch.tensor([0, 2, 4]), backend=backend)
    assert top.tolist() == [-inf, inf]
    top.backward(torch.ones(2))
    assert x.grad.tolist() == [0.5, 0.5, 0.0, 1.0]


def test_softmax_sums_to_one_and_survives_large_values():
    x = torch.tensor([1e4, 1e4 + 1.0, -1e4, 0.0, 3.0, 3.0, 3.0, -2.0, 1e4], dtype=torch.float64)
    weights = ops.segment_softmax(x, PTR)
    torch.testing.assert_close(ops.segment_sum(weights, PTR), torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64))
    torch.testing.assert_close(weights[:3], torch.softmax(x[:3], 0))


def test_blocks_do_not_show(monkeypatch):
    """An array of many blocks, with rows longer than a block, gives what the baseline gives."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1 << 18)
    lengths = torch.cat([torch.randint(0, 9, (20_000,)), torch.tensor([30_000]), torch.randint(0, 9, (5_000,))])
    ptr = ops.counts_to_ptr(lengths)
    x = torch.randn(int(ptr[-1]), 16).mul_(4).round_().requires_grad_()
    for name in ("segment_max", "segment_softmax"):
        fast, slow = (getattr(ops, name)(x, ptr, backend=b) for b in (None, "baseline"))
        torch.testing.assert_close(fast, slow)
        weights = torch.randn_like(fast)
        pair = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (fast, slow))
        torch.testing.assert_close(*pair)


def test_large_outputs_in_huge_pages_hold_the_right_values():
    """Over 32 MB the spread of the backward asks for huge pages."""
    ptr = torch.arange(0, 300_001, 3)
    x = torch.zeros(300_000, 32, requires_grad=True)
    g = torch.randn(100_000, 32)
    ops.segment_sum(x, ptr).backward(g)
    assert torch.equal(x.grad, g.repeat_interleave(3, 0))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.complex64])
def test_sums_of_other_numbers(dtype):
    x = torch.arange(9).to(dtype)
    assert ops.segment_sum(x, PTR).tolist() == [3, 0, 3, 30, 0]


def test_half_precision_sums_accumulate_in_single():
    x = torch.full((4000,), 0.1, dtype=torch.float16)
    total = ops.segment_sum(x, torch.tensor([0, 4000]))
    assert total.dtype == torch.float16
    assert abs(total.item() - 400) < 0.5, "a running float16 sum would stop near 256"


def test_an_adjacency_of_another_size_is_refused():
    graph = ops.Adjacency(PTR, torch.zeros(9, dtype=torch.int64))
    with pytest.raises(ml.MeshError, match="gather_senders"):
        ops.segment_sum(torch.ones(5, 2), graph)


def test_non_contiguous_messages():
    x = torch.randn(4, 9, dtype=torch.float64).T
    for name in [*REDUCTIONS, "segment_softmax"]:
        torch.testing.assert_close(getattr(ops, name)(x, PTR), getattr(ops, name)(x.contiguous(), PTR))


def test_functional_gradient():
    x = torch.randn(9, 2, dtype=torch.float64)
    weight = torch.randn(5, 2, dtype=torch.float64)
    gradient = torch.func.grad(lambda v: (ops.segment_sum(v, PTR) * weight).sum())(x)
    torch.testing.assert_close(gradient, weight.repeat_interleave(PTR.diff(), 0))


@pytest.mark.parametrize("name", [*REDUCTIONS, "segment_softmax"])
@pytest.mark.parametrize("ptr", [[0, 5, 100], [0, 5, 8], [0]])
def test_offsets_that_do_not_cover_the_messages_are_refused(name, ptr):
    with pytest.raises(ml.MeshError, match="the last offset is their number"):
        getattr(ops, name)(torch.randn(10, 64), torch.tensor(ptr))


@pytest.mark.parametrize(("ptr", "message"), [([2, 5, 10], "starts at 2"), ([0, 70, 5, 10], "falls from 70 to 5")])
@pytest.mark.parametrize("reduce", ["segment_sum", "segment_mean", "segment_max", "segment_min", "segment_softmax"])
def test_offsets_never_lead_outside_the_messages(reduce, ptr, message):
    with pytest.raises(ml.MeshError, match=message):
        getattr(ops, reduce)(torch.randn(10, 64), torch.tensor(ptr))


@pytest.mark.parametrize("lengths", [[5000], [0, 3000, 0, 256, 257, 1, 0], [512, 512], [255], [0], []])
def test_sums_of_long_rows_by_pieces(lengths):
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    x = torch.randn(int(ptr[-1]), 2, dtype=torch.float64, requires_grad=True)
    found, expected = (ops.segment_sum(x, ptr, backend=name) for name in ("two_stage", "baseline"))
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.sin().sum(), x, create_graph=True)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)
    if len(x):
        torch.testing.assert_close(*[torch.autograd.grad(g.square().sum(), x)[0] for g in gradients])


@pytest.mark.gpu
def test_means_over_whole_meshes_on_cuda():
    ptr = torch.tensor([0, 20000, 50000])
    x = torch.randn(50000, 8)
    torch.testing.assert_close(
        ops.segment_mean(x.cuda(), ptr.cuda()).cpu(), ops.segment_mean(x, ptr), atol=1e-5, rtol=1e-4
    )
