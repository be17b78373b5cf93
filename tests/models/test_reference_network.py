"""The network equals the same network in PyTorch Geometric's usual form: outputs, gradients, parameters."""

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.meshgraphnet.geometry import hierarchy
from meshlearn.models.meshgraphnet.network import GraphNetwork
from meshlearn.models.meshgraphnet.sample import MultilevelSample
from meshlearn.ops import Adjacency
from meshlearn.train.graph import measure_weights, row_counts


def usual_network(*arguments, **options):
    path = Path(__file__).parents[2] / "benchmarks" / "reference_meshgraphnet.py"
    spec = importlib.util.spec_from_file_location("reference_meshgraphnet", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():  # PyTorch Geometric still scripts some classes when it is imported
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        spec.loader.exec_module(module)
    return module.UsualMeshGraphNet(*arguments, **options)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("fused", [True, False])
def test_same_outputs_and_gradients_as_the_usual_form(layers, activation, fused):
    mesh = ml.shapes.square(n=6).double()
    graph = hierarchy(mesh, levels=1, k=8).graph
    sample = MultilevelSample(
        counts=row_counts(mesh),
        points=mesh.points,
        point_inputs=torch.randn(mesh.n_points, 3, dtype=torch.float64),
        global_inputs=mesh.points.new_zeros(1, 0),
        adjacency=graph,
        edge_features=torch.randn(graph.n_edges, 4, dtype=torch.float64),
        meshes=Adjacency(torch.tensor([0, mesh.n_points]), torch.arange(mesh.n_points), mesh.n_points),
        point_weights=measure_weights(mesh, "point"),
    )
    shape = {"hidden": 8, "steps": 3, "layers": layers, "activation": activation}
    rest = {
        "levels": 1,
        "coarse_steps": 1,
        "context": False,
        "aggregation": "sum",
        "processor": "interaction",
        "processor_options": {},
    }
    network = GraphNetwork({"point_inputs": 3, "edge_features": 4}, {"point": 2}, fused=fused, **shape, **rest).double()
    usual = usual_network(3, 4, 2, **shape).double()
    usual.copy_weights(network)

    y, z = network(sample)["point"], usual(sample.point_inputs, graph.edge_index(), sample.edge_features)
    assert_close(y, z, rtol=1e-9, atol=1e-10)
    gradients = torch.autograd.grad(y.sin().sum(), list(network.parameters()))
    expected = torch.autograd.grad(z.sin().sum(), list(usual.parameters()))
    assert_close(gradients, expected, rtol=1e-8, atol=1e-9)
