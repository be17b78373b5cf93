"""Flow into a tube: what flows in flows through, and the stream becomes a parabola as theory has it."""

import math

import pytest
import torch
from scipy.optimize import brentq

import meshlearn as ml


def begun(y, time, nu, terms=40):
    """Exact flow between plates at a constant rate of 1, from a uniform stream: the profile at a later time.

    u = 6 y (1 - y) + sum_n A_n exp(-4 nu a_n^2 t) (cos(a_n (2 y - 1)) - cos a_n) with tan a_n = a_n; the brackets have
    the mean 0 and are orthogonal to each other, and A_n follows from the difference of 1 and the parabola.
    """
    place = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    excess = 1 - 6 * place * (1 - place)
    u = 6 * y * (1 - y)
    for k in range(1, terms + 1):
        a = brentq(lambda x: math.sin(x) - x * math.cos(x), k * math.pi, (k + 0.5) * math.pi)
        mode = torch.cos(a * (2 * place - 1)) - math.cos(a)
        size = float((excess * mode).sum() / mode.square().sum())
        u = u + size * math.exp(-4 * nu * a * a * time) * (torch.cos(a * (2 * y - 1)) - math.cos(a))
    return u


def section(flow, x, frame):
    """(y, u, v, p) at the points of the column of cells nearest to x."""
    points = flow.mesh.points
    column = points[(points[:, 0] - x).abs().argmin(), 0]
    rows = ((points[:, 0] - column).abs() < 1e-6).nonzero()[:, 0]
    rows = rows[points[rows, 1].argsort()]
    u, v = flow.point_data["velocity"][frame, rows].double().unbind(1)
    return points[rows, 1].double(), u, v, flow.point_data["pressure"][frame, rows].double()


def test_the_stream_far_from_the_inflow_is_slowed_as_the_exact_solution_says():
    options = {"length": 6.0, "reynolds": 50.0, "time_step": 0.25, "frames": 4, "substeps": 10}
    errors = []
    for cells in (8, 16):
        (flow,) = ml.sim.make_tubes(1, resolution=cells, **options)
        worst = 0.0
        for frame in (2, 3, 4):  # fluid at x = 4.5 does not know of the inflow before the time 3
            y, u, v, _ = section(flow, 4.5, frame)
            worst = max(worst, float((u - begun(y, 0.25 * frame, 0.02)).abs().max()))
            assert float(v.abs().max()) < 1e-3
        errors.append(worst)
    assert errors[1] < 6e-4, errors
    assert errors[1] < 0.5 * errors[0], errors


def test_the_developed_flow_is_a_parabola_with_its_loss_of_pressure():
    nu = 0.05
    options = {"length": 6.0, "reynolds": 1 / nu, "time_step": 2.0, "frames": 6, "substeps": 10}
    (flow,) = ml.sim.make_tubes(1, resolution=10, **options)
    ends = []
    for x in (4.0, 5.0):
        y, u, v, p = section(flow, x, -1)
        assert float((u - 6 * y * (1 - y)).abs().max()) < 5e-3
        assert float(v.abs().max()) < 1e-3
        assert float(p.std()) < 1e-3
        ends.append((float(flow.mesh.points[(flow.mesh.points[:, 0] - x).abs().argmin(), 0]), float(p.mean())))
    slope = (ends[1][1] - ends[0][1]) / (ends[1][0] - ends[0][0])
    assert slope == pytest.approx(-12 * nu, rel=2e-3)


def test_as_much_flows_through_every_section_as_flows_in():
    flows = ml.sim.make_tubes(2, resolution=16, length=3.0, reynolds=(100.0, 300.0), frames=3)
    for flow in flows:
        for x in (0.75, 1.5, 3.0):
            y, u, _, _ = section(flow, x, -1)
            rate = float(torch.trapezoid(u, y))
            assert rate == pytest.approx(1.0, abs=0.012)  # of the trapezoids: the solution is of second order
    assert float(flows[0].mesh.global_data["reynolds"]) != float(flows[1].mesh.global_data["reynolds"])


def test_tubes_depend_on_seed_and_number_only_and_are_written(tmp_path):
    options = {"resolution": 4, "frames": 2, "substeps": 1, "length": (1.0, 3.0)}
    made = ml.sim.make_tubes(2, tmp_path, **options)
    again = ml.sim.make_tubes(1, **options)
    assert torch.equal(made[0].point_data["velocity"], again[0].point_data["velocity"])
    assert len(ml.read_many(str(tmp_path / "tube_*.safetensors"))) == 2
    for flow in made:
        assert float(flow.mesh.points[:, 0].max()) == pytest.approx(float(flow.mesh.global_data["length"]))
        assert sorted(flow.mesh.cell_sets) == ["bottom", "left", "right", "top"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"resolution": 2}, "resolution=2"), ({"reynolds": -1.0}, "reynolds"), ({"length": 0.1}, "length")],
)
def test_wrong_tubes_are_told(wrong, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.sim.make_tubes(1, **wrong)
