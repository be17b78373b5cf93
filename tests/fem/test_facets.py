"""Integrals over facets of wedges, whose facets are triangles and quadrilaterals."""

import pytest
import torch
from space_cases import plain, uneven

from meshlearn.fem import FESpace, dot, grad, solve


def test_the_boundary_of_a_box_of_wedges_has_its_area():
    space = FESpace(plain("wedge", 2), "P1")
    assert space.assemble(lambda x: 1.0 + 0 * x[0], on="boundary").item() == pytest.approx(6.0, rel=1e-12)
    for name, axis, sign in (("left", 0, -1), ("right", 0, 1), ("bottom", 2, -1), ("top", 2, 1)):
        assert space.assemble(lambda x, i=axis: x.normal[i] * x[0] ** 2, on=name, order=2).item() == pytest.approx(
            sign * (1 / 3 if axis else (sign + 1) / 2), rel=1e-12, abs=1e-12
        )


def test_divergence_theorem_on_uneven_wedges():
    """The integral of div F over the cells is that of F . n over the boundary, whose facets are not plane."""
    space = FESpace(uneven("wedge"), "P1")

    def field(x):
        return torch.stack([x[0] * x[1], x[1] * x[2] ** 2, x[0] - x[2]])

    inside = space.assemble(lambda x: x[1] + x[2] ** 2 - 1, order=8)
    through = space.assemble(lambda x: dot(field(x), x.normal), on="boundary", order=8)
    assert through.item() == pytest.approx(inside.item(), rel=1e-10)


def test_robin_conditions_on_wedges_converge():
    errors = []
    for n in (2, 4):
        space = FESpace(plain("wedge", n), "P1")

        def exact(x):
            return torch.exp(x[0]) * torch.sin(x[1] + 0.3)

        A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
        A = A + space.assemble(lambda u, v, x: u * v, on="boundary")
        b = space.assemble(
            lambda v, x: (exact(x) * (x.normal[0] + 1) + torch.exp(x[0]) * torch.cos(x[1] + 0.3) * x.normal[1]) * v,
            on="boundary",
            order=6,
        )
        errors.append(space.norm(solve(A, b), minus=exact).item())
    assert errors[0] / errors[1] > 3.4, errors
