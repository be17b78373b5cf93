"""Forms are read as written: operators by their definitions, mistakes by their reason."""

import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, cross, curl, div, dot, grad, hess, identity, inner, outer, sym, trace, transpose


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (lambda u, v, x: u * u * v, "not linear in u"),
        (lambda u, v, x: (u + 1) * v, "not linear in u"),
        (lambda u, v, x: u * v**2, "not linear in v"),
        (lambda u, v, x: torch.sin(u) * v, "not linear in u"),
        (lambda v, x: 1.0, "not linear in v"),
        (lambda v, x: 0.0, "does not depend on v"),
        (lambda u, v, x: u * 1.0, "not linear in v"),
        (lambda u, v, x: grad(u) * v, r"components \(2,\)"),
        (lambda v, x: None, "returned None"),
        (lambda a, b, c, d: 0.0, "takes 4 arguments"),
        (lambda: 0.0, "takes 0 arguments"),
        (lambda u, v, x: div(u) * v, "no divergence"),
        (lambda u, v, x: trace(grad(u)) * v, "square matrix"),
        (lambda u, v, x: trace(hess(u)) * v, "has no hess"),
        (lambda u, v, x: dot(grad(2 * u), grad(v)), "products are written out"),
        (lambda u, v, x: u[0] * v, "is a scalar"),
        (lambda u, v, x: dot(u, grad(v)), r"scalar multiplies with \*"),
        (lambda u, v, x: inner(u, grad(v)), "equal components"),
        (lambda v, x: x.normal[0] * v, "integrals over facets only"),
    ],
)
def test_mistakes_are_told_by_their_reason(form, words):
    with pytest.raises(ml.ParameterError, match=words):
        FESpace(plain("triangle"), "P1").assemble(form)


@pytest.mark.parametrize("order", [-1, 99, True])
def test_orders_are_small_integers(order):
    with pytest.raises(ml.ParameterError, match="order="):
        FESpace(plain("triangle"), "P1").assemble(lambda x: 1.0, order=order)


def test_zero_is_a_form():
    space = FESpace(plain("triangle"), "P1")
    A = space.assemble(lambda u, v, x: 0.0 * u * v)
    assert A.values.abs().max() == 0
    assert A.values.shape == space.assemble(lambda u, v, x: u * v).values.shape


def test_operators_on_a_known_field():
    """u = (y z, x^2, x y) at known derivatives."""
    space = FESpace(uneven("tetra"), "P2^d")
    u = space.function(space.interpolate(lambda x: [x[1] * x[2], x[0] ** 2, x[0] * x[1]]))

    def square_of(difference):
        return space.assemble(lambda x: difference(x) ** 2, order=6, u=u) < 1e-24

    zero = lambda x: 0 * x[0]  # noqa: E731
    gradient = lambda x: [  # noqa: E731
        [zero(x), x[2], x[1]], [2 * x[0], zero(x), zero(x)], [x[1], x[0], zero(x)]
    ]  # fmt: skip
    rotation = lambda x: [x[0], 0 * x[0], 2 * x[0] - x[2]]  # noqa: E731
    for i in range(3):
        assert square_of(lambda x, i=i: curl(x.u)[i] - rotation(x)[i])
        assert square_of(lambda x, i=i: cross(x.points, x.u.value)[i] - (
            x[(i + 1) % 3] * x.u[(i + 2) % 3] - x[(i + 2) % 3] * x.u[(i + 1) % 3]
        ))  # fmt: skip
        for j in range(3):
            assert square_of(lambda x, i=i, j=j: grad(x.u)[i, j] - gradient(x)[i][j])
            assert square_of(lambda x, i=i, j=j: transpose(grad(x.u))[i, j] - gradient(x)[j][i])
            assert square_of(lambda x, i=i, j=j: 2 * sym(grad(x.u))[i, j] - gradient(x)[i][j] - gradient(x)[j][i])
            assert square_of(lambda x, i=i, j=j: outer(x.u, x.points)[i, j] - x.u[i] * x[j])
    assert square_of(lambda x: div(x.u))
    assert square_of(lambda x: dot(grad(x.u), x.points)[2] - 2 * x[0] * x[1])
    assert square_of(lambda x: inner(grad(x.u), identity(grad(x.u))) - trace(grad(x.u)))


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_inverse_and_determinant_of_a_deformation(kind):
    space = FESpace(uneven(kind), "P1^d")
    u = space.function(
        space.interpolate(lambda x: [0.1 * x[0] + 0.2 * x[1], 0.3 * x[0], *([0.1 * x[0]] * (len(x.points) == 3))])
    )
    F = lambda x: grad(x.u) + identity(grad(x.u))  # noqa: E731
    residual = space.assemble(
        lambda x: inner(*[dot(F(x), ml.fem.inverse(F(x))) - identity(F(x))] * 2) + (ml.fem.det(F(x)) - 1.04) ** 2, u=u
    )
    assert residual < 1e-24


def test_arguments_behave_like_numbers():
    space = FESpace(uneven("triangle"), "P1")
    A = space.assemble(lambda u, v, x: -(2 * u - u / 2 + (-u)) * v + 0 * abs(x[0]) * u * v)
    B = space.assemble(lambda u, v, x: u * v)
    assert torch.allclose(A.values, -0.5 * B.values)
    assert torch.allclose(
        space.assemble(lambda v, x: torch.exp(x.f) * v, f=space.function(torch.zeros(space.n_dofs).double())),
        space.assemble(lambda v, x: v),
    )


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad"])
def test_the_size_of_a_cell_is_a_scalar(kind):
    mesh = plain(kind, 3)
    space, measures = FESpace(mesh, "P1"), mesh.cell_measures()[kind]
    size = (measures * {"triangle": 2, "tetra": 6, "quad": 1}[kind]) ** (1 / mesh.dim)
    for form in (lambda x: x.size, lambda x: x.size * 1.0, lambda x: 0 * x[0] + x.size):
        assert torch.allclose(space.assemble(form), (size * measures).sum())
    assert torch.allclose(space.assemble(lambda v, x: x.size * v).sum(), (size * measures).sum())
    assert space.assemble(lambda x: x.size, on="left").item() == pytest.approx(size[0].item())
