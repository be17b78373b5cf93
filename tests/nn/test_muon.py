"""Muon: orthogonal updates, AdamW for the rest, and a state that can be saved."""

import copy

import pytest
import torch
from torch.testing import assert_close

from meshlearn.nn.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 24), (2, 24, 8)])
def test_singular_values_come_near_one(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, dtype=torch.float64), iterations=8))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3


def test_an_orthogonal_matrix_keeps_its_directions():
    q, _ = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))
    result = orthogonal(q[None])[0]
    scale = float((result * q).sum() / 12)
    assert_close(result, scale * q, rtol=1e-6, atol=1e-8)


def test_matrices_of_one_shape_are_updated_as_if_alone():
    torch.manual_seed(0)
    together = [torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    alone = [copy.deepcopy(p) for p in together]
    joint = Muon([{"params": together, "muon": True}], lr=0.1)
    single = [Muon([{"params": [p], "muon": True}], lr=0.1) for p in alone]
    for _ in range(3):
        for p, q, optimizer in zip(together, alone, single, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
            optimizer.step()
        joint.step()
    assert_close(together, alone)


def test_other_parameters_follow_adamw():
    p = torch.randn(5, requires_grad=True)
    q = p.detach().clone().requires_grad_()
    mine = Muon([p], lr=0.01, weight_decay=0.1)
    theirs = torch.optim.AdamW([q], lr=0.01, weight_decay=0.1)
    for _ in range(4):
        p.grad = torch.randn(5)
        q.grad = p.grad.clone()
        mine.step()
        theirs.step()
    assert_close(p, q)


def test_it_continues_from_a_saved_state():
    def groups(p, v):
        return [{"params": [p], "muon": True}, {"params": [v]}]

    torch.manual_seed(0)
    p, v = torch.randn(6, 6, requires_grad=True), torch.randn(6, requires_grad=True)
    optimizer = Muon(groups(p, v), lr=0.1)

    def advance(optimizer, p, v, seed):
        generator = torch.Generator().manual_seed(seed)
        p.grad, v.grad = torch.randn(6, 6, generator=generator), torch.randn(6, generator=generator)
        optimizer.step()

    advance(optimizer, p, v, 1)
    p2, v2 = p.detach().clone().requires_grad_(), v.detach().clone().requires_grad_()
    again = Muon(groups(p2, v2), lr=0.1)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    advance(optimizer, p, v, 2)
    advance(again, p2, v2, 2)
    assert torch.equal(p, p2)
    assert torch.equal(v, v2)
