"""Integrals over parts of the mesh: subdomains add up to the whole, and are what an indicator function picks out."""

import pytest
import skfem
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import Batch, FESpace, assembly, dot, grad, solve

KINDS = ["line", "triangle", "quad", "tetra", "triangle6", "quad9"]


def halves(kind, n=4):
    """A mesh with its cells in two subdomains."""
    mesh = uneven(kind, n)
    left = mesh.cell_centroids()[mesh.domain_types[0]][:, 0] < 0.5
    rows = {"west": torch.nonzero(left)[:, 0], "east": torch.nonzero(~left)[:, 0]}
    sets = {name: {mesh.domain_types[0]: found} for name, found in rows.items()}
    return mesh.replace(cell_sets={**mesh.cell_sets, **sets}), left


def stiffness(u, v, x):
    return x.k * dot(grad(u), grad(v)) + x.k * x[0] * u * v


@pytest.mark.parametrize("kind", KINDS)
def test_subdomains_are_what_their_indicator_picks_out(kind):
    mesh, left = halves(kind)
    space = FESpace(mesh, "P2")
    k = torch.rand(mesh.n_cells, dtype=torch.float64)
    for form in (stiffness, lambda v, x: x.k * v * x[0], lambda x: x.k):
        given = [(k, "west"), (k, "east"), (k, None), (k * left, None)]
        made = [space.assemble(form, on=on, k=values) for values, on in given]
        west, east, whole, indicated = (m.values if isinstance(m, ml.ops.SparseOperator) else m for m in made)
        torch.testing.assert_close(west + east, whole)
        torch.testing.assert_close(west, indicated)
    both = space.assemble(stiffness, on=["west", "east"], k=k)
    torch.testing.assert_close(both.values, space.assemble(stiffness, k=k).values)


def test_masks_numbers_and_runs_of_cells(monkeypatch):
    mesh, left = halves("triangle", 6)
    space = FESpace(mesh, "P1")
    k = torch.rand(3, mesh.n_cells, dtype=torch.float64)
    wanted = space.assemble(stiffness, on="west", k=k).values
    assert wanted.shape[0] == 3
    numbers = torch.nonzero(left)[:, 0]
    for on in (left, numbers, numbers.flip(0), left.numpy(), torch.cat([numbers, numbers])):
        assert torch.equal(space.assemble(stiffness, on=on, k=k).values, wanted)
    monkeypatch.setattr(assembly, "CHUNK", 500)
    torch.testing.assert_close(space.assemble(stiffness, on="west", k=k).values, wanted)
    one = space.assemble(lambda u, v, x: x.s * u * v, on="west", s=Batch(torch.tensor([1.0, 2.0])))
    torch.testing.assert_close(one[1].values, 2 * one[0].values)


def test_a_rigid_inclusion_by_the_name_of_its_cells():
    mesh, _ = halves("quad")
    space = FESpace(mesh, "P2")
    inside = space.dofs("west")
    assert bool((space.dof_points[inside, 0] <= 0.7).all())
    A, b = space.assemble(lambda u, v, x: dot(grad(u), grad(v))), space.assemble(lambda v, x: v, on="east")
    u = solve(A, b, space.dirichlet("west", 2.0))
    west, east = (
        space.assemble(lambda x: dot(grad(x.u), grad(x.u)), on=o, u=space.function(u)) for o in ("west", "east")
    )
    assert west.item() < 1e-25 < 1e-3 < east.item()
    area = sum(space.assemble(lambda x: 1.0, on=name).item() for name in ("west", "east"))
    assert area == pytest.approx(1.0)


def test_subdomains_of_a_basis():
    made = skfem.MeshTri().refined(2).with_subdomains({"low": lambda x: x[1] < 0.5})
    space = FESpace(skfem.Basis(made, skfem.ElementTriP1()))
    assert space.assemble(lambda x: 1.0, on="low").item() == pytest.approx(0.5)


def test_wrong_parts_are_named():
    mesh, _ = halves("triangle")
    space = FESpace(mesh, "P1")
    one = lambda x: 1.0  # noqa: E731
    with pytest.raises(ml.FieldError, match=r"no boundary named 'inlet', and no subdomain.*\n.*'left'.*'west', 'east'"):
        space.assemble(one, on="inlet")
    with pytest.raises(ml.FieldError, match="subdomains: 'west', 'east'"):
        space.dofs("inlet")
    with pytest.raises(ml.ParameterError, match="mixes boundaries"):
        space.assemble(one, on=["west", "left"])
    with pytest.raises(ml.ParameterError, match="0 … 31"):
        space.assemble(one, on=torch.tensor([32]))
    with pytest.raises(ml.ParameterError, match=r"expected a mask of the cells \(32,\)"):
        space.assemble(one, on=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ml.ParameterError, match="no cells"):
        space.assemble(one, on=torch.zeros(32, dtype=torch.bool))
    twice = {**mesh.cell_sets, "left": {**mesh.cell_sets["left"], "triangle": [0, 1]}}
    with pytest.raises(ml.FieldError, match="both a boundary and a subdomain"):
        FESpace(mesh.replace(cell_sets=twice), "P1").assemble(one, on="left")


def test_names_of_plain_meshes_stay_boundaries():
    space = FESpace(plain("triangle"), "P1")
    assert space.assemble(lambda x: 1.0, on=("left", "top")).item() == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad"])
def test_a_function_of_the_points_selects_facets_of_the_boundary(kind):
    space = FESpace(plain(kind, 3), "P1")
    for where, name in ((lambda x: x[0] == 0, "left"), (lambda x: x[0] > -1, "boundary")):
        made = space.assemble(lambda v, x: (1 + x[1]) * v, on=where)
        assert torch.equal(made, space.assemble(lambda v, x: (1 + x[1]) * v, on=name))
    vectors = FESpace(space.mesh, "P1^d")
    assert torch.equal(vectors.slip(lambda x: x[0] == 0).independent, vectors.slip("left").independent)
    with pytest.raises(ml.ParameterError, match="names no facets"):
        space.assemble(lambda v, x: v, on=lambda x: x[0] > 5)


@pytest.mark.parametrize(
    ("on", "words"),
    [
        (torch.zeros(18, dtype=torch.bool), r"on=a mask \(18,\) with 0 True names no cells"),
        ([], "names no part"),
        ([3], "on has 3: expected names"),
    ],
)
def test_nothing_is_told_in_few_words(on, words):
    with pytest.raises(ml.ParameterError, match=words):
        FESpace(plain("triangle", 3), "P1").assemble(lambda v, x: v, on=on)
