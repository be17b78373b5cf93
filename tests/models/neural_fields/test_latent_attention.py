"""Nearest-latent attention: what it leaves out is never looked at, and the field stays continuous."""

import pytest
import torch
from torch.testing import assert_close

from meshlearn.models.neural_fields.attention import CrossAttention
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.latents import Latents
from meshlearn.models.neural_fields.network import AttentionField


def line_of_latents(n=8):
    generator = torch.Generator().manual_seed(0)
    position = torch.linspace(-1, 1, n, dtype=torch.float64)[None, :, None].expand(1, n, 2) * torch.tensor([1.0, 0.0])
    context = torch.randn(1, n, 3, generator=generator, dtype=torch.float64)
    return Latents(position, context, torch.full((1, n), -1.0, dtype=torch.float64))


def field_with(nearest):
    torch.manual_seed(5)
    return AttentionField(Group("Rn", 2), 3, 1, 16, 2, (0.5, 1.0), nearest).double()


def test_far_latents_are_not_looked_at():
    latents, field = line_of_latents(), field_with(2)
    points = torch.tensor([[[-0.9, 0.1], [-0.8, 0.0]]], dtype=torch.float64)
    spoiled = latents.context.clone()
    spoiled[0, 4:] = torch.nan
    changed = latents.replace(context=spoiled)
    assert torch.equal(field(points, None, changed), field(points, None, latents))
    assert field_with(None)(points, None, changed).isnan().all()


@pytest.mark.parametrize("nearest", [8, 20])
def test_as_many_neighbours_as_latents_is_all(nearest):
    latents, points = line_of_latents(), torch.randn(1, 30, 2, dtype=torch.float64)
    assert_close(field_with(nearest)(points, None, latents), field_with(None)(points, None, latents))


@pytest.mark.parametrize("nearest", [2, 3])
def test_the_field_is_continuous_where_neighbours_change(nearest):
    """Along a line that passes many changes, steps of the field shrink with the steps of the points."""
    latents, field = line_of_latents(), field_with(nearest)
    largest = []
    for n in (2001, 20001):
        x = torch.linspace(-1, 1, n, dtype=torch.float64)
        points = torch.stack([x, torch.full_like(x, 0.2)], 1)[None]
        with torch.no_grad():
            largest.append(float(field(points, None, latents)[0, :, 0].diff().abs().max()))
    assert largest[1] < 0.15 * largest[0]


def test_without_the_taper_it_would_jump():
    """The control: constant weights in the place of the taper."""
    latents, field = line_of_latents(), field_with(2)
    plain = field.cross.pairs
    field.cross.pairs = lambda *arguments: plain(*arguments)._replace(share=None)
    largest = []
    for n in (2001, 20001):
        x = torch.linspace(-1, 1, n, dtype=torch.float64)
        points = torch.stack([x, torch.full_like(x, 0.2)], 1)[None]
        with torch.no_grad():
            largest.append(float(field(points, None, latents)[0, :, 0].diff().abs().max()))
    assert largest[1] > 0.5 * largest[0]


def test_the_order_of_latents_does_not_matter():
    latents, points = line_of_latents(), torch.randn(1, 30, 2, dtype=torch.float64)
    order = torch.randperm(8)
    shuffled = Latents(latents.position[:, order], latents.context[:, order], latents.window[:, order])
    for nearest in (None, 3):
        field = field_with(nearest)
        assert_close(field(points, None, shuffled), field(points, None, latents))


@pytest.mark.parametrize("nearest", [None, 2])
def test_gradients_of_any_order(nearest):
    torch.manual_seed(0)
    layer = CrossAttention(Group("En", 2), 4, 1, (0.5, 1.0), nearest, 0).double()
    points = torch.randn(1, 3, 2, dtype=torch.float64)

    def value(position, window, stem):
        latents = Latents(position, stem, window)
        return layer(layer.pairs(points, None, latents), stem)

    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 4, 2), (1, 4), (1, 4, 4))]
    assert torch.autograd.gradcheck(value, inputs)
    assert torch.autograd.gradgradcheck(value, inputs, atol=1e-4)
