"""Uniform refinement and elevation: measures, counts, data, sets and parents."""

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ParameterError, TopologyError
from meshlearn.mesh.elevation import second_order
from meshlearn.mesh.geometry import signed_cell_measures
from meshlearn.mesh.quality import scaled_jacobian
from meshlearn.mesh.refinement import refine, refine_once

S = ml.shapes
F64 = {"dtype": torch.float64}
MESHES = {
    "line": lambda: S.interval(2.0, n=3, **F64),
    **{
        kind: (lambda kind=kind: S.rectangle(2.0, 1.0, n=3, cells=kind, **F64))
        for kind in ("triangle", "quad", "mixed")
    },
    **{
        f"solid {kind}": (lambda kind=kind: S.box(n=3, cells=kind, **F64))
        for kind in ("tetra", "hexahedron", "wedge", "pyramid", "mixed")
    },
    "surface": lambda: S.torus(n=(6, 4), cells="mixed", **F64),
}


@pytest.mark.parametrize("name", MESHES)
def test_children_fill_their_parents(name):
    mesh = MESHES[name]()
    result = refine_once(mesh)
    fine = result.mesh
    signed = signed_cell_measures(fine) if fine.cell_dim == fine.dim else fine.cell_measures()
    assert all(bool((signed[kind] > 0).all()) for kind in fine.domain_types)
    parents = torch.cat([result.parents[kind] for kind in fine.domain_types])
    children = torch.cat([fine.cell_measures()[kind] for kind in fine.domain_types])
    total = torch.zeros(mesh.n_cells, dtype=torch.float64).index_add(0, parents, children)
    if name != "surface":  # quads of a surface are not flat, so their parts are not exactly as large
        torch.testing.assert_close(total, mesh.join_cells(mesh.cell_measures()))
    assert fine.topology.euler_characteristic == mesh.topology.euler_characteristic
    assert fine.topology.is_manifold
    assert bool(fine.topology.is_used.all())
    edges = mesh.points[mesh.edges]
    halves = torch.cat([edges.mean(1), mesh.points])
    distance = (halves[:, None] - fine.points[None]).norm(dim=2).amin(1)
    assert distance.max() < 1e-12


@pytest.mark.parametrize("name", MESHES)
def test_boundary_sets_stay_complete(name):
    mesh, fine = MESHES[name](), refine(MESHES[name](), 2)
    assert set(fine.cell_sets) == set(mesh.cell_sets)
    facets = sum(len(nodes) for nodes in fine.topology.boundary_facets.values())
    assert facets == sum(len(rows) for kinds in fine.cell_sets.values() for rows in kinds.values())
    for label in mesh.cell_sets:
        for one, other in ((mesh, fine),):
            before = sum(one.cell_measures()[k][rows].sum() for k, rows in one.cell_sets[label].items())
            after = sum(other.cell_measures()[k][rows].sum() for k, rows in other.cell_sets[label].items())
            if mesh.cell_dim > 1:
                assert after.item() == pytest.approx(before.item())


def test_refining_tetrahedra_keeps_their_quality():
    mesh = S.ball(n=1, **F64)
    values = [scaled_jacobian(refine(mesh, k))["tetra"].min().item() for k in (0, 1, 2)]
    assert values[1] > 0.6 * values[0]
    assert values[2] > 0.9 * values[1]


def test_data_follow():
    mesh = S.square(n=2, cells="mixed", **F64)
    x = mesh.points
    mesh = mesh.with_point_data(u=x[:, 0] + 2 * x[:, 1], tag=torch.arange(mesh.n_points))
    mesh = mesh.with_cell_data(c=torch.arange(mesh.n_cells))
    result = refine_once(mesh)
    fine = result.mesh
    torch.testing.assert_close(fine.point_data["u"], fine.points[:, 0] + 2 * fine.points[:, 1])
    assert "tag" not in fine.point_data
    assert any("tag" in line for line in fine.report)
    for kind in fine.domain_types:
        assert torch.equal(fine.cell_data["c"][kind], result.parents[kind])
    assert torch.equal(fine.points[: mesh.n_points], mesh.points)


def test_projection_and_gradients():
    fine = refine(S.disc(n=1, **F64), 3, {"circle": lambda p: p / p.norm(dim=1, keepdim=True)})
    rim = fine.points[fine.boundary_points].norm(dim=1)
    torch.testing.assert_close(rim, torch.ones_like(rim))
    points = torch.rand(4, 2, dtype=torch.float64, requires_grad=True)
    mesh = ml.Mesh(points, {"triangle": [[0, 1, 2], [1, 3, 2]]})
    second_order(refine(mesh)).points.square().sum().backward()
    assert torch.isfinite(points.grad).all()


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", MESHES)
def test_second_order_keeps_straight_meshes_as_they_are(name, full):
    mesh = MESHES[name]()
    higher = second_order(mesh, full=full)
    if name != "surface":
        torch.testing.assert_close(higher.measure(), mesh.measure())
    assert higher.topology.euler_characteristic == mesh.topology.euler_characteristic
    low = {"quad8", "pyramid13", "wedge15", "hexahedron20"}
    has_centres = {"quad", "hexahedron", "wedge", "pyramid"} & set(mesh.domain_types)
    assert bool(low & set(higher.domain_types)) == (not full and bool(has_centres))


def test_refusals():
    with pytest.raises(TopologyError, match="triangle6"):
        refine(S.square(n=1, order=2))
    with pytest.raises(ParameterError):
        refine(S.square(n=1), -1)


def test_cell_data_that_some_parents_lack_is_named():
    """A pyramid is refined into pyramids and tetrahedra; values on tetrahedra alone cannot cover these."""
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1], [2, 0.5, 0.5]])
    mesh = ml.Mesh(points, {"pyramid": [[0, 1, 2, 3, 4]], "tetra": [[1, 5, 2, 4]]}, cell_data={"q": {"tetra": [7.0]}})
    finer = refine(mesh)
    assert "q" not in finer.cell_data
    assert any("'q'" in note and "pyramid" in note for note in finer.report)
