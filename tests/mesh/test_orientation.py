"""Orientation repair: turned cells are found and put right; the impossible is refused."""

import math

import numpy as np
import pytest
import torch
import trimesh

import meshlearn as ml
from meshlearn.mesh.cells import CELL_TYPES
from meshlearn.mesh.geometry import signed_cell_measures

SOLIDS = ["tetra", "hexahedron", "wedge"]


def turned(mesh: ml.Mesh, rows: list[int]) -> ml.Mesh:
    (kind,) = mesh.domain_types
    cells = mesh.cells[kind].clone()
    cells[rows] = cells[rows][:, list(CELL_TYPES[kind].flip)]
    return mesh.replace(cells={**mesh.cells, kind: cells})


@pytest.mark.parametrize("kind", SOLIDS)
def test_inverted_solid_cells_are_mirrored(kind):
    mesh = ml.shapes.box(n=(2, 2, 2), cells=kind, boundary=False)
    repaired = turned(mesh, [0, 3, 5]).oriented()
    assert all(bool((measure > 0).all()) for measure in signed_cell_measures(repaired).values())
    assert repaired.topology.is_oriented
    assert not turned(mesh, [0]).topology.is_oriented


def test_an_oriented_mesh_is_returned_as_it_is():
    mesh = ml.shapes.square(n=3)
    assert mesh.oriented() is mesh


def test_a_closed_surface_is_turned_outward_whatever_its_cells_did():
    ico = trimesh.creation.icosphere(subdivisions=2)
    mesh = ml.Mesh(np.array(ico.vertices), {"triangle": np.array(ico.faces)})
    torch.manual_seed(0)
    rows = (torch.rand(mesh.n_cells) < 0.7).nonzero().squeeze(1).tolist()
    messy = turned(mesh, rows)
    assert not messy.is_watertight
    repaired = messy.oriented()
    assert repaired.is_watertight
    torch.testing.assert_close(repaired.volume(), mesh.volume())


def test_an_open_surface_keeps_its_majority():
    mesh = ml.shapes.square(n=4, boundary=False)
    sheet = mesh.replace(points=torch.cat([mesh.points, torch.zeros(mesh.n_points, 1)], 1))
    repaired = turned(sheet, [0, 7]).oriented()
    assert torch.equal(repaired.cells["triangle"], sheet.cells["triangle"])


def test_curves_are_made_to_run_one_way():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    loop = ml.Mesh(points, {"line": [[0, 1], [2, 1], [2, 3], [3, 0]]})
    assert not loop.topology.is_oriented
    assert loop.oriented().topology.is_oriented


def test_a_one_sided_surface_is_refused():
    n, points, cells = 20, [], []
    for i in range(n):
        a = 2 * math.pi * i / n
        for s in (-0.3, 0.3):
            r = 1 + s * math.cos(a / 2)
            points.append([r * math.cos(a), r * math.sin(a), s * math.sin(a / 2)])
    for i in range(n):
        a, b = 2 * i, 2 * i + 1
        c, d = (2 * i + 2, 2 * i + 3) if i < n - 1 else (1, 0)
        cells += [[a, c, b], [b, c, d]]
    strip = ml.Mesh(points, {"triangle": cells})
    assert strip.topology.euler_characteristic == 0
    with pytest.raises(ml.TopologyError, match="one-sided"):
        strip.oriented()
