"""Measures, normals and lumped measures against exact values, invariances and autograd."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.cells import CELL_TYPES
from meshlearn.mesh.geometry import cell_measures
from meshlearn.mesh.reference import reference_cell

KINDS = [kind for kind, cell in CELL_TYPES.items() if cell.dim > 0]


def skewed(kind: str, seed: int = 0) -> ml.Mesh:
    """One reference cell under a random affine map, in its own dimension."""
    cell, nodes = CELL_TYPES[kind], reference_cell(kind).nodes.double()
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.eye(cell.dim, dtype=torch.float64)
    matrix += 0.3 * torch.rand(cell.dim, cell.dim, generator=generator, dtype=torch.float64)
    return ml.Mesh(nodes @ matrix.T, {kind: [list(range(cell.n_nodes))]}), torch.linalg.det(matrix).abs()


@pytest.mark.parametrize("kind", KINDS)
def test_affine_maps_scale_measures_by_their_determinant(kind):
    mesh, determinant = skewed(kind)
    reference = ml.Mesh(reference_cell(kind).nodes.double(), mesh.cells)
    torch.testing.assert_close(mesh.measure(), determinant * reference.measure())


@pytest.mark.parametrize("kind", KINDS)
def test_embedding_in_a_higher_space_changes_nothing(kind):
    mesh, _ = skewed(kind)
    if mesh.dim == 3:
        pytest.skip("three dimensions are the last ones")
    flat = torch.nn.functional.pad(mesh.points, (0, 3 - mesh.dim))
    rotation = torch.linalg.qr(torch.rand(3, 3, dtype=torch.float64)).Q
    torch.testing.assert_close(ml.Mesh(flat @ rotation.T, mesh.cells).measure(), mesh.measure())


@pytest.mark.parametrize("kind", KINDS)
def test_lumped_measures_are_positive_and_add_up(kind):
    mesh, _ = skewed(kind)
    lumped = mesh.point_measures()
    assert bool((lumped > 0).all())
    torch.testing.assert_close(lumped.sum(), mesh.measure())


@pytest.mark.parametrize("kind", KINDS)
def test_measures_are_differentiable_in_the_points(kind):
    mesh, _ = skewed(kind)

    def measure(points):
        return cell_measures(ml.Mesh(points, mesh.cells))[kind]

    assert torch.autograd.gradcheck(measure, mesh.points.clone().requires_grad_())


def test_a_backward_pass_can_be_repeated():
    points = ml.shapes.square(n=2).points.double().requires_grad_()
    mesh = ml.Mesh(points, ml.shapes.square(n=2).cells)
    for _ in range(2):
        mesh.measure().backward()
    (once,) = torch.autograd.grad(ml.Mesh(points, mesh.cells).measure(), points)
    torch.testing.assert_close(points.grad, 2 * once)
    assert once.abs().max() > 0.1


def test_curved_cells_measure_the_curve():
    """A quarter disc of one triangle6 with its curved side through (1, 1) / sqrt(2); exact for the parabola."""
    c = math.sqrt(0.5)
    nodes = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [c, c], [0.0, 0.5]]
    mesh = ml.Mesh(torch.tensor(nodes, dtype=torch.float64), {"triangle6": [[0, 1, 2, 3, 4, 5]]})
    height = (2 * c - 1) / math.sqrt(2)  # sagitta over the chord of length sqrt(2); a parabola has area 2/3 of its box
    torch.testing.assert_close(mesh.measure().item(), 0.5 + 2 / 3 * math.sqrt(2) * height)


def test_normals_of_a_sphere_point_outward():
    mesh = ml.shapes.sphere(refine=2)
    assert bool(((mesh.point_normals() * mesh.points).sum(1) > 0.99).all())
    normals = torch.cat(list(mesh.cell_normals().values()))
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(len(normals)))


def test_area_vectors_of_a_closed_surface_cancel():
    mesh = ml.shapes.sphere(refine=2).double()
    total = (mesh.cell_normals()["triangle"] * mesh.cell_measures()["triangle"][:, None]).sum(0)
    assert total.abs().max() < 1e-12


def test_normals_of_an_outline_point_out_of_the_body():
    outline = ml.shapes.square(n=3).boundary_mesh()
    centres = torch.cat(list(outline.cell_centroids().values()))
    normals = torch.cat(list(outline.cell_normals().values()))
    assert bool((((centres - 0.5) * normals).sum(1) > 0.49).all())


def test_solids_need_three_coordinates():
    flat = ml.Mesh(torch.rand(4, 2), {"tetra": [[0, 1, 2, 3]]}, point_data={"u": torch.rand(4)})
    for call in (flat.measure, flat.quality, lambda: ml.quality_summary(flat), lambda: ml.PointLocator(flat)):
        with pytest.raises(ml.TopologyError, match="tetra cells have 3 dimensions, the points only 2 coordinates"):
            call()


def test_solids_have_no_normals_and_open_surfaces_no_volume():
    with pytest.raises(ml.TopologyError, match="boundary_mesh"):
        ml.shapes.square(n=2).cell_normals()
    with pytest.raises(ml.TopologyError, match="watertight"):
        ml.shapes.square(n=2).volume()


def test_cars_satisfy_the_facts_that_come_with_them(shared_data):
    mesh = ml.read(shared_data / "cars" / "car_00.vtu")
    assert (mesh.n_points, mesh.cell_counts) == (3586, {"triangle": 7168})
    assert mesh.is_watertight
    assert mesh.topology.euler_characteristic == 2
    force = mesh.cell_normals()["triangle"] * mesh.cell_measures()["triangle"][:, None]
    assert force.sum(0).abs().max() < 1e-6
    pressure = mesh.point_data["pressure"][mesh.cells["triangle"]].mean(1, keepdim=True)
    torch.testing.assert_close(-(pressure * force).sum(0)[2].item(), 92.7, atol=1.0, rtol=0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if CELL_TYPES[kind].dim < 3])
@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_very_small_and_large_cells_in_float32(kind, size):
    """Surfaces measured in metres that are picometres wide: squares of their areas underflow."""
    mesh = skewed(kind)[0].float()
    mesh = mesh.replace(points=torch.nn.functional.pad(mesh.points, (0, 3 - mesh.dim)))
    scaled = mesh.replace(points=size * mesh.points)
    torch.testing.assert_close(scaled.measure(), size**mesh.cell_dim * mesh.measure(), rtol=1e-4, atol=0)
    if mesh.cell_dim == 2:
        torch.testing.assert_close(scaled.cell_normals(), mesh.cell_normals())
    for measure in ("scaled_jacobian", "aspect_ratio", "min_angle"):
        torch.testing.assert_close(scaled.quality(measure), mesh.quality(measure), rtol=1e-3, atol=1e-3)
    assert scaled.n_inverted() == 0


@pytest.mark.parametrize("cells", ["tetra", "hexahedron", "wedge", "pyramid", "mixed"])
def test_volumes_edges_and_faces_agree_with_vtk(cells):
    mesh = ml.shapes.box(n=3, cells=cells).double()
    mesh = ml.Mesh(mesh.points + 0.03 * torch.randn_like(mesh.points), {k: mesh.cells[k] for k in mesh.domain_types})
    theirs = mesh.to_pyvista()
    volumes = torch.from_numpy(theirs.compute_cell_sizes()["Volume"].copy()).abs()  # VTK's wedges count as negative
    torch.testing.assert_close(mesh.join_cells(mesh.cell_measures()), volumes)
    assert len(mesh.edges) == theirs.extract_all_edges().n_cells
    if cells in ("tetra", "hexahedron"):
        shape = torch.from_numpy(theirs.cell_quality("scaled_jacobian")["scaled_jacobian"].copy())
        torch.testing.assert_close(mesh.join_cells(mesh.quality()), shape)


@pytest.mark.gpu
def test_measures_agree_on_cuda():
    mesh = ml.shapes.box(n=3)
    torch.testing.assert_close(mesh.to("cuda").point_measures().cpu(), mesh.point_measures())
