"""The operations work inside compiled and exported models, as a user runs them (without the shape checks of tests)."""

import subprocess
import sys

import pytest

MODEL = """
import torch
import meshlearn.ops as ops

torch.manual_seed(0)
graph = ops.Adjacency.from_edges(torch.randint(0, 30, (200,)), torch.randint(0, 30, (200,)), 30)
graph.receivers, graph.transpose()

class Layer(torch.nn.Module):
    def forward(self, x, ptr, index):
        graph = ops.Adjacency(ptr, index)
        edges = ops.gather_receivers(x, graph).tanh() + ops.gather(x, index)
        attention = ops.segment_softmax(edges[:, :1], ptr)
        return (ops.segment_sum(edges * attention, ptr) + ops.segment_mean(edges, ptr)
                + ops.segment_max(edges, ptr) + ops.segment_min(edges, ptr))

def shared(x):
    return ops.neighbor_sum(x, graph) + ops.segment_max(ops.gather_senders(x, graph), graph)

x = torch.randn(30, 4, requires_grad=True)
layer = Layer()
"""

COMPILED = """
for function, arguments in ((layer, (x, graph.ptr, graph.index)), (shared, (x,))):
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    (expected,) = torch.autograd.grad(function(*arguments).square().sum(), x)
    (gradient,) = torch.autograd.grad(compiled(*arguments).square().sum(), x)
    torch.testing.assert_close(compiled(*arguments), function(*arguments))
    torch.testing.assert_close(gradient, expected)
"""

EXPORTED = """
n_edges = torch.export.Dim("n_edges", min=2)
program = torch.export.export(
    layer.eval(), (x.detach(), graph.ptr, graph.index), dynamic_shapes={"x": None, "ptr": None, "index": {0: n_edges}}
)
smaller = ops.Adjacency.from_edges(torch.randint(0, 30, (77,)), torch.randint(0, 30, (77,)), 30)
for g in (graph, smaller):
    torch.testing.assert_close(
        program.module()(x.detach(), g.ptr, g.index), layer(x.detach(), g.ptr, g.index)
    )
"""


@pytest.mark.parametrize("use", [COMPILED, EXPORTED], ids=["compiled", "exported"])
def test_in_a_fresh_process(use):
    done = subprocess.run([sys.executable, "-c", MODEL + use], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
