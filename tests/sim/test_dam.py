"""Flow over a barrier: what flows in flows out, the force on the barrier converges, and slow flow is Stokes flow."""

import pytest
import torch

import meshlearn as ml

FIXED = {"barrier_height": 1.0, "barrier_width": 0.5}


def outflow(flow, frame):
    """What leaves through the right side, from the values at the points."""
    points = flow.mesh.points
    rows = (points[:, 0] > 12 - 1e-4).nonzero()[:, 0]
    rows = rows[points[rows, 1].argsort()]
    return float(torch.trapezoid(flow.point_data["velocity"][frame, rows, 0].double(), points[rows, 1].double()))


def test_what_flows_in_flows_out_and_the_drag_converges():
    drags, losses = [], []
    for size in (0.9, 0.4, 0.22):
        (flow,) = ml.sim.make_dams(1, size=size, reynolds=20.0, frames=1, substeps=3, **FIXED)
        drags.append(flow.global_data["drag"].double())
        losses.append(max(abs(outflow(flow, frame) - 1.0) for frame in range(2)))
    assert losses[2] < 0.01 < losses[0]  # of the trapezoids, of second order
    assert losses[2] < 0.35 * losses[0]
    coarse, fine = (float((drag - drags[2]).abs().max() / drags[2].abs().max()) for drag in drags[:2])
    assert fine < 0.006
    assert fine < 0.6 * coarse


def test_slow_flow_pulls_in_proportion_to_its_viscosity():
    slow, slower = (
        ml.sim.make_dams(1, size=0.6, reynolds=number, frames=1, substeps=2, time_step=5.0, **FIXED)[0]
        for number in (0.02, 0.01)
    )
    torch.testing.assert_close(2 * slow.global_data["drag"], slower.global_data["drag"], rtol=2e-3, atol=0)
    torch.testing.assert_close(slow.point_data["velocity"], slower.point_data["velocity"], rtol=0, atol=3e-3)


def test_the_stream_parts_from_the_floor_behind_the_barrier():
    (flow,) = ml.sim.make_dams(1, size=0.5, reynolds=50.0, frames=6, **FIXED)
    points, u = flow.mesh.points, flow.point_data["velocity"][-1]
    behind = (points[:, 0] > 5.6) & (points[:, 0] < 7.5) & (points[:, 1] > 0.1) & (points[:, 1] < 0.6)
    assert float(u[behind, 0].min()) < -0.02
    assert float(flow.global_data["drag"][-1]) > 0


def test_dams_differ_rest_at_walls_and_are_written(tmp_path):
    options = {"size": 0.9, "frames": 2, "substeps": 1}
    made = ml.sim.make_dams(2, tmp_path, **options)
    again = ml.sim.make_dams(1, **options)
    assert torch.equal(made[0].point_data["velocity"], again[0].point_data["velocity"])
    assert len(ml.read_many(str(tmp_path / "dam_*.safetensors"))) == 2
    for flow in made:
        values = {name: float(value) for name, value in flow.mesh.global_data.items()}
        area = float(flow.mesh.cell_measures()["triangle"].sum())
        assert area == pytest.approx(48 - values["barrier_height"] * values["barrier_width"], rel=1e-4)
        assert 1.0 <= values["barrier_height"] <= 1.5
        assert sorted(flow.mesh.cell_sets) == ["barrier", "bottom", "inlet", "left", "right", "top"]
        for name in ("barrier", "top", "left"):
            rows = flow.mesh.cells["line"][flow.mesh.cell_sets[name]["line"]].reshape(-1)
            assert float(flow.point_data["velocity"][:, rows].abs().max()) == 0.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": 2.0}, "size=2.0"),
        ({"reynolds": 0.0}, "reynolds"),
        ({"barrier_height": 3.9}, "barrier_height"),
        ({"barrier_width": (1.0, 0.5)}, "barrier_width"),
        ({"frames": 0}, "frames"),
    ],
)
def test_wrong_dams_are_told(wrong, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.sim.make_dams(1, **wrong)
