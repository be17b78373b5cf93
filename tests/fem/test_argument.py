"""Functions inside forms are tensors of their values: methods, comparisons, powers; what cannot be is explained."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn import fem
from meshlearn.fem import FESpace, div, dot, grad, inner

DOUBLE = torch.float64


def _space(element="P1", n=3):
    return FESpace(ml.shapes.square(n=n, dtype=DOUBLE), element)


def _known(space, seed=0):
    return space.function(torch.rand(space.n_dofs, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed)) - 0.4)


PAIRS = {
    "==": (lambda x: (x.u == 0) * 1.0, lambda x: (x.u.value == 0) * 1.0),
    "!=": (lambda x: (x.u != 0) * 1.0, lambda x: (x.u.value != 0) * 1.0),
    ">": (lambda x: torch.where(x.u > 0.1, 2.0, 1.0), lambda x: torch.where(x.u.value > 0.1, 2.0, 1.0)),
    "<=": (lambda x: x.u <= x.w, lambda x: x.u.value <= x.w.value),
    "reflected <": (lambda x: x[0] < x.u, lambda x: x[0] < x.u.value),
    "2**u": (lambda x: 2**x.u, lambda x: torch.exp2(x.u.value)),
    "u**2": (lambda x: x.u**2, lambda x: x.u * x.u),
    "exp": (lambda x: x.u.exp(), lambda x: torch.exp(x.u)),
    "abs": (lambda x: x.u.abs() + abs(x.u), lambda x: 2 * torch.abs(x.u)),
    "clamp": (lambda x: x.u.clamp(0), lambda x: torch.clamp(x.u, 0)),
    "%": (lambda x: x.u % 0.1, lambda x: torch.remainder(x.u.value, 0.1)),
    "//": (lambda x: x.w // 0.3, lambda x: torch.floor_divide(x.w.value, 0.3)),
    "unsqueeze": (lambda x: x.u.unsqueeze(-1)[..., 0], lambda x: x.u.value),
    "None behind": (lambda x: x.u[..., None].squeeze(-1), lambda x: x.u.value),
    "None in front": (lambda x: x.u[None].sum(0), lambda x: x.u.value),
    "numpy's numbers": (lambda x: np.float64(2.0) * x.u - np.float32(0.5), lambda x: 2 * x.u - 0.5),
    "shape": (lambda x: x.u.new_zeros(x.u.shape) + x.u, lambda x: x.u.value),
}


@pytest.mark.parametrize("name", PAIRS)
def test_functions_in_forms_behave_as_tensors_of_their_values(name):
    space = _space("P2")
    mine, wanted = PAIRS[name]
    given = {"u": _known(space), "w": _known(space, 1)}
    read = {key: given[key] for key in given if f"x.{key}" in _source(name)}
    found, expected = space.assemble(mine, **read), space.assemble(wanted, **read)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0.0)


def _source(name):
    return "x.u x.w" if name == "<=" else "x.w" if name == "//" else "x.u"


def test_zero_is_found_where_it_is():
    space = _space()
    zero = space.function(torch.zeros(space.n_dofs, dtype=DOUBLE))
    assert space.assemble(lambda x: (x.u == 0) * 1.0, u=zero).item() == pytest.approx(1.0)
    half = space.function(space.interpolate(lambda x: x[0]))
    assert space.assemble(lambda x: (x.u > 2 / 3) * 1.0, u=half).item() == pytest.approx(1 / 3)


def test_a_law_with_a_switch_in_the_solution():
    """-(k u')' = 0 with k = 1, from u = 1/2 on 1 + 4 (u - 1/2): the flux is the integral of k over u, 3/2."""
    space = FESpace(ml.shapes.rectangle(1.0, 0.1, n=(32, 1), dtype=DOUBLE), "P1")

    def law(v, x):
        return torch.where(x.u > 0.5, 1 + 4 * (x.u - 0.5), 1.0) * dot(grad(x.u), grad(v))

    u = fem.solve_nonlinear(space, law, space.dirichlet({"left": 0.0, "right": 1.0}))
    flux = space.assemble(law, u=space.function(u))[space.dofs("right")].sum() / 0.1
    assert flux.item() == pytest.approx(1.5, rel=1e-3)


@pytest.mark.parametrize("element", ["P2^d", "RT0", "N1", "P1"])
def test_derivatives_are_attributes_too(element):
    space = _space(element)
    known = _known(space)
    parts = [part for part in ("grad", "div", "curl") if part in space.blocks[0].shapes(2)]
    if element == "P2^d":
        parts += ["div", "curl"]
    assert parts
    for part in parts:
        operator = getattr(fem, part)
        form = lambda u, v, x, p=part: inner(getattr(u, p), getattr(v, p))  # noqa: E731
        wanted = space.assemble(lambda u, v, x, o=operator: inner(o(u), o(v)))
        assert torch.equal(space.assemble(form).values, wanted.values)
        square = space.assemble(lambda x, p=part: inner(getattr(x.u, p), getattr(x.u, p)), u=known)
        assert square.item() == pytest.approx(
            space.assemble(lambda x, o=operator: inner(o(x.u), o(x.u)), u=known).item()
        )


def test_a_network_is_a_law_of_the_material():
    torch.manual_seed(0)
    space = _space("P1", 4)
    law = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Softplus(), torch.nn.Linear(4, 1), torch.nn.Softplus())
    law = law.double()
    form = lambda v, x: law(x.u[..., None])[..., 0] * dot(grad(x.u), grad(v)) - v  # noqa: E731
    u = fem.solve_nonlinear(space, form, space.dirichlet("boundary", 0.0))
    loss = u.square().sum()
    loss.backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in law.parameters())
    with torch.no_grad():
        weight, step = law[0].weight, 1e-6
        weight[0, 0] += step
        higher = fem.solve_nonlinear(space, form, space.dirichlet("boundary", 0.0)).square().sum()
        weight[0, 0] -= 2 * step
        lower = fem.solve_nonlinear(space, form, space.dirichlet("boundary", 0.0)).square().sum()
    assert ((higher - lower) / (2 * step)).item() == pytest.approx(law[0].weight.grad[0, 0].item(), rel=1e-5, abs=1e-10)


def test_constant_vectors_and_matrices_need_no_name():
    space = _space()
    wind, tensor = torch.tensor([1.0, -2.0], dtype=DOUBLE), torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=DOUBLE)
    found = space.assemble(lambda u, v, x: dot(dot(tensor, grad(u)), grad(v)) + dot(wind, grad(u)) * v)
    wanted = space.assemble(
        lambda u, v, x: (
            2 * grad(u)[0] * grad(v)[0]
            + 0.5 * (grad(u)[0] * grad(v)[1] + grad(u)[1] * grad(v)[0])
            + grad(u)[1] * grad(v)[1]
            + (grad(u)[0] - 2 * grad(u)[1]) * v
        )
    )
    torch.testing.assert_close(found.values, wanted.values)


REFUSED = [
    (lambda u, v, x: (v == 0) * u, "v is compared"),
    (lambda u, v, x: (x.u > u) * v, "u is compared"),
    (lambda u, v, x: (v.value == 0) * u, "not linear in v"),
    (lambda u, v, x: u.abs() * v, "not linear in u"),
    (lambda v, x: v.sum(), "mixes places"),
    (lambda v, x: v.mean() * x.u, "mixes places"),
    (lambda v, x: x.u[0] * v, "is a scalar"),
    (lambda v, x: len(x.u) * v, "is a scalar"),
    (lambda v, x: sum(c for c in x.u) * v, "is a scalar"),
    (lambda v, x: x.u @ x.u * v, r"dot\(a, b\)"),
    (lambda v, x: (torch.eye(2, dtype=DOUBLE) @ grad(v))[0] * x.u, r"dot\(a, b\)"),
    (lambda v, x: x.u.T * v, "transpose"),
    (lambda v, x: x.u.clamp_(0) * v, r"use x\.u\.clamp\(\)"),
    (lambda v, x: dot(x.u.gradient, grad(v)), "did you mean 'grad'"),
    (lambda v, x: dot(x.u.hess, grad(v)), "has no hess"),
    (lambda v, x: (1 if x.u > 0.5 else 2) * v, r"torch\.where"),
    (lambda v, x: float(x.u) * v, "no float"),
    (lambda v, x: dot(x[0].grad, grad(v)) * x.u, "not NoneType"),
    (lambda u, v: u * v, r"lambda u, v, x"),
    (lambda v, x: torch.sin(x) * v, r"lambda v, x"),
    (lambda v, x: x[:, 0] * v, r"not x\[:, 1\]"),
    (lambda u, v, x: 1j * u * v, "real and the imaginary"),
    (lambda u, v, x: torch.nn.Linear(1, 1)(x.u[..., None])[..., 0] * u * v, r"network\.double"),
    (lambda u, v, x: u * v - x[0] * v, "affine"),
    (lambda v, x: v - 1.0, "affine"),
    (lambda v, x: np.sin(x[0]) * v, "functions of numpy"),
    (lambda v, x: np.exp(x.u) * v, "functions of numpy"),
    (lambda v, x: np.maximum(x.u, 0.0) * v, "functions of numpy"),
    (lambda v, x: torch.from_numpy(np.asarray(x.u)) * v, "functions of numpy"),
]


@pytest.mark.parametrize(("form", "words"), REFUSED)
def test_what_functions_in_forms_cannot_do_is_explained(form, words):
    space = _space()
    with pytest.raises(ml.ParameterError, match=words):
        space.assemble(form, u=_known(space))


def test_numpy_in_functions_of_the_place_is_refused_and_numbers_of_numpy_are_not():
    space = _space()
    with pytest.raises(ml.ParameterError, match="functions of numpy"):
        space.assemble(lambda v, x: x.f * v, f=lambda x: np.cos(x[0]))
    found = space.assemble(lambda v, x: np.float64(2.0) * x[0] * v * np.pi)
    torch.testing.assert_close(found, space.assemble(lambda v, x: 2 * torch.pi * x[0] * v))


def test_parts_of_composite_spaces_are_named():
    space = _space(("P2^d", "P1"))
    with pytest.raises(ml.ParameterError, match="tuples of their parts"):
        space.assemble(lambda u, v, x: u * v)
    A = space.assemble(lambda u, v, x: u[0].div * v[1] + dot(u[0], v[0]))
    B = space.assemble(lambda u, v, x: div(u[0]) * v[1] + dot(u[0], v[0]))
    assert torch.equal(A.values, B.values)


def test_a_batch_as_long_as_there_are_cells_is_told_apart_by_name():
    space = _space("P1", 2)
    k = torch.rand(8, 8, dtype=DOUBLE)
    assert space.mesh.n_cells == 8
    with pytest.raises(ml.ParameterError, match=r"k=ml\.fem\.Batch\(k\)"):
        space.assemble(lambda v, x: x.k * v, k=k)
    batch = space.assemble(lambda v, x: x.k * v, k=fem.Batch(k))
    torch.testing.assert_close(batch[3], space.assemble(lambda v, x: x.k * v, k=k[3]))


def test_coefficients_that_no_form_reads_are_refused():
    space = _space()
    d = space.dirichlet("boundary", 0.0)
    k = torch.ones(space.mesh.n_cells, dtype=DOUBLE)
    with pytest.raises(ml.ParameterError, match=r"'kk' was given.*no form reads x\.kk"):
        space.assemble(lambda v, x: x.k * v, k=k, kk=3.0)
    with pytest.raises(ml.ParameterError, match=r"(?s)uses x\.emissivity.*did you mean x\.emisivity"):
        space.assemble(lambda v, x: x.emissivity * v, emisivity=3.0)
    with pytest.raises(ml.ParameterError, match="did you mean the argument order"):
        space.assemble(lambda v, x: v, oder=3)
    found = space.assemble(lambda v, x: x.f * v, f=lambda x: 2 * x.k, k=k)  # read by another coefficient
    torch.testing.assert_close(found, space.assemble(lambda v, x: 2 * v))

    law = lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) - 5 * v  # noqa: E731
    with pytest.raises(ml.ParameterError, match=r"options=\{'max_iterations': \.\.\.\}"):
        fem.solve_nonlinear(space, law, d, max_iterations=1)
    with pytest.raises(ml.ParameterError, match=r"options=\{'method': 'cg'\}"):
        fem.solve_nonlinear(space, law, d, method="cg")
    with pytest.raises(ml.ParameterError, match="did you mean the option tolerance"):
        fem.solve_nonlinear(space, law, d, tolerence=1e-3)
    with pytest.raises(ml.ParameterError, match=r"no form reads x\.s"):
        fem.solve_nonlinear(space, law, d, s=2.0)
    u = fem.solve_nonlinear(space, law, space.dirichlet("left"), on={"right": lambda v, x: x.s * v}, s=2.0)
    assert u.abs().max() > 0


def test_options_of_the_solver_are_checked():
    space = _space()
    law = lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) - 5 * v  # noqa: E731
    d = space.dirichlet("boundary", 0.0)
    for options, words in (
        ({"tol": 1e-8}, "did you mean 'tolerance'"),
        ({"max_iteration": 8}, "did you mean 'max_iterations'"),
        ("direct", "expected a dict"),
    ):
        with pytest.raises(ml.ParameterError, match=words):
            fem.solve_nonlinear(space, law, d, options=options)
    for form in (lambda u, v, x: dot(grad(u), grad(v)), lambda x: x.u):
        with pytest.raises(ml.ParameterError, match=r"takes the residual as a form \(v, x\)"):
            fem.solve_nonlinear(space, form, d)


def test_names_of_coefficients_and_spaces():
    space = _space()
    found = space.assemble(lambda v, x: x.form * x.self * v, form=2.0, self=3.0)
    torch.testing.assert_close(found, space.assemble(lambda v, x: 6 * v))
    with pytest.raises(ml.ParameterError, match=r"trial=space\.with_element"):
        space.assemble(lambda u, v, x: u * v, trial="P1")
