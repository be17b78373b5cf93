"""Searches are exact, symmetric, keep to their mesh, and refuse bad input. Parity of back ends: test_registry.py."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import meshlearn as ml
from meshlearn import ops

RADIUS_BACK_ENDS = ["kd_tree", "cell_list"]
NEAREST_BACK_ENDS = ["kd_tree", "cell_list"]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    dim=st.integers(1, 3),
    radius=st.floats(1e-3, 30.0),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10_000),
    lattice=st.booleans(),
)
def test_cell_list_equals_the_dense_search(n, dim, radius, scale, seed, lattice):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, dim, generator=generator, dtype=torch.float64) * scale
    queries = torch.randn(n + 3, dim, generator=generator, dtype=torch.float64) * scale
    if lattice:
        points, queries, radius = points.round(), queries.round(), float(round(radius) + 1)
    dense = ops.radius_neighbors(points, queries, radius, backend="baseline")
    cells = ops.radius_neighbors(points, queries, radius, backend="cell_list")
    assert torch.equal(dense.ptr, cells.ptr)
    assert torch.equal(dense.index, cells.index)


@pytest.mark.parametrize("backend", RADIUS_BACK_ENDS)
def test_self_search_is_symmetric_and_complete(backend):
    points = torch.rand(300, 3)
    graph = ops.radius_neighbors(points, points, 0.2, exclude_self=True, backend=backend).validate()
    assert graph.symmetric
    assert (graph.receivers != graph.index).all()
    whole = ops.radius_neighbors(points, points, 2.0, backend=backend)
    assert whole.n_edges == 300 * 300, "no cap on the number of neighbours"


@pytest.mark.parametrize("backend", RADIUS_BACK_ENDS)
def test_no_neighbour_crosses_meshes_and_a_batch_equals_a_loop(backend):
    clouds = [torch.rand(n, 2) for n in (20, 1, 35)]
    queries = [torch.rand(n, 2) for n in (10, 4, 3)]
    ptr, query_ptr = torch.tensor([0, 20, 21, 56]), torch.tensor([0, 10, 14, 17])
    batch = ops.radius_neighbors(
        torch.cat(clouds), torch.cat(queries), 0.3, points_ptr=ptr, queries_ptr=query_ptr, backend=backend
    )
    parts = [ops.radius_neighbors(p, q, 0.3, backend=backend) for p, q in zip(clouds, queries, strict=True)]
    loop = ops.Adjacency.block_diagonal(parts)
    assert torch.equal(batch.ptr, loop.ptr)
    assert torch.equal(batch.index, loop.index)
    assert batch.n_cols == 56


def test_extreme_ratios_of_extent_to_radius_do_not_overflow():
    points = torch.tensor([[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [1e9, 1e9, 1e9]], dtype=torch.float64)
    graph = ops.radius_neighbors(points, points, 2e-9, exclude_self=True, backend="cell_list")
    assert graph.edge_index().tolist() == [[1, 0], [0, 1]]


def test_chunks_of_candidates_do_not_show(monkeypatch):
    from meshlearn.ops import cell_list

    points = torch.rand(200, 2)
    whole = ops.radius_neighbors(points, points, 0.2, backend="cell_list")
    monkeypatch.setattr(cell_list, "_CANDIDATES", 100)
    assert torch.equal(ops.radius_neighbors(points, points, 0.2, backend="cell_list").index, whole.index)


@pytest.mark.parametrize("backend", [*NEAREST_BACK_ENDS, "baseline"])
def test_nearest_are_the_smallest_distances_in_rising_order(backend):
    points, queries = torch.randn(70, 3, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    distance, index = ops.knn(points, queries, 6, backend=backend)
    table = torch.cdist(queries, points)
    torch.testing.assert_close(distance, table.sort(1).values[:, :6])
    torch.testing.assert_close(table.gather(1, index), distance)


@pytest.mark.parametrize("backend", NEAREST_BACK_ENDS)
def test_nearest_with_equal_points_and_far_queries(backend):
    points = torch.cat([torch.zeros(5, 2), torch.rand(20, 2)])
    queries = torch.tensor([[0.0, 0.0], [1e6, -1e6]])
    distance, index = ops.knn(points, queries, 5, backend=backend)
    assert sorted(index[0].tolist()) == [0, 1, 2, 3, 4]
    torch.testing.assert_close(distance, ops.knn(points, queries, 5, backend="baseline")[0])
    assert all(len(set(row)) == 5 for row in index.tolist())


def test_distances_are_differentiable_and_safe_at_zero():
    points = torch.rand(9, 2, dtype=torch.float64, requires_grad=True)
    queries = torch.rand(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, q: ops.knn(p, q, 3)[0], (points, queries))
    ops.knn(points, points, 1)[0].sum().backward()
    assert points.grad.eq(0).all()


def test_bad_input_is_named():
    points = torch.rand(5, 2)
    broken = points.clone()
    broken[3, 1] = float("nan")
    with pytest.raises(ml.MeshError, match="the first is number 3"):
        ops.radius_neighbors(broken, points, 1.0)
    with pytest.raises(ml.MeshError, match="same number of coordinates"):
        ops.knn(points, torch.rand(5, 3), 1)
    with pytest.raises(ml.ParameterError, match="only 5 points"):
        ops.knn(points, points, 6)
    with pytest.raises(ml.ParameterError, match="at least 1"):
        ops.knn(points, points, 0)
    for radius in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ml.ParameterError, match="positive and finite"):
            ops.radius_neighbors(points, points, radius)
    with pytest.raises(ml.MeshError, match="both points_ptr"):
        ops.knn(points, points, 1, points_ptr=torch.tensor([0, 5]))
    with pytest.raises(ml.MeshError, match="ends at 4"):
        ops.knn(points, points, 1, torch.tensor([0, 4]), torch.tensor([0, 5]))
    with pytest.raises(ml.MeshError, match="queries equal to points"):
        ops.radius_neighbors(points, points[:2], 1.0, exclude_self=True)
