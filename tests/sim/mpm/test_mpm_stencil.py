"""Transfers between particles and grid: a partition of unity that is exact for affine fields, and its adjoint."""

import pytest
import torch

from meshlearn.sim.mpm.stencil import Stencil

SHAPES = {2: (7, 9), 3: (6, 7, 8)}


def made(dim, n=40):
    shape = SHAPES[dim]
    points = 0.6 + (torch.tensor(shape, dtype=torch.float64)[:, None] - 2.2) * torch.rand(dim, n, dtype=torch.float64)
    axes = [torch.arange(size, dtype=torch.float64) for size in shape]
    return points, shape, torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)


@pytest.mark.parametrize("dim", [2, 3])
def test_affine_fields_are_collected_exactly(dim):
    points, shape, nodes = made(dim)
    slope, level = torch.randn(dim, dim, dtype=torch.float64), torch.randn(dim, 1, dtype=torch.float64)
    value, moment = Stencil(points, shape).collect((slope @ nodes + level).unbind(0))
    torch.testing.assert_close(value, slope @ points + level)
    torch.testing.assert_close(4 * moment, slope[:, :, None].expand(-1, -1, points.shape[1]))  # inertia of the splines


@pytest.mark.parametrize("dim", [2, 3])
def test_spreading_is_the_adjoint_of_collecting(dim):
    points, shape, nodes = made(dim)
    stencil = Stencil(points, shape)
    value, slope = torch.randn(2, 40, dtype=torch.float64), torch.randn(2, dim, 40, dtype=torch.float64)
    fields = torch.randn(2, nodes.shape[1], dtype=torch.float64)
    spread = [torch.zeros_like(fields[0]).scatter_add_(0, stencil.nodes, part) for part in stencil.spread(value, slope)]
    collected, moment = stencil.collect(fields.unbind(0))
    left = sum((part * field).sum() for part, field in zip(spread, fields, strict=True))
    torch.testing.assert_close(left, (value * collected).sum() + (slope * moment).sum())


def test_particles_outside_or_nowhere_get_nodes_of_the_grid():
    points = torch.tensor([[-5.0, 99.0, float("nan")], [1.0, 1.0, 1.0]])
    nodes = Stencil(points, (6, 6)).nodes
    assert int(nodes.min()) >= 0
    assert int(nodes.max()) < 36
