"""Shape quality against exact values, on all types; derivatives without NaN."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.mesh import quality
from meshlearn.mesh.cells import CELL_TYPES
from meshlearn.mesh.elevation import second_order
from meshlearn.mesh.reference import KINDS, reference_cell

S = ml.shapes
F64 = {"dtype": torch.float64}
FIRST = [k for k in KINDS if reference_cell(k).order == 1 and reference_cell(k).dim]


def ideal(kind):
    """One cell of unit edges, as a mesh."""
    cell = reference_cell(kind)
    points = cell.nodes @ torch.linalg.inv(quality._from_ideal(cell.domain)).T
    return ml.Mesh(points, {kind: torch.arange(cell.n_nodes)[None]})


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "vertex"])
def test_the_ideal_cell_is_ideal(kind):
    mesh = ideal(kind)
    edges = mesh.points[mesh.edges] if reference_cell(kind).order == 1 else None
    if edges is not None:
        length = (edges[:, 1] - edges[:, 0]).norm(dim=1)
        torch.testing.assert_close(length, torch.ones_like(length))
    assert quality.scaled_jacobian(mesh)[kind].item() == pytest.approx(1.0)
    assert quality.aspect_ratio(mesh)[kind].item() == pytest.approx(1.0)
    assert quality.n_inverted(mesh) == 0
    determinants = quality.jacobian_determinants(mesh, "quadrature")[kind]
    _, weights = reference_cell(kind).quadrature(2 if reference_cell(kind).order == 1 else 5)
    assert (determinants @ weights).item() == pytest.approx(mesh.measure().item())


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "vertex"])
def test_mirrored_cells_are_inverted(kind):
    mesh = ideal(kind)
    flipped = mesh.replace(cells={kind: mesh.cells[kind][:, list(CELL_TYPES[kind].flip)]})
    assert quality.scaled_jacobian(flipped)[kind].item() == pytest.approx(-1.0)
    assert quality.n_inverted(flipped) == 1
    assert not quality.degenerate_cells(flipped)[kind].item()


@pytest.mark.parametrize(
    ("kind", "degrees"),
    [
        ("triangle", 60),
        ("quad", 90),
        ("tetra", math.degrees(math.acos(1 / 3))),
        ("hexahedron", 90),
        ("wedge", 60),
        ("pyramid", math.degrees(math.atan(math.sqrt(2)))),
    ],
)
def test_smallest_angles_of_ideal_cells(kind, degrees):
    assert math.degrees(quality.min_angle(ideal(kind))[kind].item()) == pytest.approx(degrees)


def test_rectangles_and_right_triangles():
    mesh = S.rectangle(3.0, 1.0, n=1, cells="quad", **F64)
    assert quality.aspect_ratio(mesh)["quad"].item() == pytest.approx(3)
    box = S.box(4.0, 1.0, 2.0, n=1, cells="hexahedron", **F64)
    assert quality.aspect_ratio(box)["hexahedron"].item() == pytest.approx(4)
    right = S.square(n=1, **F64)
    assert quality.scaled_jacobian(right)["triangle"][0].item() == pytest.approx(
        math.sin(math.pi / 4) * 2 / math.sqrt(3)
    )


@pytest.mark.parametrize("kind", FIRST)
def test_quality_ignores_rigid_motions_and_size(kind):
    mesh = ideal(kind)
    mesh = mesh.replace(points=mesh.points + 0.1 * torch.rand_like(mesh.points))
    q, _ = torch.linalg.qr(torch.randn(mesh.dim, mesh.dim, dtype=torch.float64))
    q = q * torch.linalg.det(q).sign() if mesh.dim % 2 else (q if torch.linalg.det(q) > 0 else q[:, [1, 0]])
    moved = mesh.replace(points=5.0 * mesh.points @ q.T + 3.0)
    for function in (quality.scaled_jacobian, quality.aspect_ratio, quality.min_angle):
        torch.testing.assert_close(function(moved)[kind], function(mesh)[kind], rtol=1e-8, atol=1e-8)


def test_surfaces_and_curves_have_no_sign_but_fold():
    sphere = S.sphere(refine=1, cells="mixed", **F64)
    assert quality.n_inverted(sphere) == 0
    turned = sphere.replace(cells={kind: nodes.flip(1) for kind, nodes in sphere.cells.items()})
    assert quality.n_inverted(turned) == 0
    points = [[0.0, 0, 0], [1, 0, 0], [0.1, 0.1, 0], [0, 1, 0]]
    arrow = ml.Mesh(points, {"quad": [[0, 1, 2, 3]]})
    assert quality.n_inverted(arrow) == 1
    folded = ml.Mesh([[0.0], [1.0], [2.0]], {"line3": [[0, 1, 2]]})
    assert quality.n_inverted(folded) == 1


def test_second_order_cells_see_their_curved_sides():
    straight = second_order(S.square(n=1, boundary=False, **F64))
    points = straight.points.clone()
    middle = straight.cells["triangle6"][0, 3]
    points[middle, 1] += 0.7  # pushes the middle of a side through the opposite one
    assert quality.n_inverted(straight.replace(points=points)) == 1
    assert quality.n_inverted(S.disc(n=2, order=2)) == 0


def test_degenerate_cells():
    points = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
    mesh = ml.Mesh(points, {"triangle": [[0, 1, 2], [0, 1, 3], [0, 0, 1]]})
    assert quality.degenerate_cells(mesh)["triangle"].tolist() == [True, False, True]
    assert quality.aspect_ratio(mesh)["triangle"].isinf().tolist() == [True, False, True]
    assert quality.min_angle(mesh)["triangle"][0] < 1e-6
    assert quality.scaled_jacobian(mesh)["triangle"][2] == 0


@pytest.mark.parametrize("kind", FIRST)
def test_gradients(kind):
    mesh = ideal(kind)
    x = (mesh.points + 0.1 * torch.rand_like(mesh.points)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: quality.jacobian_determinants(mesh.replace(points=p))[kind], (x,))
    if reference_cell(kind).dim > 1:
        assert torch.autograd.gradcheck(lambda p: quality.scaled_jacobian(mesh.replace(points=p))[kind], (x,))
        assert torch.autograd.gradcheck(lambda p: quality.min_angle(mesh.replace(points=p))[kind], (x,))
        assert torch.autograd.gradcheck(lambda p: quality.aspect_ratio(mesh.replace(points=p))[kind], (x,))


@pytest.mark.parametrize("kind", FIRST)
def test_gradients_are_finite_even_where_cells_are_degenerate(kind):
    cell = reference_cell(kind)
    for points in (torch.zeros(cell.n_nodes, cell.dim), cell.nodes.float()):
        x = points.clone().requires_grad_()
        mesh = ml.Mesh(x, {kind: torch.arange(cell.n_nodes)[None]})
        for function in (quality.scaled_jacobian, quality.min_angle):
            value = function(mesh)[kind].sum()
            if value.requires_grad:  # the angle of a line is constant
                (gradient,) = torch.autograd.grad(value, x)
                assert torch.isfinite(gradient).all()


def test_measures_by_name_from_the_mesh_and_from_the_module():
    mesh = S.disc(n=3, cells="mixed")
    for name in ("scaled_jacobian", "aspect_ratio", "min_angle"):
        expected = getattr(ml.mesh.quality, name)(mesh)
        assert mesh.quality(name).keys() == expected.keys() == {"triangle", "quad"}
        assert all(torch.equal(mesh.quality(name)[kind], expected[kind]) for kind in expected)
    turned = mesh.replace(cells={k: v.flip(1) if k == "quad" else v for k, v in mesh.cells.items()})
    assert mesh.n_inverted() == 0
    assert turned.n_inverted() == len(mesh.cells["quad"])
    with pytest.raises(ParameterError, match=r"'beauty'.*'aspect_ratio'"):
        mesh.quality("beauty")
    with pytest.raises(AttributeError, match="'beauty'"):
        _ = ml.mesh.beauty


def test_summary():
    summary = quality.quality_summary(S.plate_with_holes([(0.5, 0.5, 0.2)], 0.1))
    assert summary["n_inverted"] == summary["n_degenerate"] == 0
    assert summary["min_angle"]["min"] > 20
    assert 0 < summary["scaled_jacobian"]["min"] <= summary["scaled_jacobian"]["mean"] <= 1
    assert quality.quality_summary(ml.Mesh(torch.rand(3, 2))) == {"n_cells": 0, "n_inverted": 0, "n_degenerate": 0}
    with pytest.raises(ParameterError):
        quality.jacobian_determinants(S.square(n=1), at="centre")
