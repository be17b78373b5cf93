"""Potential flow against the exact one around mapped circles; sections; data sets of airfoils with flaps."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.mesh.boundary import tagged_points
from meshlearn.sim.airfoil import karman_trefftz, mapped, naca, placed
from meshlearn.sim.airfoils import trailing_edge
from meshlearn.sim.potential_flow import potential_flow

THICKNESS, CAMBER, TAIL, ANGLE = 0.1, 0.08, 20.0, math.radians(6.0)


class Exact:
    """The flow around a section of Karman and Trefftz in infinite space, in the coordinates of chord 1."""

    def __init__(self):
        self.center = complex(-THICKNESS, CAMBER)
        self.radius, self.edge = abs(1 - self.center), float(np.angle(1 - self.center))
        circle = self.center + self.radius * np.exp(1j * (self.edge + np.linspace(0, 2 * math.pi, 4001)))
        z = mapped(circle, TAIL)
        self.front, self.scale = z.real.min(), z.real[0] - z.real.min()
        self.height = z.imag[0]
        # A flow that leaves the trailing edge smoothly: a stagnation point of the circle's flow there.
        self.circulation = 4 * math.pi * self.radius * math.sin(ANGLE - self.edge) / self.scale

    def zeta(self, x):
        z = self.scale * (x[0] + 1j * x[1]) + self.front + 1j * self.height
        k = 2 - TAIL / 180
        w = ((z - k) / (z + k)) ** (1 / k)
        return (1 + w) / (1 - w)

    def stream(self, x):
        d = self.zeta(x.numpy()) - self.center
        turn = np.exp(-1j * ANGLE)
        potential = d * turn + self.radius**2 / (d * turn)
        psi = potential.imag + self.circulation * self.scale / (2 * math.pi) * np.log(np.abs(d) / self.radius)
        return torch.from_numpy(psi / self.scale)


def flow_of(exact, size):
    section = karman_trefftz(THICKNESS, CAMBER, TAIL, n=2 * math.ceil(1.5 / (0.3 * size)))
    corners = [(-1.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-1.0, 1.0)]
    names = ["outline"] * 4 + ["airfoil"]
    mesh = ml.shapes.planar(corners, [section], size=size, side_names=names, dtype=torch.float64)
    return potential_flow(mesh, {"airfoil": trailing_edge(section)}, ANGLE, stream=exact.stream)


def test_circulation_and_stream_function_are_those_of_the_exact_flow():
    exact = Exact()
    flows = [flow_of(exact, size) for size in (0.3, 0.1)]
    errors = [abs(float(flow.global_data["circulation"][0]) / exact.circulation - 1) for flow in flows]
    assert errors[1] < 0.01, errors
    mesh = flows[1]
    away = (mesh.points - torch.tensor([0.5, 0.0]).double()).norm(dim=1) > 0.8
    gap = mesh.point_data["stream"] - exact.stream(mesh.points.T)
    assert (gap[away] - gap[away].mean()).abs().max() < 0.01


def test_without_a_body_condition_the_flow_would_have_another_circulation():
    """The control: a point far behind the edge in the place of the one close behind it."""
    exact = Exact()
    section = karman_trefftz(THICKNESS, CAMBER, TAIL, n=40)
    corners = [(-1.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-1.0, 1.0)]
    mesh = ml.shapes.planar(corners, [section], 0.2, side_names=["outline"] * 4 + ["airfoil"], dtype=torch.float64)
    wrong = np.array([section[0], [1.5, 0.4]])
    found = potential_flow(mesh, {"airfoil": wrong}, ANGLE, stream=exact.stream).global_data["circulation"]
    assert abs(float(found[0]) / exact.circulation - 1) > 0.1


def test_a_symmetric_section_in_line_with_the_flow_has_no_lift():
    section = naca(0.0, 0.4, 0.12, n=40)
    corners = [(-1.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-1.0, 1.0)]
    mesh = ml.shapes.planar(corners, [section], 0.2, side_names=["outline"] * 4 + ["airfoil"], dtype=torch.float64)
    flow = potential_flow(mesh, {"airfoil": trailing_edge(section)})
    assert abs(float(flow.global_data["circulation"][0])) < 0.01
    body = tagged_points(mesh, "airfoil")
    spread = flow.point_data["stream"][body]
    assert (spread - spread[0]).abs().max() < 1e-9
    with pytest.raises(ml.ParameterError, match="at least one body"):
        potential_flow(mesh, {})


def test_sections():
    for section in (naca(0.04, 0.4, 0.15, 80), karman_trefftz(0.1, 0.1, n=80)):
        assert section.shape == (80, 2)
        assert_close(section[0], np.array([1.0, 0.0]), rtol=0, atol=1e-12)
        assert abs(section[:, 0].min()) < 1e-12
        x, y = section.T
        area = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
        assert 0.05 < area < 0.2  # counter-clockwise
    turned = placed(section, 0.3, math.pi / 2, (1.0, 2.0))
    assert_close(turned[0], np.array([1.0, 1.7]), rtol=0, atol=1e-12)  # the tail points down
    with pytest.raises(ml.ParameterError, match="thickness"):
        naca(0.0, 0.4, 0.5)
    with pytest.raises(ml.ParameterError, match="even number"):
        naca(0.0, 0.4, 0.12, n=33)


def test_the_same_shapes_come_in_any_fineness(tmp_path):
    coarse, fine = ml.sim.make_airfoils(2, tmp_path, size=0.25), ml.sim.make_airfoils(2, size=0.125)
    for a, b in zip(coarse, fine, strict=True):
        assert 2 < b.n_points / a.n_points < 5
        assert torch.equal(a.global_data["flap"], b.global_data["flap"])
        assert abs(float(a.global_data["lift"] / b.global_data["lift"]) - 1) < 0.1
    again = ml.read(tmp_path / "airfoil_0001.vtu")
    assert_close(again.point_data["pressure"], coarse[1].point_data["pressure"])
    with pytest.raises(ml.ParameterError, match="flap"):
        ml.sim.make_airfoils(1, flap=90.0)
