import pytest
import torch

import meshlearn as ml

# U. Ghia, K. Ghia, C. Shin 1982, J. Comput. Phys. 48, tables I and II: u along the vertical, v along the horizontal
# line through the centre; (place, value at Re = 100, at Re = 400).
U = (
    (0.0547, -0.03717, -0.08186),
    (0.1016, -0.06434, -0.14612),
    (0.1719, -0.10150, -0.24299),
    (0.2813, -0.15662, -0.32726),
)
U += ((0.4531, -0.21090, -0.17119), (0.5, -0.20581, -0.11477), (0.7344, 0.00332, 0.16256), (0.9531, 0.68717, 0.55892))
V = ((0.0625, 0.09233, 0.18360), (0.1563, 0.16077, 0.28124), (0.2344, 0.17527, 0.30174), (0.5, 0.05454, 0.05186))
V += ((0.8047, -0.24533, -0.38598), (0.8594, -0.22445, -0.44993), (0.9453, -0.10313, -0.22847))


@pytest.mark.parametrize(("reynolds", "column", "cells"), [(100.0, 1, 20), (400.0, 2, 28)])
def test_the_steady_cavity_has_the_published_profiles(reynolds, column, cells):
    flow = ml.sim.steady_cavity(cells, reynolds)
    for table, axis, component in ((U, 1, 0), (V, 0, 1)):
        places = torch.full((len(table), 2), 0.5, dtype=torch.float64)
        places[:, axis] = torch.tensor([row[0] for row in table])
        found = ml.interpolate(flow, ml.Mesh(places, {})).point_data["velocity"][:, component]
        wanted = torch.tensor([row[column] for row in table], dtype=torch.float64)
        assert float((found - wanted).abs().max()) < 0.012, (table, found)


def test_cavities_start_from_rest_and_come_to_the_steady_flow():
    made = ml.sim.make_cavities(1, resolution=10, reynolds=50.0, time_step=2.0, frames=10, substeps=4)[0]
    u = made.point_data["velocity"]
    inside = ~made.mesh.topology.is_boundary
    assert float(u[0][inside].abs().max()) == 0
    steady = ml.sim.steady_cavity(10, 50.0).point_data["velocity"]
    assert torch.allclose(u[-1].double(), steady, atol=2e-3)
    assert float((u[1].double() - steady).abs().max()) > 0.02


def test_cavities_have_the_height_and_number_that_were_drawn(tmp_path):
    made = ml.sim.make_cavities(3, tmp_path, resolution=4, height=(0.5, 2.0), frames=1, substeps=1)
    for flow in made:
        assert float(flow.mesh.points[:, 1].max()) == pytest.approx(float(flow.mesh.global_data["height"]))
        assert 50 <= float(flow.mesh.global_data["reynolds"]) <= 400
    assert len(ml.read_many(str(tmp_path / "*.safetensors"))) == 3


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ml.sim.steady_cavity(2), "resolution=2"),
        (lambda: ml.sim.steady_cavity(8, 5000.0), "reynolds"),
        (lambda: ml.sim.steady_cavity(8, 100.0, 0.0), "height"),
        (lambda: ml.sim.make_cavities(1, reynolds=(-1.0, 2.0)), "reynolds"),
        (lambda: ml.sim.make_cavities(1, substeps=0), "substeps"),
    ],
)
def test_wrong_cavities_are_told(call, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        call()
