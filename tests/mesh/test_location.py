"""Point location: the cell found contains the point, nothing inside is missed, the closest point is the closest."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.errors import MeshError, TopologyError
from meshlearn.mesh.location import INSIDE, OUTSIDE, PointLocator
from meshlearn.mesh.reference import map_points, reference_cell
from meshlearn.mesh.refinement import refine

S = ml.shapes
F64 = {"dtype": torch.float64}
PLATE = [(0.5, 0.5, 0.2)]
FILLED = {
    "lines": lambda order: S.interval(2.0, n=7, order=order, **F64),
    **{
        f"plate {kind}": (lambda order, kind=kind: S.plate_with_holes(PLATE, 0.12, cells=kind, order=order, **F64))
        for kind in ("triangle", "quad", "mixed")
    },
    **{
        f"box {kind}": (lambda order, kind=kind: S.box(n=3, cells=kind, order=order, **F64))
        for kind in ("tetra", "hexahedron", "wedge", "pyramid", "mixed")
    },
    "cylinder": lambda order: S.cylinder(n=(2, 2), cells="hexahedron", order=order, **F64),
}


def positions(mesh, where):
    """The points that cells and local coordinates stand for."""
    x = torch.zeros(len(where.cell), mesh.dim, dtype=mesh.dtype)
    first = 0
    for kind in mesh.domain_types:
        nodes, cell = mesh.cells[kind], reference_cell(kind)
        rows = ((where.cell >= first) & (where.cell < first + len(nodes))).nonzero().squeeze(1)
        corners = mesh.points[nodes[where.cell[rows] - first]]
        x[rows] = (cell.shape(where.local[rows])[:, None] @ corners)[:, 0]
        assert cell.contains(where.local[rows], 2e-6).all()
        first += len(nodes)
    return x


def random_inside(mesh, per_cell=3):
    """Points inside every cell, by its map."""
    points = []
    for kind in mesh.domain_types:
        cell = reference_cell(kind)
        weights = torch.distributions.Dirichlet(torch.ones(cell.n_vertices, dtype=torch.float64)).sample((per_cell,))
        xi = weights @ cell.nodes[: cell.n_vertices]
        points.append(map_points(cell, mesh.points[mesh.cells[kind]], xi).reshape(-1, mesh.dim))
    return torch.cat(points)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FILLED)
def test_every_point_made_inside_is_found_inside(name, order):
    mesh = FILLED[name](order)
    points = random_inside(mesh)
    where = PointLocator(mesh).locate(points)
    assert (where.status == INSIDE).all()
    assert (where.distance == 0).all()
    torch.testing.assert_close(positions(mesh, where), points, rtol=0, atol=1e-8)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FILLED)
def test_nodes_corners_and_facet_points_are_inside(name, order):
    mesh = FILLED[name](order)
    where = PointLocator(mesh).locate(mesh.points)
    assert (where.status == INSIDE).all()
    torch.testing.assert_close(positions(mesh, where), mesh.points, rtol=0, atol=5e-6)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FILLED)
def test_outside_points_get_the_closest_point(name, order):
    """Compared with a dense sample of the boundary, which can only be farther away, and not by much."""
    mesh = FILLED[name](order)
    low, high = mesh.bounding_box()
    points = low - 0.3 + (high - low + 0.6) * torch.rand(400, mesh.dim, dtype=torch.float64)
    where = PointLocator(mesh).locate(points)
    out = where.status == OUTSIDE
    assert out.any()
    closest = positions(mesh, where)
    torch.testing.assert_close((closest - points).norm(dim=1)[out], where.distance[out], rtol=0, atol=1e-8)
    samples = []
    for kind, nodes in mesh.topology.boundary_facets.items():
        cell = reference_cell(kind)
        axis = torch.linspace(0, 1, 13, dtype=torch.float64)
        lattice = (
            torch.cartesian_prod(*[axis] * cell.dim).reshape(-1, cell.dim) if cell.dim else torch.zeros(1, 0).double()
        )
        lattice = lattice[cell.contains(lattice, 1e-9)]
        samples.append(map_points(cell, mesh.points[nodes], lattice).reshape(-1, mesh.dim))
    best = torch.cdist(points[out], torch.cat(samples)).amin(1)
    assert (where.distance[out] <= best + 1e-7).all()
    assert (where.distance[out] >= best - 0.05).all()


def test_the_domain_need_not_be_convex():
    """Points in the notch and in the hole are outside; points behind them are found."""
    mesh = S.l_shape(2.0, n=4, **F64)
    where = PointLocator(mesh).locate(torch.tensor([[1.5, 1.5], [0.5, 1.9], [1.9, 0.5]], dtype=torch.float64))
    assert where.status.tolist() == [1, 0, 0]
    assert where.distance[0].item() == pytest.approx(0.5)
    plate = S.plate_with_holes(PLATE, 0.1, **F64)
    where = PointLocator(plate).locate(torch.tensor([[0.5, 0.5]], dtype=torch.float64))
    assert where.status.item() == OUTSIDE
    assert where.distance.item() == pytest.approx(0.2, abs=0.01)


def test_graded_meshes_and_a_sliver():
    """Cells from 1 to 1e-6 in size: no cell is missed because another one is small."""
    x = torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(-6, 0, 13, dtype=torch.float64)])
    grid = torch.cartesian_prod(x, x)
    base = S.square(n=13, cells="quad", boundary=False, **F64)
    order = np.lexsort((grid[:, 0].numpy(), grid[:, 1].numpy()))
    mesh = base.replace(points=grid[torch.from_numpy(order)])
    points = random_inside(mesh, 2)
    where = PointLocator(mesh).locate(points)
    assert (where.status == INSIDE).all()
    assert ((positions(mesh, where) - points).norm(dim=1) <= 1e-6 * points.norm(dim=1) + 1e-12).all()


def test_distorted_quads_by_newton():
    mesh = S.square(n=6, cells="quad", **F64)
    inner = ~mesh.topology.is_boundary
    mesh = mesh.replace(points=mesh.points + 0.06 * (torch.rand_like(mesh.points) - 0.5) * 2 * inner[:, None])
    points = torch.rand(2000, 2, dtype=torch.float64)
    where = PointLocator(mesh).locate(points)
    assert (where.status == INSIDE).all()
    torch.testing.assert_close(positions(mesh, where), points, rtol=0, atol=1e-8)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("cells", ["triangle", "quad", "mixed"])
def test_surfaces_project(cells, order):
    mesh = S.sphere(1.0, 2, cells, order, **F64)
    directions = torch.nn.functional.normalize(torch.randn(300, 3, dtype=torch.float64))
    where = PointLocator(mesh).locate(1.5 * directions)
    assert (where.status == OUTSIDE).all()
    closest = positions(mesh, where)
    assert (where.distance >= 0.5 - (1e-9 if order == 1 else 1e-3)).all()
    assert (where.distance < 0.5 + (0.06 if order == 1 else 0.002)).all()
    again = PointLocator(mesh).locate(closest)
    assert (again.status == INSIDE).all()
    assert again.distance.max() < 1e-7
    torch.testing.assert_close(positions(mesh, again), closest, rtol=0, atol=1e-6)


def test_curves_in_space_and_duplicate_points():
    line = ml.Mesh([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], {"line": [[0, 1], [1, 2]]})
    where = PointLocator(line).locate(torch.tensor([[0.25, 0.0, 0.0], [2.0, 0.5, 0.0], [0.25, 0.0, 0.0]]))
    assert where.cell.tolist() == [0, 1, 0]
    assert where.status.tolist() == [0, 1, 0]
    torch.testing.assert_close(where.local, torch.tensor([[0.25], [0.5], [0.25]]))


def test_inverted_and_degenerate_cells_do_no_harm():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    mesh = ml.Mesh(points, {"triangle": [[0, 2, 1], [1, 2, 3], [1, 2, 4]]})
    where = PointLocator(mesh).locate(torch.tensor([[0.2, 0.2], [0.8, 0.8], [0.5, 0.5]], dtype=torch.float64))
    assert where.cell[:2].tolist() == [0, 1]
    assert where.cell[2].item() in (0, 1)
    assert (where.status == INSIDE).all()
    assert torch.isfinite(where.local).all()


def test_results_do_not_depend_on_order_or_chunks(monkeypatch):
    from meshlearn.mesh import location

    mesh = S.box(n=3, cells="mixed", **F64)
    points = torch.rand(500, 3, dtype=torch.float64) * 1.2 - 0.1
    whole = PointLocator(mesh).locate(points)
    monkeypatch.setattr(location, "_CHUNK", 64)
    order = torch.randperm(500)
    other = PointLocator(mesh).locate(points[order])
    assert torch.equal(other.status, whole.status[order])
    torch.testing.assert_close(positions(mesh, other), positions(mesh, whole)[order], atol=1e-6, rtol=0)


def test_float32_meshes_and_queries():
    mesh = refine(S.disc(n=2), 2)
    points = torch.rand(300, 2) - 0.5
    where = PointLocator(mesh).locate(points)
    assert where.local.dtype == torch.float32
    assert (where.status == INSIDE).all()
    torch.testing.assert_close(positions(mesh, where), points, rtol=0, atol=1e-5)
    assert len(PointLocator(mesh).locate(torch.zeros(0, 2)).cell) == 0


def test_agrees_with_scipy():
    from scipy.spatial import Delaunay

    x = np.random.default_rng(0).random((200, 3))
    tree = Delaunay(x)
    mesh = ml.Mesh(x, {"tetra": tree.simplices.astype(np.int64)})
    queries = np.random.default_rng(1).random((2000, 3)) * 1.2 - 0.1
    expected = tree.find_simplex(queries)
    where = PointLocator(mesh).locate(torch.from_numpy(queries))
    assert np.array_equal(where.status.numpy() == INSIDE, expected >= 0)
    inside = expected >= 0
    assert (where.cell.numpy()[inside] == expected[inside]).mean() > 0.999


def test_refusals():
    mesh = S.square(n=2)
    with pytest.raises(MeshError, match="number 1"):
        PointLocator(mesh).locate(torch.tensor([[0.1, 0.2], [float("nan"), 0.0]]))
    with pytest.raises(MeshError, match=r"must be \(n, 2\).*got \(2, 3\)"):
        PointLocator(mesh).locate(torch.rand(2, 3))
    with pytest.raises(TopologyError, match="point cloud"):
        PointLocator(ml.Mesh(torch.rand(5, 2)))
    with pytest.raises(TopologyError, match="polygon"):
        PointLocator(ml.Mesh(torch.rand(5, 2), {"polygon": [[0, 1, 2, 3, 4]]}))
    broken = mesh.points.clone()
    broken[0] = float("inf")
    with pytest.raises(MeshError, match="not finite"):
        PointLocator(mesh.replace(points=broken))
