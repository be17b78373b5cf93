"""A batch of matrices is its matrices, however its coefficients depend on each other."""

import pytest
import torch
from space_cases import plain, uneven

from meshlearn.fem import Batch, FESpace, div, dot, grad, inner, sym
from meshlearn.fem.batches import multiples

N = 5


def random(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.2


def stokes(u, v, x):
    return x.k * inner(grad(u[0]), grad(v[0])) - u[1] * div(v[0]) - x.c * v[1] * div(u[0])


CASES = {
    "one number per cell": ("P1", lambda u, v, x: x.k * dot(grad(u), grad(v)), {"k": ()}),
    "values and slopes": ("P2", lambda u, v, x: x.k * dot(grad(u), grad(v)) + x.c * u * v, {"k": (), "c": ()}),
    "full tensors": ("P1", lambda u, v, x: dot(dot(x.k, grad(u)), grad(v)), {"k": (2, 2)}),
    "a tensor for all": ("P1", lambda u, v, x: x.k * dot(dot(x.one, grad(u)), grad(v)), {"k": ()}),
    "a law": ("P1", lambda u, v, x: torch.where(x.k > 0.7, x.k, x.k**2) * dot(grad(u), grad(v)), {"k": ()}),
    "elasticity": (
        "P1^d",
        lambda u, v, x: 2 * x.k * inner(sym(grad(u)), sym(grad(v))) + x.c * div(u) * div(v),
        {"k": (), "c": ()},
    ),
    "signs": ("RT0", lambda u, v, x: x.k * dot(u, v) + x.c * div(u) * div(v), {"k": (), "c": ()}),
    "parts": (("P2^d", "P1"), stokes, {"k": (), "c": ()}),
    "on places": ("P2", lambda u, v, x: (x.k + x[0]) * dot(grad(u), grad(v)), {"k": ()}),
    "tables": ("Morley", lambda u, v, x: x.k * u * v, {"k": ()}),
}


def given(mesh, shapes, extra):
    made = {name: random(N, mesh.n_cells, *shape, seed=len(name) + ord(name[0])) for name, shape in shapes.items()}
    return {name: Batch(values) for name, values in made.items()} | extra


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("on", [None, "boundary", "half"])
def test_batches_equal_their_matrices(case, on):
    mesh = uneven("triangle", 3)
    element, form, shapes = CASES[case]
    space = FESpace(mesh, element)
    extra = {"one": random(mesh.n_cells, 2, 2, seed=9)} if case == "a tensor for all" else {}
    where = torch.arange(mesh.n_cells) % 2 == 0 if on == "half" else on
    coefficients = given(mesh, shapes, extra)
    made = space.assemble(form, on=where, **coefficients)
    assert len(made) == N
    assert made.values.is_contiguous()
    for b, A in enumerate(made):
        single = {name: k.values[b] if isinstance(k, Batch) else k for name, k in coefficients.items()}
        wanted = space.assemble(form, on=where, **single)
        assert torch.allclose(A.values, wanted.values, rtol=0, atol=1e-13 * float(wanted.values.abs().max()))


@pytest.mark.parametrize("case", ["values and slopes", "full tensors", "a law", "signs", "parts"])
def test_gradients_of_batches_are_those_of_their_matrices(case):
    """Also where coefficients have equal values by chance: their gradients are not those of multiples."""
    mesh = uneven("triangle", 2)
    element, form, shapes = CASES[case]
    tensors = {
        name: torch.ones(N, mesh.n_cells, *s, dtype=torch.float64).requires_grad_() for name, s in shapes.items()
    }
    points = mesh.points.clone().requires_grad_()
    space = FESpace(mesh.replace(points=points), element)
    together = space.assemble(form, **{name: Batch(k) for name, k in tensors.items()}).values
    apart = torch.stack([space.assemble(form, **{n: k[b] for n, k in tensors.items()}).values for b in range(N)])
    weights = random(*apart.shape, seed=3)
    wanted, made = (
        torch.autograd.grad((weights * values.cos()).sum(), [*tensors.values(), points]) for values in (apart, together)
    )
    for one, two in zip(wanted, made, strict=True):
        assert torch.allclose(one, two, atol=1e-12)


@pytest.mark.parametrize("moving", [False, True])
def test_gradcheck_of_batches(moving):
    mesh = uneven("triangle", 1)

    def entries(k, c, points):
        space = FESpace(mesh.replace(points=points if moving else mesh.points), "P1")
        return space.assemble(CASES["values and slopes"][1], k=Batch(k), c=Batch(c)).values

    k, c = random(2, mesh.n_cells).requires_grad_(), random(2).requires_grad_()
    given = k, c, mesh.points.clone().requires_grad_(moving)
    assert torch.autograd.gradcheck(entries, given)
    assert torch.autograd.gradgradcheck(entries, given, fast_mode=True)


def test_coefficients_that_vanish_or_are_not_finite():
    space = FESpace(plain("triangle", 3), "P1")
    form = CASES["one number per cell"][1]
    k = random(N, space.mesh.n_cells)
    zero = space.assemble(form, k=0 * k)
    assert zero.values.shape == (N, space.pattern().adjacency.n_edges)
    assert not zero.values.any()
    k[2] = 0.0
    k[:, 4] = 0.0
    made = space.assemble(form, k=k)
    assert torch.equal(made.adjacency.index, zero.adjacency.index)
    assert not made[2].values.any()
    assert torch.allclose(made[1].values, space.assemble(form, k=k[1]).values, atol=1e-14)
    k[3, 0] = torch.nan
    broken = space.assemble(form, k=k).values
    assert broken[3].isnan().any()
    assert torch.allclose(broken[1], made[1].values, atol=1e-14)


def test_single_precision_and_numbers():
    space = FESpace(plain("triangle", 3), "P2", dtype=torch.float32)
    made = space.assemble(lambda u, v, x: x.k * u * v, k=Batch(torch.tensor([1.0, 2.0, 0.0])))
    mass = space.assemble(lambda u, v, x: u * v).values
    assert made.values.dtype == torch.float32
    assert torch.allclose(made.values, torch.tensor([[1.0], [2.0], [0.0]]) * mass, atol=1e-7)


def test_multiples_are_found_cell_by_cell_and_nothing_else_is():
    k, other = random(4, N, seed=1), random(4, N, seed=2)
    per_cell = random(4, 1, seed=3)
    weights, kept = multiples(torch.stack([0 * k, k, 2 * k, per_cell * k, other, -0.3 * other, k + 1e-9 * other]))
    assert kept.tolist() == [1, 4, 6]
    assert torch.allclose(weights[3, :, 0], per_cell[:, 0])
    assert torch.allclose(weights[5, :, 1], torch.tensor(-0.3, dtype=torch.float64))
    assert not weights[0].any()
    assert weights.ne(0).sum(2)[1:].eq(1).all()


def test_batches_of_many_cells_come_in_runs(monkeypatch):
    space = FESpace(plain("tetra", 3), "P2")
    k = random(N, space.mesh.n_cells)
    form = CASES["one number per cell"][1]
    whole = space.assemble(form, k=k).values
    monkeypatch.setattr("meshlearn.fem.assembly.BATCH_CHUNK", 9 * N * 7)
    monkeypatch.setattr("meshlearn.fem.batches.BLOCK", 500)
    assert torch.allclose(space.assemble(form, k=k).values, whole, atol=1e-15)
    k.requires_grad_()
    assert torch.allclose(space.assemble(form, k=k).values, whole, atol=1e-15)
    (slope,) = torch.autograd.grad(space.assemble(form, k=k).values.square().sum(), k)
    monkeypatch.undo()
    (wanted,) = torch.autograd.grad(space.assemble(form, k=k).values.square().sum(), k)
    assert torch.allclose(slope, wanted, atol=1e-14)
