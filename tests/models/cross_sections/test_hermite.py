"""Radial functions with gradients: normals that lean out of the planes are found, signs of planes are kept."""

import numpy as np
import pytest
import torch
from section_bodies import ball, capsule, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes
from meshlearn.models.cross_sections.body import Body, Frame
from meshlearn.models.cross_sections.correction import Correction, missing
from meshlearn.models.cross_sections.grid_field import SplineGrid, doubled, grid_nodes
from meshlearn.models.cross_sections.hermite import HermiteField


def body_of(shape, planes, n=72):
    mesh = surface_of(shape, n)
    sections = ml.CrossSections.from_mesh(mesh, planes(mesh))
    return Body.of(sections, Frame.of(sections))


def slope(field, points, step=1e-3):
    rows = []
    for k in range(3):
        shift = torch.zeros(3)
        shift[k] = step
        rows.append((field(points + shift) - field(points - shift))[:, 0] / (2 * step))
    return torch.stack(rows, dim=1)


def test_an_oblique_tube_is_continued_along_its_axis():
    axis = np.array([0.7, 0.2, 0.8])
    body = body_of(lambda p: capsule(p, -axis, axis, 0.12), lambda mesh: parallel_planes(mesh, 7))
    field = HermiteField(body, 600)
    inner = [k for k in range(len(body.sections)) if abs(body.offsets[k]) < 0.5]
    points = np.concatenate([body.sections[k].lift(ring.points[::5]) for k in inner for ring in body.sections[k].rings])
    normals = slope(field, torch.from_numpy(points.astype(np.float32)))
    normals = normals / normals.norm(dim=1, keepdim=True)
    along = torch.from_numpy((body.frame.rotation @ axis / np.linalg.norm(axis)).astype(np.float32))
    assert float((normals @ along).square().mean().sqrt()) < 0.25  # normals of the planes' contours: 0.47
    flat = torch.nn.functional.normalize(normals * torch.tensor([1.0, 1.0, 0.0]), dim=1)
    assert float((flat @ along).square().mean().sqrt()) > 0.4


def test_a_ball_cut_at_random_comes_back_with_its_normals():
    body = body_of(lambda p: ball(p, (0, 0, 0), 0.8), lambda mesh: random_planes(mesh, 8, seed=2))
    field = HermiteField(body, 700)
    directions = torch.nn.functional.normalize(torch.randn(400, 3, generator=torch.manual_seed(0)), dim=1)
    centre = torch.from_numpy(body.frame.to_unit(np.zeros((1, 3)))[0].astype(np.float32))
    radius = 0.8 / body.frame.size
    assert float(field(centre + radius * directions).abs().max()) < 0.03
    assert float((slope(field, centre + radius * directions) + directions).norm(dim=1).mean()) < 0.08


@pytest.mark.parametrize("linear", [True, False])
def test_doubled_grids_keep_their_nodes_and_linear_functions(linear):
    nodes = grid_nodes(9)
    values = nodes @ torch.tensor([0.3, -1.0, 2.0]) + 0.5 if linear else (3 * nodes).sin().sum(1)
    grid = values.reshape(1, 9, 9, 9)
    fine = doubled(grid)
    torch.testing.assert_close(fine[:, ::2, ::2, ::2], grid)
    exact = (
        grid_nodes(17) @ torch.tensor([0.3, -1.0, 2.0]) + 0.5 if linear else (3 * grid_nodes(17)).sin().sum(1)
    ).reshape(1, 17, 17, 17)
    inner = (slice(None), *[slice(2, -2)] * 3)
    torch.testing.assert_close(fine[inner], exact[inner], rtol=0, atol=1e-5 if linear else 0.08)
    points = 2.6 * torch.rand(50, 3) - 1.3
    if linear:
        found = SplineGrid(fine)(0.7 * points)[:, 0]  # splines end flat at the border of the cube
        torch.testing.assert_close(found, 0.7 * points @ torch.tensor([0.3, -1.0, 2.0]) + 0.5, rtol=0, atol=0.02)


def test_fields_with_the_signs_of_the_planes_are_hardly_touched():
    x = torch.linspace(-1, 1, 81)
    shown = (0.5 - (x[:, None].square() + x[None].square()).sqrt())[None, None]
    right = 0.6 * shown  # the distance in space from a surface that leans out of the plane
    step = float(x[1] - x[0])
    assert float(missing(right, shown, step).abs().max()) < 0.02 * step + 0.004
    wrong = right + 0.08
    mended = wrong + missing(wrong, shown, step)
    clear = shown.abs() > 1e-4
    assert (mended.sign() == shown.sign())[clear].all()
    assert float(missing(wrong, shown, step)[shown > 0.2].abs().max()) < 1e-6


def test_corrections_are_whole_on_their_plane_and_fade():
    body = body_of(lambda p: ball(p, (0, 0, 0), 0.8), lambda mesh: parallel_planes(mesh, 5), 30)
    data = torch.ones_like(body.data)
    data[0] = 3.0
    change = Correction(body, data)
    level = float(body.offsets[0] * body.normals[0, 2])
    points = torch.tensor([[0.1, 0.2, level], [0.1, 0.2, level + 0.45 * body.gap], [0.1, 0.2, float(body.offsets[2])]])
    found = change(points)[:, 0]
    assert found[0] == pytest.approx(3.0, abs=1e-4)
    assert abs(found[1]) < 0.4
    assert found[2] == pytest.approx(1.0, abs=1e-4)


def test_a_plane_that_contradicts_all_others_is_outvoted():
    def shape(p):
        return ball(p, (0, 0, 0), 0.8)

    mesh = surface_of(shape, 40)
    right = ml.CrossSections.from_mesh(mesh, random_planes(mesh, 9, seed=4))
    liar = right[0]
    wrong = ml.CrossSections([type(liar)(liar.origin, liar.axes, ()), *right.planes[1:]])
    with pytest.warns(ml.FitWarning, match="contradict"):
        model = ml.CrossSectionReconstructor(base="hermite", network=False, centres=600).fit(wrong)
    assert {doubt.plane for doubt in model.field_.body.doubts} == {0}
    body = model.to_mesh(resolution=40)
    assert body.topology.euler_characteristic == 2
    assert float(body.volume()) == pytest.approx(float(mesh.volume()), rel=0.05)
