"""MgNO on meshes: its cycles can be geometric multigrid, and it keeps the contract of estimators."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from spon_cases import meshes, poisson

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.models.spon.cycles import EdgeCycle, EdgeKernel
from meshlearn.ops import Adjacency, SparseOperator
from meshlearn.testing import check_estimator

SMALL = {"hidden": 8, "layers": 2, "coarse_steps": 2}


@dataclass
class Graph:
    """One level, as the cycles see it."""

    edges: Adjacency
    up: Any = None
    up_values: Any = None
    down: Any = None
    down_values: Any = None


def hierarchy(n_levels=4):
    """Scaled matrices D^(-1/2) A D^(-1/2) of -Laplace + 1 on nested squares, fine first, and transfers between them."""
    found = [ml.shapes.square(n=2, dtype=torch.float64)]
    while len(found) < n_levels:
        found.insert(0, ml.refine(found[0]))
    matrices, roots = [], []
    for mesh in found:
        A = FESpace(mesh, "P1").assemble(lambda u, v, x: dot(grad(u), grad(v)) + u * v).to_dense()
        roots.append(A.diagonal().sqrt())
        matrices.append(A / roots[-1][:, None] / roots[-1])
    transfers = []
    for level in range(n_levels - 1):
        P = prolongation(found[level + 1], found[level]).to_dense()
        transfers.append(roots[level][:, None] * P / roots[level + 1])
    return matrices, transfers


def as_graphs(matrices, transfers):
    """Graphs of the matrices, and their entries off the diagonal as edge features."""
    graphs, features = [], []
    for level, A in enumerate(matrices):
        off = A - torch.diag(A.diagonal())
        rows, columns = (off != 0).nonzero().T
        edges = Adjacency.from_edges(columns, rows, len(A), len(A))
        graph = Graph(edges)
        if level:
            up, down = (SparseOperator.from_dense(P) for P in (transfers[level - 1], transfers[level - 1].T))
            graph = Graph(edges, up.adjacency, up.values, down.adjacency, down.values)
        graphs.append(graph)
        features.append(off[edges.receivers, edges.index][:, None])
    return graphs, features


def as_entries(kernel):
    """The kernel becomes the matrix: 1 on the diagonal, the feature of the edge beside it."""
    for layer, value in ((kernel.own, 1.0), (kernel.others, 1.0), (kernel.kernel, 1.0)):
        layer.weight.data.fill_(value)
    kernel.kernel.bias.data.zero_()


def as_multiple(kernel, factor):
    """The kernel becomes a multiple of the identity."""
    kernel.own.weight.data.fill_(factor)
    kernel.others.weight.data.zero_()


def test_a_kernel_can_be_the_matrix():
    matrices, transfers = hierarchy(2)
    graphs, features = as_graphs(matrices, transfers)
    kernel = EdgeKernel(1, 1).double()
    as_entries(kernel)
    u = torch.randn(len(matrices[0]), 1, dtype=torch.float64)
    assert torch.allclose(kernel(u, graphs[0], features[0]), matrices[0] @ u, atol=1e-13)


def test_a_layer_can_be_geometric_multigrid():
    """With the matrices and damped Jacobi it is the V-cycle of dense matrices, and it converges on any level."""
    weight, steps, coarse = 0.7, 2, 40
    factors = []
    for n_levels in (3, 4):
        matrices, transfers = hierarchy(n_levels)
        graphs, features = as_graphs(matrices, transfers)
        cycle = EdgeCycle([1] * n_levels, 1, steps, coarse, residual=True).double()
        smoothings = [smoothing for part in (cycle.down, cycle.up) for level in part for smoothing in level]
        for smoothing in smoothings:
            as_multiple(smoothing.smoother, weight)
            if smoothing.operator is not None:
                as_entries(smoothing.operator)
        for level in range(n_levels - 1):
            as_entries(cycle.operators[level])
            cycle.restrict_f[level].weight.data.fill_(1.0)
            cycle.restrict_u[level].weight.data.zero_()
            cycle.prolong[level].weight.data.fill_(1.0)

        def reference(f, level, matrices=matrices, transfers=transfers):
            A, u = matrices[level], torch.zeros_like(f)
            last = level == len(matrices) - 1
            for _ in range(coarse if last else steps):
                u = u + weight * (f - A @ u)
            if not last:
                P = transfers[level]
                u = u + P @ reference(P.T @ (f - A @ u), level + 1)
                for _ in range(steps):
                    u = u + weight * (f - A @ u)
            return u

        f = torch.randn(len(matrices[0]), 1, dtype=torch.float64)
        with torch.no_grad():
            made = cycle(f, graphs, features)
            assert torch.allclose(made, reference(f, 0), atol=1e-12)
            error = torch.randn_like(f)
            for _ in range(8):
                size = error.norm()
                error = error - cycle(matrices[0] @ error, graphs, features)
            factors.append(float(error.norm() / size))
    assert max(factors) < 0.3, factors
    assert factors[1] < 1.2 * factors[0] + 0.05, factors


@pytest.mark.parametrize("residual", [False, True])
def test_all_weights_of_the_cycles_are_trained(residual):
    mesh = ml.refine(ml.shapes.square(n=4))
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 1])
    model = ml.MgNO(["f"], ["u"], **SMALL, coarse_dofs=30, residual=residual)
    model.fit([mesh], epochs=1, progress=False)
    batch = model.normalizers_.normalise(model.prepare(mesh).to("cpu", torch.float32))
    model.module_.zero_grad()
    model.network(model.module_, batch)["point"].square().sum().backward()
    untrained = [name for name, p in model.module_.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untrained == []


def test_the_order_of_points_and_a_batch_of_unlike_meshes_change_nothing():
    made = meshes(3)
    model = ml.MgNO(["f"], ["u"], **SMALL, coarse_dofs=8).fit(made, epochs=2, progress=False)
    together = model.predict(made)
    for mesh, pred in zip(made, together, strict=True):
        torch.testing.assert_close(model.predict(mesh).point_data["u"], pred.point_data["u"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("element", "output"), [("P1", "u"), ("P0", "q")])
def test_mgno_keeps_the_contract_of_estimators(element, output):
    make = partial(ml.MgNO, **SMALL, coarse_dofs=8, output_element=element)
    check_estimator(make, meshes(4), ("f", "a"), (output,))


@pytest.mark.slow
def test_mgno_learns_poisson():
    mesh = ml.refine(ml.refine(ml.shapes.square(n=3)))
    cases = poisson(mesh, 60)
    model = ml.MgNO(["f"], ["u"], hidden=16, layers=2, dirichlet={"boundary": 0.0}, coarse_dofs=30)
    model.fit(cases[:48], epochs=40, learning_rate=3e-3, progress=False)
    assert model.score(cases[48:])["u"] < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "layers=0 must be a whole number"),
        ({"residual": "yes"}, "residual='yes' is not allowed"),
        ({"output_element": "RT0"}, "no coarse spaces"),
        ({"coarse_steps": 0}, "coarse_steps=0"),
    ],
)
def test_wrong_arguments_of_mgno_are_told(options, message):
    made = meshes(1)
    with pytest.raises(ml.ParameterError, match=message):
        ml.MgNO(["f"], ["v" if "output_element" in options else "u"], **{**SMALL, **options}).fit(
            made, epochs=1, progress=False
        )
