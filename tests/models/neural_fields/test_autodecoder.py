"""The fit of latents: gradients through its steps, meshes that do not see each other, chunks that do not matter."""

import pytest
import torch
from torch.testing import assert_close

from meshlearn.models.neural_fields.autodecoder import Autodecoder
from meshlearn.models.neural_fields.film import FilmField
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.latents import Latents, rotation
from meshlearn.models.neural_fields.network import AttentionField


def make(moving=(), second=True, group=None, steps=2, nearest=2):
    torch.manual_seed(0)
    group = group or Group("Rn", 2)
    field = AttentionField(group, 3, 1, 4, 1, (0.5, 1.0), nearest)
    return Autodecoder(field, 3, moving, -0.5, steps, second).double()


def data(b=3, n=12, m=4, dim=2):
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(b, n, dim, generator=generator, dtype=torch.float64)
    targets = torch.randn(b, n, 1, generator=generator, dtype=torch.float64)
    weights = torch.rand(b, n, generator=generator, dtype=torch.float64)
    start = torch.randn(b, m, dim, generator=generator, dtype=torch.float64)
    return points, targets, weights / weights.sum(1, keepdim=True), start


@pytest.mark.parametrize(
    ("moving", "group"),
    [((), Group("Rn", 2)), (("position", "window"), Group("En", 2)), (("position", "turn"), Group("SE2", 2))],
    ids=["codes", "poses", "axes"],
)
def test_gradients_through_the_fit(moving, group):
    """Second order: gradients with respect to weights, start and step sizes are those of finite differences."""
    model = make(moving, group=group, nearest=None)
    points, targets, weights, start = data(b=2, n=5, m=2)
    frame = rotation(start[..., :1]) if group.oriented else None
    parameters = [p for p in model.parameters() if p.requires_grad]

    def loss(*_):
        return (model(points, targets, weights, start, frame) - targets).square().sum()

    assert torch.autograd.gradcheck(loss, parameters, fast_mode=True, rtol=1e-3, atol=1e-6)


def test_first_order_leaves_out_the_second_derivatives():
    """The values are the same, the gradients of the weights are not, and those of the step sizes are there."""
    points, targets, weights, start = data()
    gradients, values = [], []
    for second in (True, False):
        model = make(second=second)
        out = model(points, targets, weights, start, None)
        out.square().sum().backward()
        values.append(out.detach())
        gradients.append(model.field.stem[0].weight.grad.clone())
        assert model.rates["context"].grad.abs().sum() > 0
    assert_close(values[0], values[1])
    assert not torch.allclose(gradients[0], gradients[1], rtol=1e-3)


@pytest.mark.parametrize("moving", [(), ("position", "window")])
def test_meshes_of_a_batch_do_not_see_each_other(moving):
    model, (points, targets, weights, start) = make(moving), data()
    together = model.fit(points, targets, weights, model.start(start, None), 3)
    for i in range(3):
        row = slice(i, i + 1)
        alone = model.fit(points[row], targets[row], weights[row], model.start(start[row], None), 3)
        assert_close(together.context[row], alone.context)
        assert_close(together.position[row], alone.position)


@pytest.mark.parametrize("moving", [(), ("position",)])
def test_chunks_of_points_do_not_matter(moving):
    model, (points, targets, weights, start) = make(moving), data()
    whole = model.fit(points, targets, weights, model.start(start, None), 3)
    parts = model.fit(points, targets, weights, model.start(start, None), 3, chunk=5)
    assert_close(parts.context, whole.context)
    assert_close(parts.position, whole.position)


def test_steps_go_downhill_and_leave_no_graph():
    model, (points, targets, weights, start) = make(("position", "window")), data()
    with torch.no_grad():
        model.rates["context"].fill_(-3.0)
    losses = []
    for steps in (0, 1, 20):
        latents = model.fit(points, targets, weights, model.start(start, None), steps)
        assert not latents.context.requires_grad
        with torch.no_grad():
            losses.append(float((weights * (model.field(points, None, latents) - targets).square().mean(-1)).sum()))
    assert losses[0] > losses[1] > losses[2], losses


def test_frames_stay_rotations():
    model = make(("position", "turn"), group=Group("SE3", 3))
    points, targets, weights, start = data(dim=3)
    latents = model.fit(points, targets, weights, model.start(start, rotation(start)), 10)
    assert_close(latents.frame @ latents.frame.mT, torch.eye(3).double().expand_as(latents.frame))
    assert (latents.frame - rotation(start)).abs().max() > 1e-6


@pytest.mark.parametrize("kind", ["attention", "film"])
def test_a_fresh_field_depends_on_its_codes(kind):
    """Else the first fits of latents would not move anything; with the usual weights (the control) they do not."""
    torch.manual_seed(0)
    points = torch.rand(2, 100, 2)
    latents = Latents(torch.rand(2, 9, 2), torch.ones(2, 9, 8), torch.full((2, 9), -1.0))
    changed = latents.replace(context=latents.context + torch.randn(2, 9, 8))
    change = []
    for _ in range(2):
        field = AttentionField(Group("Rn", 2), 8, 1, 32, 2, (0.5, 1.0), 4) if kind == "attention" else film()
        if change:
            field = Autodecoder(field, 8, (), -1.0, 3, True).field
        with torch.no_grad():
            change.append(float((field(points, None, changed) - field(points, None, latents)).std()))
    assert change[0] < 0.02, change
    assert change[1] > 0.1, change


def film():
    return FilmField(2, 8, 1, 32, 3, 0.5)
