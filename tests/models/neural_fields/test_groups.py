"""Moving the latents moves the field, for every group and any weights; and the test notices when it does not."""

import math

import pytest
import torch
from torch.testing import assert_close

from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.latents import Latents, rotation
from meshlearn.models.neural_fields.network import AttentionField
from meshlearn.testing import RigidMotion

GROUPS = [
    Group("Rn", 2),
    Group("Rn", 3),
    Group("En", 2),
    Group("En", 3),
    Group("SE2", 2),
    Group("SE3", 3),
    Group("Tn", 2, (2.0, 1.5)),
    Group("Tn", 3, (2.0, 0.0, 1.0)),
]
LIMIT = {torch.float32: 1e-5, torch.float64: 1e-12}


def name(group):
    return f"{group.name} in {group.dim}"


def make_field(group, dtype, nearest=None, blocks=1):
    torch.manual_seed(1)
    field = AttentionField(group, 5, 3, 16, 2, (0.5, 1.0), nearest, extra=1, blocks=blocks)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.mul_(2.0)  # a field with some variation
    return field.to(dtype)


def make_latents(group, n=9):
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    frame = None
    if group.oriented:
        frame = rotation(3 * draw(1, n, group.n_turns))
    return Latents(draw(1, n, group.dim) / 2, draw(1, n, 5), draw(1, n) / 4, frame)


def motion_of(group):
    """(rotation, shift) of the group; for E(n) with a reflection."""
    motion = RigidMotion.random(group.dim, seed=3)
    turn = torch.eye(group.dim, dtype=torch.float64)
    if group.name in ("En", "SE2", "SE3"):
        turn = motion.rotation.clone()
    if group.name == "En":
        turn[:, 0] *= -1.0
    return turn, motion.shift


def moved_latents(latents, turn, shift):
    frame = None if latents.frame is None else turn @ latents.frame
    return latents.replace(position=latents.position @ turn.T + shift, frame=frame)


def change(group, dtype, nearest, forget=None, places=torch.float64):
    """Largest change of an output when points and latents are moved, over the standard deviation of the outputs."""
    field = make_field(group, dtype, nearest)
    points = torch.randn(1, 200, group.dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64) / 2
    extra = points[..., :1].sin()
    latents, (turn, shift) = make_latents(group), motion_of(group)
    after, moved = moved_latents(latents, turn, shift), points @ turn.T + shift
    if forget == "frame":
        after = after.replace(frame=latents.frame)
    if forget == "position":
        after = after.replace(position=latents.position)
    results = []
    for x, z in ((points, latents), (moved, after)):
        z = z.to("cpu", dtype)
        assert (z.context.dtype, z.position.dtype) == (dtype, torch.float64)
        z = z.replace(position=z.position.to(places), frame=None if z.frame is None else z.frame.to(places))
        with torch.no_grad():
            results.append(field(x.to(places), extra.to(dtype), z))
    return float((results[1] - results[0]).abs().max() / results[0].std())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("nearest", [None, 3])
@pytest.mark.parametrize("group", GROUPS, ids=name)
def test_moving_latents_moves_the_field(group, nearest, dtype):
    assert change(group, dtype, nearest) < LIMIT[dtype]


@pytest.mark.parametrize("nearest", [None, 3])
def test_places_in_float32_would_not_do(nearest):
    """The control of the precision: with places rounded to float32, periodic coordinates exceed the limit."""
    assert change(GROUPS[-1], torch.float32, nearest, places=torch.float32) > LIMIT[torch.float32]


@pytest.mark.parametrize("group", GROUPS, ids=name)
def test_the_control_fails(group):
    """Without moving the axes (or the positions, where there are none) the field changes by its own size."""
    forget = "frame" if group.oriented else "position"
    assert change(group, torch.float64, None, forget) > 0.3


def test_relative_positions_do_not_commute_with_rotations():
    group = Group("Rn", 2)
    field, latents = make_field(group, torch.float64), make_latents(group)
    turn = rotation(torch.tensor([0.7], dtype=torch.float64))
    points, extra = latents.position + 0.1, latents.position[..., :1]
    after = field(points @ turn.T, extra, moved_latents(latents, turn, torch.zeros(2, dtype=torch.float64)))
    before = field(points, extra, latents)
    assert (after - before).abs().max() > 0.3 * before.std(1).mean()


def test_a_periodic_field_has_the_period_of_the_box():
    group = Group("Tn", 2, (2.0, 1.5))
    field, latents = make_field(group, torch.float64, nearest=3), make_latents(group)
    points = torch.rand(1, 50, 2, dtype=torch.float64)
    extra = torch.zeros(1, 50, 1, dtype=torch.float64)
    shifted = field(points + torch.tensor([2.0, -3.0], dtype=torch.float64), extra, latents)
    assert_close(shifted, field(points, extra, latents), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("group", GROUPS, ids=name)
def test_neighbours_are_searched_in_the_distance_of_the_window(group):
    x, y = torch.randn(2, 40, group.dim, dtype=torch.float64)
    chord = (group.embedded(x) - group.embedded(y)).square().sum(-1)
    assert_close(chord, group.squared_distance(x - y), rtol=1e-12, atol=1e-12)


def test_the_window_of_a_box_is_a_distance_nearby():
    group = Group("Tn", 1, (3.0,))
    d = torch.tensor([[1e-3], [3.0 - 1e-3]], dtype=torch.float64)
    assert_close(group.squared_distance(d), torch.full((2,), 1e-6, dtype=torch.float64), rtol=1e-5, atol=0)


@pytest.mark.parametrize("k", [1, 3])
def test_rotations_are_exponentials(k):
    turn = torch.randn(20, k, dtype=torch.float64) * torch.logspace(-6, 0.5, 20, dtype=torch.float64)[:, None]
    matrices = rotation(turn)
    assert_close(matrices @ matrices.mT, torch.eye(matrices.shape[-1]).double().expand_as(matrices), rtol=0, atol=1e-13)
    assert_close(torch.linalg.det(matrices), torch.ones(20, dtype=torch.float64))
    if k == 3:
        trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
        assert_close(trace, 1 + 2 * turn.norm(dim=1).cos(), rtol=0, atol=1e-12)
        assert_close((matrices @ turn[..., None])[..., 0], turn)
    quarter = rotation(torch.tensor([0.0, 0.0, math.pi / 2][-k:], dtype=torch.float64))
    assert_close(quarter[:2, 0], torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize("k", [1, 3])
def test_second_derivatives_of_rotations_at_zero(k):
    turn = torch.zeros(2, k, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation, (turn,))
    assert torch.autograd.gradgradcheck(rotation, (turn,))
