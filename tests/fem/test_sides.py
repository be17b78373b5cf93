"""Integrals over facets between two cells: what is continuous is integrated, what has two values needs a side."""

import pytest
import torch

import meshlearn as ml
from meshlearn.fem import FESpace, OneSide, div, dot, grad, inner

DOUBLE = torch.float64
MESHES = ["triangle", "quad", "tetra", "hexahedron", "triangle6"]
FACETS = {"triangle": "line", "quad": "line", "tetra": "triangle", "hexahedron": "quad"}


def _mesh(kind, seed=None):
    """The unit square or cube, with the facets "mid" at x = 1/2 and the points in random order."""
    first = kind.rstrip("6")
    flat = first in ("triangle", "quad")
    mesh = (ml.shapes.square if flat else ml.shapes.box)(n=4 if flat else 2, cells=first, dtype=DOUBLE)
    if seed is not None:
        order = torch.randperm(mesh.n_points, generator=torch.Generator().manual_seed(seed))
        number = torch.argsort(order)
        mesh = mesh.replace(points=mesh.points[order], cells={k: number[c] for k, c in mesh.cells.items()})
    name = FACETS[first]
    nodes = mesh.topology.facets[name].nodes
    middle = nodes[((mesh.points[nodes][..., 0] - 0.5).abs() < 1e-9).all(1)]
    numbers = torch.arange(len(mesh.cells[name]), len(mesh.cells[name]) + len(middle))
    west = {first: torch.nonzero(mesh.cell_centroids()[first][:, 0] < 0.5)[:, 0]}
    mesh = mesh.replace(
        cells={**mesh.cells, name: torch.cat([mesh.cells[name], middle])},
        cell_sets={**mesh.cell_sets, "mid": {name: numbers}, "west": west},
    )
    return mesh if first == kind else ml.second_order(mesh)


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_continuous_integrands_need_no_side(kind, seed):
    mesh = _mesh(kind, seed)
    space = FESpace(mesh, "P2")
    assert space.assemble(lambda x: x[1] ** 2, on="mid").item() == pytest.approx(1 / 3)
    u = space.function(space.interpolate(lambda x: x[0] + x[1] ** 2))
    assert space.assemble(lambda x: x.u * x.g, on="mid", u=u, g=mesh.points[:, 0]).item() == pytest.approx(5 / 12)
    load = space.assemble(lambda v, x: x[1] * v, on="mid")
    assert load.sum().item() == pytest.approx(0.5)
    mass = space.assemble(lambda u, v, x: x.k * u * v, on="mid", k=torch.tensor(2.0, dtype=DOUBLE))
    ones = torch.ones(space.n_dofs, dtype=DOUBLE)
    assert (ones @ (mass @ ones)).item() == pytest.approx(2.0)
    space.assemble(lambda v, x: x.normal[0] ** 2 * v, on="mid")  # the same from both sides


def _jump(x):
    return torch.where(x[0] > 0.5, 1.0, 3.0)


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("seed", [None, 1])
def test_what_has_two_values_is_refused_and_known_from_one_side(kind, seed):
    mesh = _mesh(kind, seed)
    space, rough = FESpace(mesh, "P1"), FESpace(mesh, "P0")
    first = mesh.domain_types[0]
    centres = mesh.cell_centroids()[first]
    k = torch.where(centres[:, 0] > 0.5, 1.0, 3.0).double()
    steep = space.function(space.interpolate(lambda x: torch.where(x[0] > 0.5, 2 * x[0] - 0.5, x[0])))
    cases = {
        "normal": (lambda x: x.normal[0], {}, 1.0, -1.0),
        "per cell": (lambda x: x.k, {"k": k}, 3.0, 1.0),
        "P0": (lambda x: x.k, {"k": rough.function(k)}, 3.0, 1.0),
        "gradient": (lambda x: grad(x.u)[0], {"u": steep}, 1.0, 2.0),
        "flux": (lambda x: x.k * dot(grad(x.u), x.normal), {"u": steep, "k": k}, 3.0, -2.0),
    }
    for form, given, west, east in cases.values():
        with pytest.raises(ml.ParameterError, match=r"OneSide\('mid', cells\)"):
            space.assemble(form, on="mid", **given)
        assert space.assemble(form, on=OneSide("mid", "west"), **given).item() == pytest.approx(west)
        assert space.assemble(form, on=OneSide("mid", centres[:, 0] > 0.5), **given).item() == pytest.approx(east)
    for form in (
        lambda v, x: x.normal[0] * v,
        lambda v, x: grad(v)[0],
        lambda u, v, x: grad(u)[0] * v,
        lambda u, v, x: u * grad(v)[0],
    ):
        with pytest.raises(ml.ParameterError, match="two sides"):
            space.assemble(form, on="mid")
        space.assemble(form, on=OneSide("mid", "west"))
    with pytest.raises(ml.ParameterError, match="two sides"):
        rough.assemble(lambda v, x: v, on="mid")
    assert rough.assemble(lambda v, x: v, on=OneSide("mid", "west"))[centres[:, 0] > 0.5].abs().sum() == 0


def test_nothing_cancels():
    """Normals that add up to zero over the facets, and functions that do over a facet, are seen all the same."""
    mesh = _mesh("triangle")
    space, cr, rt = FESpace(mesh, "P1"), FESpace(mesh, "CR"), FESpace(mesh, "RT0")
    for form, given in (
        (lambda x: x.normal[0] * (x[1] - 0.5), {}),
        (lambda x: x.u, {"u": cr.function(torch.rand(cr.n_dofs, dtype=DOUBLE))}),
        (lambda x: dot(x.u, x.normal), {"u": rt.function(torch.rand(rt.n_dofs, dtype=DOUBLE))}),
        (lambda x: div(x.u), {"u": rt.function(torch.rand(rt.n_dofs, dtype=DOUBLE))}),
    ):
        with pytest.raises(ml.ParameterError, match="two sides"):
            space.assemble(form, on="mid", **given)
    flux = rt.function(torch.rand(rt.n_dofs, dtype=DOUBLE))
    through = space.assemble(lambda x: dot(x.u, x.normal) ** 2, on="mid", u=flux)  # of RT0 this is continuous
    for side in ("west", mesh.cell_centroids()["triangle"][:, 0] > 0.5):
        square = space.assemble(lambda x: dot(x.u, x.normal) ** 2, on=OneSide("mid", side), u=flux)
        assert through.item() == pytest.approx(square.item())


def test_points_between_intervals():
    points = torch.linspace(0, 1, 5, dtype=DOUBLE)[:, None]
    cells = torch.stack([torch.arange(4), torch.arange(1, 5)], 1)
    mesh = ml.Mesh(
        points,
        {"line": cells, "vertex": torch.tensor([[2]])},
        cell_sets={"mid": {"vertex": torch.tensor([0])}, "west": {"line": torch.tensor([0, 1])}},
    )
    space = FESpace(mesh, "P1")
    assert space.assemble(lambda x: x[0], on="mid").item() == pytest.approx(0.5)
    with pytest.raises(ml.ParameterError, match="two sides"):
        space.assemble(lambda x: x.normal[0], on="mid")
    assert space.assemble(lambda x: x.normal[0], on=OneSide("mid", "west")).item() == 1.0


def test_batches_gradients_and_newton_steps_pass_through_one_side():
    mesh = _mesh("triangle")
    space = FESpace(mesh, "P2")
    k = torch.rand(3, mesh.n_cells, dtype=DOUBLE, requires_grad=True)
    with pytest.raises(ml.ParameterError, match="two sides"):
        space.assemble(lambda v, x: x.k * v, on="mid", k=k)
    made = space.assemble(lambda v, x: x.k * v, on=OneSide("mid", "west"), k=k)
    (slope,) = torch.autograd.grad(made.sum(), k)
    assert slope.sum().item() == pytest.approx(3.0)
    u = ml.fem.solve_nonlinear(
        space,
        lambda v, x: inner(grad(x.u), grad(v)),
        space.dirichlet("left", 0.0),
        on={OneSide("mid", "west"): lambda v, x: (x.u**3 - x.normal[0]) * v},
    )
    assert u[space.dofs("right")].mean().item() == pytest.approx(0.4534, abs=1e-4)  # 2 w + w^3 = 1


def test_sides_that_are_none():
    mesh = _mesh("triangle")
    space = FESpace(mesh, "P1")
    for side, words in (("left", "given by cells"), (torch.tensor([0]), "one is needed"), ("nowhere", "no boundary")):
        with pytest.raises(ml.MeshlearnError, match=words):
            space.assemble(lambda x: x.normal[0], on=OneSide("mid", side))
    everywhere = torch.ones(mesh.n_cells, dtype=torch.bool)
    with pytest.raises(ml.ParameterError, match="4 times both"):
        space.assemble(lambda x: x.normal[0], on=OneSide("mid", everywhere))
