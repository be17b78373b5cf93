"""Conservative transfer: integrals to rounding, constants and linear functions come back, bounds where asked for."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.fem.remap import ConservativeRemap
from meshlearn.mesh.overlap import overlaps


def shaken(mesh, amount, seed=0):
    """The same domain with interior points moved."""
    generator = torch.Generator().manual_seed(seed)
    inside = (~mesh.topology.is_boundary)[:, None]
    return mesh.replace(
        points=mesh.points + amount * inside * (torch.rand(mesh.points.shape, generator=generator) - 0.5)
    )


def turned(mesh):
    """Every tetrahedron with two corners exchanged."""
    return ml.Mesh(mesh.points, {"tetra": mesh.cells["tetra"][:, [1, 0, 2, 3]]})


def kuhn(n):
    """A box of tetrahedra, sheared inside so that no face of it is a face of another box."""
    mesh = ml.shapes.box(n=n, cells="tetra").double()
    x, y, z = mesh.points.T
    bubble = x * (1 - x) * y * (1 - y) * z * (1 - z)
    return mesh.replace(points=mesh.points + bubble[:, None] * torch.tensor([3.0, -2.0, 1.0]).double())


PAIRS = {
    "unlike squares": lambda: (ml.shapes.square(n=5).double(), ml.shapes.square(size=0.13).double()),
    "moved points": lambda: (ml.shapes.square(n=8).double(), shaken(ml.shapes.square(n=8).double(), 0.1)),
    "l-shapes": lambda: (ml.shapes.l_shape(n=4).double(), ml.shapes.l_shape(size=0.2).double()),
    "intervals": lambda: (ml.shapes.interval(n=7).double(), shaken(ml.shapes.interval(n=9).double(), 0.08)),
    "the same mesh": lambda: (ml.shapes.square(n=4).double(), ml.shapes.square(n=4).double()),
    "boxes of tetrahedra": lambda: (
        ml.shapes.box(n=2, cells="tetra").double(),
        shaken(ml.shapes.box(n=3, cells="tetra").double(), 0.15),
    ),
    "the same tetrahedra": lambda: (ml.shapes.box(n=2, cells="tetra").double(),) * 2,
    "tetrahedra numbered both ways": lambda: (turned(ml.shapes.box(n=2, cells="tetra").double()), kuhn(3)),
    "clockwise": lambda: (
        ml.shapes.square(n=4).double(),
        shaken(
            ml.shapes.square(n=5, boundary=False)
            .replace(cells={"triangle": ml.shapes.square(n=5, boundary=False).cells["triangle"].flip(1)})
            .double(),
            0.05,
        ),
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_overlaps_tile_both_meshes(pair):
    source, target = PAIRS[pair]()
    pieces = overlaps(source, target)
    for mesh, cell in ((source, pieces.first), (target, pieces.second)):
        total = (
            torch.zeros(mesh.n_cells).double().index_add(0, torch.from_numpy(cell), torch.from_numpy(pieces.measure))
        )
        torch.testing.assert_close(total, mesh.join_cells(mesh.cell_measures()), rtol=1e-11, atol=0)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("bounded", [False, True])
def test_integrals_constants_and_bounds(pair, bounded):
    source, target = PAIRS[pair]()
    remap = ConservativeRemap(source, target)
    assert remap.covered == pytest.approx(1, abs=1e-12)
    values = torch.stack([torch.rand(source.n_points), (source.points[:, 0] > 0.4).double() * 3 - 1], 1).double()
    made = remap(values, bounded)
    exact, found = remap.integrals(values, made)
    torch.testing.assert_close(found, exact, rtol=1e-13, atol=1e-14)
    space = [ml.fem.FESpace(m, "P1") for m in (source, target)]
    assert float(space[1].integrate(made[:, 0])) == pytest.approx(float(space[0].integrate(values[:, 0])), rel=1e-12)
    torch.testing.assert_close(
        remap(torch.ones(source.n_points).double(), bounded), torch.ones(target.n_points).double()
    )
    if bounded:
        assert bool((made <= values.amax(0)).all())
        assert bool((made >= values.amin(0)).all())
    else:
        linear = source.points @ torch.arange(1.0, source.dim + 1).double()
        torch.testing.assert_close(remap(linear), target.points @ torch.arange(1.0, source.dim + 1).double())


def test_the_projection_is_the_closest_field_and_has_new_extrema():
    source, target = PAIRS["unlike squares"]()
    remap = ConservativeRemap(source, target)
    step = (source.points[:, 0] > 0.4).double()
    free, held = remap(step), remap(step, bounded=True)
    assert float(free.max()) > 1.01
    assert remap.distance(step, free) < remap.distance(step, held) < 2 * remap.distance(step, free)
    for other in (free + 1e-3 * torch.randn(len(free)), ml.interpolation_operator(source, target.points)[0] @ step):
        assert remap.distance(step, free) < remap.distance(step, other)
    torch.testing.assert_close(remap.mass @ free.numpy(), remap.mixed @ step.numpy())


def tetrahedron(*corners):
    return ml.Mesh(torch.tensor(corners).double(), {"tetra": [[0, 1, 2, 3]]})


def test_two_tetrahedra_meet_in_what_geometry_says():
    """A corner cut off a tetrahedron by another has the volume of the small one; those that touch share nothing."""
    unit = tetrahedron((0.0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    large = tetrahedron((0.0, 0, 0.5), (2, 0, 0.5), (0, 2, 0.5), (0, 0, 2.5))  # z > 1/2 and x + y + z < 5/2
    assert overlaps(unit, large).measure.sum() == pytest.approx(0.5**3 / 6, rel=1e-14)
    mirrored = tetrahedron((1.0, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))  # x + y + z > 2: both are corners of a cube
    assert len(overlaps(unit, mirrored).measure) == 0
    first = tetrahedron((0.0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1))
    second = tetrahedron((1.0, 1, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    assert overlaps(first, second).measure.sum() == pytest.approx(1 / 6, rel=1e-14)  # the octahedron in a cube
    inner = unit.replace(points=0.1 + 0.5 * unit.points)
    assert overlaps(unit, inner).measure.sum() == pytest.approx(0.5**3 / 6, rel=1e-14)


def test_smooth_fields_converge_in_second_order():
    errors = {False: [], True: []}
    for n in (8, 16):
        source, target = ml.shapes.square(n=n).double(), ml.shapes.square(n=n + 3).double()
        remap = ConservativeRemap(source, target)
        wave = lambda x: torch.sin(3 * x[:, 0]) * torch.cos(2 * x[:, 1])  # noqa: E731
        for bounded, found in errors.items():
            found.append(float((remap(wave(source.points), bounded) - wave(target.points)).square().mean().sqrt()))
    assert math.log2(errors[False][0] / errors[False][1]) > 1.7
    assert errors[True][1] < 0.6 * errors[True][0]


def test_domains_that_differ_keep_what_they_share():
    source, target = ml.shapes.disc(size=0.3).double(), ml.shapes.disc(size=0.2).double()
    remap = ConservativeRemap(source, target)
    assert 0.98 < remap.covered < 1
    torch.testing.assert_close(remap(torch.ones(source.n_points).double()), torch.ones(target.n_points).double())
    values = 2 + source.points[:, 0]
    exact, found = remap.integrals(values, remap(values, bounded=True))
    torch.testing.assert_close(exact, found, rtol=1e-13, atol=0)


def test_refusals():
    box = ml.shapes.box(n=2, cells="hexahedron")
    with pytest.raises(ml.TopologyError, match=r"and tetrahedra; got[\s\S]*ml.interpolate"):
        ConservativeRemap(box, box)
    square = ml.shapes.square(n=2).double()
    with pytest.raises(ml.TopologyError, match="dimensions"):
        overlaps(square, ml.shapes.interval(n=3).double())
    with pytest.raises(ml.MeshError, match="no cell that overlaps"):
        ConservativeRemap(square, square.replace(points=square.points + 5))
    remap = ConservativeRemap(square, square)
    with pytest.raises(ml.FieldError, match=r"expected \(9, ...\)"):
        remap(torch.ones(4))
    with pytest.raises(ml.FieldError, match="not finite"):
        remap(torch.full((9,), torch.nan))
