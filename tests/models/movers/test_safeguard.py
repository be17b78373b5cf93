"""Largest safe steps: exact where they can be written down, and never past the first inverted cell."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.models.movers import safe_cell_steps, safe_step, safeguarded


def ratios(mesh, points):
    (kind,) = mesh.domain_types
    nodes = mesh.cells[kind]
    a, b = (torch.linalg.det(p[nodes][:, 1:] - p[nodes][:, :1]) for p in (points, mesh.points))
    return a / b


def test_closed_forms():
    line = ml.Mesh([[0.0], [1.0]], {"line": [[0, 1]]}).double()
    assert float(safe_step(line, torch.tensor([[0.0], [-1.0]]).double(), 0.0)) == pytest.approx(0.5, abs=1e-15)
    triangle = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 1, 2]]}).double()
    shrink = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]).double()  # measure (1 - 2 s)^2: touches 0, no sign
    assert float(safe_step(triangle, shrink, 0.0)) == pytest.approx(0.5, abs=1e-7)
    assert float(safe_step(triangle, shrink, 0.25)) == pytest.approx(0.25, abs=1e-14)
    tetra = ml.Mesh([[0.0] * 3, [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], {"tetra": [[0, 1, 2, 3]]}).double()
    assert float(safe_step(tetra, -tetra.points, 0.125)) == pytest.approx(0.25, abs=1e-14)  # (1 - 2 s)^3
    assert float(safe_step(tetra, 2 * tetra.points, 0.5)) == 1.0


@pytest.mark.parametrize(("shape", "n"), [("interval", 40), ("square", 8), ("box", 3)])
@pytest.mark.parametrize("floor", [0.0, 1e-3, 0.3])
def test_random_moves_stop_at_the_first_crossing(shape, n, floor):
    mesh = getattr(ml.shapes, shape)(n=n).double()
    (kind,) = mesh.domain_types
    moves = torch.randn_like(mesh.points) * 0.3
    steps = safe_cell_steps(mesh.points, moves, mesh.cells[kind], floor)
    assert 0 < float(steps.min()) < 0.5
    assert float((steps == 1).double().mean()) < 1
    for part in torch.linspace(0, 1, 101).tolist():  # before its own step no cell is below the floor
        inside = part < steps
        assert bool((ratios(mesh, mesh.points + part * moves)[inside] > floor - 1e-12).all())
    smallest = float(steps.min())
    assert float(ratios(mesh, mesh.points + smallest * moves).min()) == pytest.approx(floor, abs=1e-9)
    assert float(ratios(mesh, mesh.points + 1.001 * smallest * moves).min()) < floor
    points, step = safeguarded(mesh, mesh.points + moves, floor)
    assert step == smallest
    torch.testing.assert_close(points, mesh.points + smallest * moves)


def test_cells_that_fold_and_unfold_again_are_caught():
    """A triangle turned by 180 degrees along straight paths collapses half way and is upright at the end."""
    triangle = ml.Mesh([[-1.0, -1.0], [1.0, -1.0], [0.0, 2.0]], {"triangle": [[0, 1, 2]]}).double()
    assert float(safe_step(triangle, -triangle.points, 0.0)) == pytest.approx(0.5, abs=1e-7)
    assert float(safe_step(triangle, -triangle.points, 0.01)) == pytest.approx(0.45, abs=1e-12)


def test_a_batch_has_one_step_for_each_mesh():
    meshes = [ml.shapes.square(n=n).double() for n in (3, 5, 4)]
    targets = [m.points + a * torch.randn_like(m.points) for m, a in zip(meshes, (0.5, 0.0, 0.1), strict=True)]
    batch = ml.MeshBatch.from_meshes(meshes)
    single = torch.stack([safe_step(m, t) for m, t in zip(meshes, targets, strict=True)])
    assert torch.equal(safe_step(batch, torch.cat(targets)), single)
    assert single[1] == 1
    assert float(single[0]) < float(single[2]) < 1


def test_the_safeguarded_points_follow_gradients_of_the_target():
    mesh = ml.shapes.square(n=3).double()
    target = (mesh.points + 0.5 * torch.randn_like(mesh.points)).requires_grad_()
    points, step = safeguarded(mesh, target)
    points.sum().backward()
    torch.testing.assert_close(target.grad, torch.full_like(target, step))


def test_published_counts_of_inverted_cells():
    """Counts of the public test-suite of a peer: nodes moved on 3-cell intervals, squares and boxes."""
    line = ml.shapes.interval(n=3).double()
    square = ml.shapes.square(n=3, pattern="left", boundary=False).double()
    box = ml.shapes.box(n=3).double()
    counts = []
    for mesh, at, shift in (
        (line, [1 / 3], [0.4]),
        (square, [1 / 3, 1 / 3], [0.2, 0.2]),
        (square, [1 / 3, 1 / 3], [0.5, 0.0]),
        (square, [1 / 3, 1 / 3], [0.5, 0.5]),
        (box, [0.0, 0.0, 1.0], [0.0, 0.0, -0.4]),
        (box, [1 / 3, 1 / 3, 1 / 3], [0.4, 0.0, 0.0]),
    ):
        node = (mesh.points - torch.tensor(at)).norm(dim=1) < 1e-6
        moved = mesh.points + node[:, None] * torch.tensor(shift).double()
        counts.append(int((ratios(mesh, moved) <= 0).sum()))
        assert float(safe_step(mesh, moved, 0.0)) < 1
    assert counts == [1, 1, 2, 3, 2, 6]


def test_arguments_are_checked():
    quad = ml.shapes.square(n=2, cells="quad")
    with pytest.raises(ml.MeshError, match="triangle cells in 2-D"):
        safe_step(quad, quad.points)
    mesh = ml.shapes.square(n=2)
    with pytest.raises(ml.ParameterError, match="floor"):
        safe_step(mesh, mesh.points, 1.0)


@pytest.mark.parametrize("worst", [math.nan, math.inf])
def test_targets_that_are_not_finite_are_never_safe(worst):
    mesh = ml.shapes.square(n=3).double()
    target = mesh.points.clone()
    target[5] = worst
    with pytest.raises(ml.ParameterError, match="1 of 16 points of the target are not finite"):
        safe_step(mesh, target)
    steps = safe_cell_steps(mesh.points, target - mesh.points, mesh.cells["triangle"])
    around = (mesh.cells["triangle"] == 5).any(1)
    assert bool((steps[around] == 0).all())
    assert bool((steps[~around] == 1).all())


def test_meshes_that_are_tangled_already_have_no_safe_step():
    mesh = ml.shapes.square(n=3).double()
    points = mesh.points.clone()
    points[5] = torch.tensor([0.9, 0.9])
    tangled = mesh.replace(points=points)
    with pytest.raises(ml.MeshError, match=r"the mesh is tangled before it is moved: [1-9]"):
        safe_step(tangled, mesh.points)
    with pytest.raises(ml.MeshError, match="mesh 1 of the batch is tangled"):
        safe_step(ml.MeshBatch.from_meshes([mesh, tangled]), torch.cat([mesh.points, mesh.points]))
    turned = ml.Mesh(mesh.points, {"triangle": mesh.cells["triangle"].flip(1)})  # all of them: only numbered clockwise
    both = ml.MeshBatch.from_meshes([mesh, turned])
    assert safe_step(both, torch.cat([mesh.points, mesh.points])).tolist() == [1, 1]
    with pytest.raises(ml.ParameterError, match=r"target has shape \(3, 2\), expected \(16, 2\)"):
        safe_step(mesh, mesh.points[:3])
