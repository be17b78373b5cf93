"""Flows against exact solutions, orders in space and time, and the benchmark of Schaefer and Turek (1996)."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.sim.cylinder import cylinder_meshes

pi = math.pi
REST = (0.0, 0.0)


def kovasznay(x, re=40.0):
    """L. I. G. Kovasznay (1948): velocity behind a grid, and its pressure."""
    k = re / 2 - math.sqrt(re**2 / 4 + 4 * pi**2)
    e = torch.exp(k * x[0])
    u = 1 - e * torch.cos(2 * pi * x[1]), k / (2 * pi) * e * torch.sin(2 * pi * x[1])
    return u, -0.5 * e.square()


def test_steady_flow_reaches_the_orders_of_taylor_and_hood():
    sizes, errors = (6, 12), []
    for n in sizes:
        mesh = ml.shapes.rectangle(1.0, 1.0, n=(n, n), dtype=torch.float64)
        mesh = mesh.replace(points=mesh.points - torch.tensor([0.5, 0.5], dtype=torch.float64))
        made = ml.sim.steady_navier_stokes(mesh, 1 / 40, {"boundary": lambda x: kovasznay(x)[0]})
        u, p = kovasznay(mesh.points.t())
        weight = mesh.point_measures()
        off = made.point_data["pressure"] - p
        off = off - (weight * off).sum()
        errors.append(
            [
                float((made.point_data["velocity"] - torch.stack(u, 1)).square().mean().sqrt()),
                float((weight * off.square()).sum().sqrt()),
            ]
        )
    rates = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert rates[0] > 2.8, errors
    assert rates[1] > 1.8, errors


def taylor_green(nu):
    def velocity(x, t):
        fade = math.exp(-2 * pi**2 * nu * t)
        return (
            -torch.cos(pi * x[0]) * torch.sin(pi * x[1]) * fade,
            torch.sin(pi * x[0]) * torch.cos(pi * x[1]) * fade,
        )

    return velocity


def vortex(n, steps, nu=0.1, time=0.4):
    mesh = ml.shapes.square(n=n, dtype=torch.float64)
    velocity = taylor_green(nu)
    walls = {"boundary": velocity}
    made = ml.sim.navier_stokes(mesh, nu, walls, time, 1, steps, initial=lambda x: velocity(x, 0.0))
    return made.point_data["velocity"][-1], made.point_data["pressure"][-1], mesh.points.t()


def test_a_decaying_vortex_is_followed_with_second_order_in_time():
    steps = (6, 12, 24)
    best = vortex(4, 120)
    for part, name in enumerate(("velocity", "pressure")):
        errors = [float((vortex(4, k)[part] - best[part]).norm()) for k in steps]
        rate = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert rate > 1.75, f"{name}: order {rate:.2f}, {errors}"
    u, p, x = vortex(8, 24)
    exact = torch.stack(taylor_green(0.1)(x, 0.4), 1)
    assert float((u - exact).abs().max()) < 1.5e-3
    fade = math.exp(-4 * pi**2 * 0.1 * 0.4)
    pressure = -0.25 * (torch.cos(2 * pi * x[0]) + torch.cos(2 * pi * x[1])) * fade
    assert float((p - pressure).abs().max()) < 0.02


@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_channel_flow_is_exact_and_pushes_its_walls(cells):
    nu, force = 0.1, (0.8, 0.0)
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(4, 3), cells=cells, dtype=torch.float64)
    parabola = lambda x, t: (4 * x[1] * (1 - x[1]), 0 * x[1])  # noqa: E731
    walls = {"left": parabola, "bottom": REST, "top": REST}
    made = ml.sim.navier_stokes(mesh, nu, walls, 0.1, 2, forces=["bottom", "top"])
    x = mesh.points
    exact = torch.stack([4 * x[:, 1] * (1 - x[:, 1]), 0 * x[:, 1]], 1)
    for frame in made:
        torch.testing.assert_close(frame.point_data["velocity"], exact, rtol=0, atol=1e-8)
        torch.testing.assert_close(frame.point_data["pressure"], 8 * nu * (2 - x[:, 0]), rtol=0, atol=1e-7)
        for name in ("bottom", "top"):
            assert float(frame.global_data[f"force_{name}"][0]) == pytest.approx(2 * 4 * nu, abs=1e-7)
    walls["left"] = lambda x: parabola(x, 0.0)
    driven = ml.sim.steady_navier_stokes(mesh, nu, walls, body_force=force)
    torch.testing.assert_close(driven.point_data["velocity"], exact, rtol=0, atol=1e-8)
    assert float(driven.point_data["pressure"].abs().max()) < 1e-8  # the force drives it alone


def test_without_an_obstacle_a_uniform_stream_stays_what_it_is():
    mesh = ml.shapes.square(n=3)
    made = ml.sim.navier_stokes(mesh, 0.01, {"left": (1.0, 0.5), "bottom": (1.0, 0.5), "top": (1.0, 0.5)}, 0.1, 2)
    assert made.point_data["velocity"].dtype == torch.float32
    torch.testing.assert_close(made.point_data["velocity"], torch.tensor([1.0, 0.5]).expand(3, 16, 2))
    assert float(made.point_data["pressure"].abs().max()) < 1e-5


def inflow(largest):
    def parabola(x, *time):
        return 4 * largest * x[1] * (0.41 - x[1]) / 0.41**2, torch.zeros_like(x[1])

    return parabola


def channel(largest):
    return {"left": inflow(largest), "bottom": REST, "top": REST, "cylinder": REST}


def test_drag_and_lift_are_those_of_the_steady_benchmark():
    """Test case 2D-1: drag 5.5795, lift 0.0106; here on 1,700 cells."""
    _, curved = cylinder_meshes(0.2, 0.2, 0.05, size=0.04, segments=64)
    flow = ml.sim.steady_navier_stokes(curved, 1e-3, channel(0.3), forces=["cylinder", "bottom"])
    drag, lift = (500 * flow.global_data["force_cylinder"]).tolist()
    assert abs(drag / 5.5795 - 1) < 2e-3
    assert abs(lift - 0.0106) < 2e-3
    assert float(flow.global_data["force_bottom"][0]) > 0


@pytest.mark.slow
def test_vortices_are_shed_with_the_frequency_of_the_benchmark():
    """Test case 2D-2: Strouhal number 0.295 to 0.305, largest drag 3.22 to 3.24, largest lift 0.98 to 1.02."""
    _, curved = cylinder_meshes(0.2, 0.2, 0.05, size=0.025, segments=48)
    flow = ml.sim.navier_stokes(curved, 1e-3, channel(1.5), 0.01, 280, forces=["cylinder"])
    drag, lift = (20 * flow.global_data["force_cylinder"][-120:]).t()
    rise = [i for i in range(119) if lift[i] < 0 <= lift[i + 1]]
    crossing = [i + float(lift[i] / (lift[i] - lift[i + 1])) for i in rise]
    period = 0.01 * (crossing[-1] - crossing[0]) / (len(crossing) - 1)
    assert 0.29 < 0.1 / period < 0.31
    assert abs(float(drag.max()) - 3.23) < 0.1
    assert abs(float(lift.max()) - 1.0) < 0.15


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"velocity": None}, ml.ParameterError, "boundaries: left, right, bottom, top"),
        ({"velocity": {"left": 1.0}}, ml.ParameterError, "the number 1 was given where a vector"),
        ({"velocity": {"roof": REST}}, ml.FieldError, "no boundary named 'roof'"),
        ({"viscosity": -1.0}, ml.ParameterError, "viscosity is a positive number"),
        ({"initial": torch.ones(5, 2)}, ml.ParameterError, r"shape \(5, 2\); a velocity \(9, 2\)"),
        ({"velocity": {"left": lambda x: (x[0], x[1])}}, ml.ParameterError, r"functions of place and time, g\(x, t\)"),
        ({"forces": ["roof"]}, ml.FieldError, "no boundary named 'roof'"),
        ({"mesh": ml.shapes.square(n=2, cells="mixed")}, ml.TopologyError, "one kind of cell"),
    ],
)
def test_wrong_arguments_of_flows_are_told(wrong, error, words):
    given = {"mesh": ml.shapes.square(n=2), "viscosity": 0.1, "velocity": {"boundary": REST}, **wrong}
    with pytest.raises(error, match=words):
        ml.sim.navier_stokes(**given)


def test_cylinder_flows_differ_and_the_same_seed_gives_the_same(tmp_path):
    options = {"seed": 2, "size": 0.1, "start": 0.04, "time_step": 0.02, "frames": 3, "substeps": 2}
    flows = ml.sim.make_cylinder_flows(2, tmp_path, **options)
    again = ml.sim.make_cylinder_flows(1, **options)
    assert torch.equal(flows[0].point_data["velocity"], again[0].point_data["velocity"])
    assert flows[0].n_points != flows[1].n_points
    for flow in flows:
        values = flow.mesh.global_data
        reynolds = 2 * values["radius"] / values["viscosity"]
        torch.testing.assert_close(reynolds, values["reynolds"])
        away = (flow.mesh.points - values["centre"]).norm(dim=1)
        rim = away < values["radius"] * 1.0001
        assert int(rim.sum()) == 36
        assert float(flow.point_data["velocity"][:, rim].abs().max()) == 0.0
        assert bool((flow.global_data["drag"] > 0).all())
        assert sorted(flow.mesh.cell_sets) == ["bottom", "cylinder", "left", "right", "top"]
        assert torch.equal(ml.read(flow.mesh.source).point_data["pressure"], flow.point_data["pressure"])
    later = ml.sim.make_cylinder_flows(1, **{**options, "start": 0.06, "frames": 2})[0]
    torch.testing.assert_close(later.point_data["velocity"], flows[0].point_data["velocity"][1:], rtol=1e-4, atol=1e-4)
    with pytest.raises(ml.ParameterError, match="start is the time"):
        ml.sim.make_cylinder_flows(1, start=-1.0)
    with pytest.raises(ml.ParameterError, match="size is an edge length"):
        ml.sim.make_cylinder_flows(1, size=0.5)
