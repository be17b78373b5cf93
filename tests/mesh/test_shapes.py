"""Shapes: exact measures, Euler characteristics, orientation, complete boundary sets, curved second order."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.mesh.geometry import signed_cell_measures
from meshlearn.mesh.quality import n_inverted
from meshlearn.mesh.validity import check_mesh

S = ml.shapes
PLANAR, SOLID = ("triangle", "quad", "mixed"), ("tetra", "hexahedron", "wedge", "pyramid", "mixed")
F64 = {"dtype": torch.float64}

# name: (function, cell options, exact measure, Euler characteristic, all sides are straight)
CASES = {
    "rectangle": (lambda **k: S.rectangle(2.0, 1.0, n=(3, 2), **k), PLANAR, 2.0, 1, True),
    "rectangle by size": (lambda **k: S.rectangle(2.0, 1.0, size=0.2, **k), PLANAR, 2.0, 1, True),
    "l_shape": (lambda **k: S.l_shape(2.0, n=2, **k), PLANAR, 3.0, 1, True),
    "l_shape by size": (lambda **k: S.l_shape(2.0, size=0.25, **k), PLANAR, 3.0, 1, True),
    "disc": (lambda **k: S.disc(2.0, n=4, **k), PLANAR, 4 * math.pi, 1, False),
    "disc by size": (lambda **k: S.disc(2.0, size=0.5, **k), PLANAR, 4 * math.pi, 1, False),
    "annulus": (lambda **k: S.annulus(0.5, 1.0, n=(16, 4), **k), PLANAR, 0.75 * math.pi, 0, False),
    "annulus by size": (lambda **k: S.annulus(0.5, 1.0, size=0.2, **k), PLANAR, 0.75 * math.pi, 0, False),
    "plate": (
        lambda **k: S.plate_with_holes([(0.5, 0.5, 0.2), (1.4, 0.6, 0.2, 0.1, 0.4)], 0.15, (2.0, 1.0), **k),
        PLANAR,
        2 - math.pi * (0.04 + 0.02),
        -1,
        False,
    ),
    "sphere": (lambda refine=0, **k: S.sphere(2.0, refine + 2, **k), PLANAR, 16 * math.pi, 2, False),
    "torus": (lambda **k: S.torus(1.0, 0.4, n=(16, 8), **k), PLANAR, 1.6 * math.pi**2, 0, False),
    "box": (lambda **k: S.box(1.0, 2.0, 3.0, n=3, **k), SOLID, 6.0, 1, True),
    "cylinder": (lambda **k: S.cylinder(1.0, 2.0, n=(3, 2), **k), (*SOLID[:3], "mixed"), 2 * math.pi, 1, False),
    "ball": (lambda **k: S.ball(1.0, n=2, **k), ("tetra", "hexahedron"), 4 / 3 * math.pi, 1, False),
}  # fmt: skip
ALL = [(name, cells, order) for name, case in CASES.items() for cells in case[1] for order in (1, 2)]


@pytest.mark.parametrize(("name", "cells", "order"), ALL)
def test_measure_topology_and_boundary(name, cells, order):
    make, _, exact, euler, straight = CASES[name]
    mesh = make(cells=cells, order=order, **F64)
    if straight:
        assert mesh.measure().item() == pytest.approx(exact, rel=1e-12)
    else:
        assert mesh.measure().item() == pytest.approx(exact, rel=0.25 if order == 1 else 8e-3)
    if mesh.cell_dim == mesh.dim:
        assert all(bool((v > 0).all()) for k, v in signed_cell_measures(mesh).items() if k in mesh.domain_types)
    assert n_inverted(mesh) == 0
    topology = mesh.topology
    assert topology.euler_characteristic == euler
    assert topology.is_manifold
    assert topology.is_oriented
    assert bool(topology.is_used.all())
    # every boundary facet is a cell and in exactly one set (plates also have "outline", their whole outer boundary)
    facets = sum(len(nodes) for nodes in topology.boundary_facets.values())
    tags = sum(len(nodes) for kind, nodes in mesh.cells.items() if kind not in mesh.domain_types)
    named = sum(len(rows) for set_, kinds in mesh.cell_sets.items() if set_ != "outline" for rows in kinds.values())
    assert facets == tags == named
    if mesh.cell_dim < mesh.dim:
        assert mesh.is_watertight
    assert check_mesh(mesh) == []


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case[4]])
def test_curved_shapes_converge_to_the_exact_measure(name, order):
    """Straight facets miss a curve by h^2. Second-order cells miss its measure by h^4, some by h^3 per step only."""
    make, options, exact, _, _ = CASES[name]
    errors = [abs(make(cells=options[0], order=order, refine=k, **F64).measure().item() / exact - 1) for k in (0, 1)]
    assert errors[1] < errors[0] / (3.3 if order == 1 else 9)


def test_second_order_nodes_lie_on_the_true_boundary():
    for mesh, radius, axes in (
        (S.disc(2.0, n=3, order=2, **F64), 2.0, 2),
        (S.disc(2.0, size=0.5, order=2, **F64), 2.0, 2),
        (S.sphere(2.0, 1, "quad", order=2, **F64), 2.0, 3),
        (S.ball(2.0, n=1, order=2, **F64), 2.0, 3),
    ):
        chosen = mesh.boundary_points if mesh.cell_dim == mesh.dim else torch.arange(mesh.n_points)
        distance = mesh.points[chosen][:, :axes].norm(dim=1)
        torch.testing.assert_close(distance, torch.full_like(distance, radius), rtol=1e-12, atol=0)
    side = S.cylinder(1.0, 2.0, n=2, cells="hexahedron", order=2, **F64)
    nodes = side.cells["quad9"][side.cell_sets["side"]["quad9"]].unique()
    distance = side.points[nodes][:, :2].norm(dim=1)
    torch.testing.assert_close(distance, torch.ones_like(distance), rtol=1e-12, atol=0)


def test_named_sides_are_where_they_say():
    mesh = S.rectangle(2.0, 1.0, n=(4, 3), order=2, **F64)
    for name, axis, value in (("left", 0, 0.0), ("right", 0, 2.0), ("bottom", 1, 0.0), ("top", 1, 1.0)):
        nodes = mesh.cells["line3"][mesh.cell_sets[name]["line3"]]
        assert (mesh.points[nodes][..., axis] == value).all()
    box = S.box(1.0, 2.0, 3.0, n=2, **F64)
    tops = box.cells["triangle"][box.cell_sets["top"]["triangle"]]
    assert (box.points[tops][..., 2] == 3.0).all()
    l_shape = S.l_shape(2.0, size=0.3, **F64)
    inner = l_shape.points[l_shape.cells["line"][l_shape.cell_sets["inner"]["line"]]]
    assert ((inner - 1.0).abs().amin(-1) < 1e-12).all()
    assert l_shape.cell_measures()["line"][l_shape.cell_sets["inner"]["line"]].sum().item() == pytest.approx(2.0)


def test_boundary_can_be_left_out_and_dtype_chosen():
    mesh = S.square(n=2, boundary=False)
    assert mesh.cell_counts == {"triangle": 8}
    assert not mesh.cell_sets
    assert mesh.dtype == torch.float32
    assert S.square(n=2, **F64).dtype == torch.float64


def test_numbers_of_cells():
    assert S.rectangle(refine=3, boundary=False).cell_counts == {"triangle": 128}
    assert S.sphere(refine=3).n_points == 642
    assert S.box(n=(1, 2, 3), boundary=False).cell_counts == {"tetra": 36}
    assert S.interval(n=3, order=2).cell_counts == {"line3": 3, "vertex": 2}
    assert set(S.interval(n=3).cell_sets) == {"left", "right"}


def test_diagonals():
    right, left = S.square(n=1, boundary=False), S.square(n=1, pattern="left", boundary=False)
    assert [0, 3] in right.edges.tolist()
    assert [1, 2] in left.edges.tolist()
    degrees = S.square(n=4, pattern="alternate").point_adjacency.degree()
    assert degrees.max() == 8


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: S.rectangle(-1.0, 1.0), "lx"),
        (lambda: S.rectangle(n=0), "n=0"),
        (lambda: S.rectangle(n=4, size=0.1), "size"),
        (lambda: S.rectangle(cells="hexagon"), "hexagon"),
        (lambda: S.rectangle(order=3), "order"),
        (lambda: S.rectangle(refine=-1), "refine"),
        (lambda: S.rectangle(pattern="zigzag"), "zigzag"),
        (lambda: S.annulus(1.0, 0.5), "inner"),
        (lambda: S.annulus(n=(2, 2)), "n="),
        (lambda: S.torus(1.0, 1.5), "1.5"),
        (lambda: S.box(n=2, cells="mixed"), "mixed"),
        (lambda: S.sphere(float("nan")), "nan"),
    ],
)
def test_impossible_arguments_are_refused_by_name(call, word):
    with pytest.raises(ParameterError, match=word):
        call()
