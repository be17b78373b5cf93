"""Nonlinear problems from their residual form alone: the tangent is derived at the places of the quadrature.

The residual is a form F(v; u) with the solution as the known field x.u. Its derivative in the direction w is taken by
forward-mode differentiation at every place, where only values and derivatives of u enter: the tangent matrix is exact,
for any law that is written in torch, and costs one evaluation per component of the direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import Argument
from meshlearn.fem.assembly import assemble
from meshlearn.fem.fields import Place
from meshlearn.fem.forms import n_arguments
from meshlearn.fem.given import check_read
from meshlearn.fem.newton import LINEAR, OPTIONS, NewtonInfo, newton, unknown_option
from meshlearn.quiet import quietly_imported

if TYPE_CHECKING:
    from meshlearn.fem.constraint import AffineConstraint
    from meshlearn.fem.space import FESpace
    from meshlearn.ops import SparseOperator


_SETTINGS = ("constraint", "initial", "name", "order", "on", "options")


class _Independent(ParameterError):
    """A form without a derivative: the solution does not occur in it."""


def tangent(form: Callable[..., Any], name: str = "u") -> Callable[..., Any]:
    """The bilinear form (w, v, x) -> dF(v; u)/du w of a form F (v, x) that depends on the known field x.<name>.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=2), "P1")
    >>> cubic = ml.fem.tangent(lambda v, x: x.u**3 * v)
    >>> A = space.assemble(cubic, u=space.function(torch.ones(space.n_dofs)))
    >>> M = space.assemble(lambda u, v, x: 3 * u * v)
    >>> torch.allclose(A.values, M.values)
    True
    """

    def derivative(w: Any, v: Any, x: Place) -> Tensor:
        known = getattr(x, name)
        if not isinstance(known, (Argument, tuple)):
            raise ParameterError(
                f"x.{name} must be a function of a space, space.function(dofs), to differentiate in it."
            )
        quietly_imported("torch._decomp.decompositions_for_jvp", DeprecationWarning)  # torch would, aloud
        with forward_ad.dual_level():
            pairs = zip(known, w, strict=True) if isinstance(known, tuple) else [(known, w)]
            duals = tuple(_dual(field, direction) for field, direction in pairs)
            value = form(v, x.replacing(name, duals if isinstance(known, tuple) else duals[0]))
            value = value.value if isinstance(value, Argument) else value
            moved = forward_ad.unpack_dual(value).tangent if isinstance(value, Tensor) else None
            if moved is None:
                raise _Independent(f"the form does not depend on x.{name}.")
            return moved

    return derivative


def _dual(known: Argument, direction: Argument) -> Argument:
    def part(name: str) -> Tensor:
        at, along = torch.broadcast_tensors(known.part(name), direction.part(name))
        return forward_ad.make_dual(at.clone(), along.to(at.dtype).clone())

    return Argument(part, known.shapes, known.name)


def solve_nonlinear(
    space: FESpace,
    form: Callable[..., Any],
    /,
    constraint: AffineConstraint | None = None,
    initial: Float[Tensor, " n_dofs"] | None = None,
    name: str = "u",
    order: int | None = None,
    on: Mapping[Any, Callable[..., Any]] | None = None,
    options: Any = None,
    **coefficients: Any,
) -> Float[Tensor, " n_dofs"]:
    """Dofs of u with F(v; u) = 0 for all v, by Newton's method with line search; see `meshlearn.fem.newton.newton`.

    form          F as a form (v, x) with the solution as x.<name>; linear in v
    constraint    Dirichlet and other affine constraints
    initial       first guess (n_dofs,); 0 if not given
    order         of the quadrature
    on            {boundary or subdomain: form}: further terms of F, integrated there only, such as fluxes and radiation
                  through boundaries; names as in `assemble`, a tuple of names for several
    options       {name: value} for `newton` and its linear solves: tolerance, max_iterations, derivatives, info;
                  method="cg", preconditioner="amg" …
    coefficients  of the forms; gradients of the result flow to them by the implicit function theorem

    Raises ConvergenceError with `.residuals` if the iteration fails: load in steps, each started from the last;
    ParameterError for coefficients that no form reads, and for options that are none.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=4), "P1")
    >>> law = lambda v, x: (1 + x.u**2) * ml.fem.dot(ml.fem.grad(x.u), ml.fem.grad(v)) - x.f * v
    >>> u = ml.fem.solve_nonlinear(space, law, space.dirichlet("left"), f=10.0, on={"right": lambda v, x: x.u**3 * v})
    >>> space.assemble(law, u=space.function(u), f=10.0)[12].abs().item() < 1e-9
    True
    """
    options = _checked(options, coefficients)
    start = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device) if initial is None else initial
    terms = [(form, None), *((term, list(at) if isinstance(at, tuple) else at) for at, term in (on or {}).items())]
    for term, _ in terms:
        _check_residual(term, name)
    read: set[str] = set()

    def assembled(u: Tensor, forms: Callable[..., Any]) -> list[Any]:
        given: Any = {name: space.function(u), **coefficients}
        made = []
        for term, where in terms:
            with suppress(_Independent):  # a given flux has no tangent
                made.append(assemble(space, space, forms(term), where, order, given, read))
        return made

    def residual(u: Tensor) -> Tensor:
        total = sum(assembled(u, lambda term: term))
        check_read(coefficients, read, _SETTINGS, (*OPTIONS, *LINEAR))
        return total

    def jacobian(u: Tensor) -> SparseOperator:
        parts = assembled(u, lambda term: tangent(term, name))
        if not parts:
            raise ParameterError(f"no form depends on x.{name}: the solution is called x.{name} in them.")
        return sum(parts)

    return newton(residual, jacobian, start, constraint, **options)


def _checked(options: Any, coefficients: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a dict. Raises ParameterError for others, and for options among the coefficients."""
    for key, value in coefficients.items():
        if key in (*OPTIONS, *LINEAR) and (value is None or isinstance(value, (str, bool, NewtonInfo))):
            raise ParameterError(
                f"{key!r} is an option of the solver, not a coefficient: options={{{key!r}: {value!r}}}."
            )
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ParameterError(
            f"options is a {type(options).__name__} ({options!r}); expected a dict of options of the solver, such as "
            "options={'tolerance': 1e-8, 'method': 'direct'}."
        )
    for key in options:
        if key not in (*OPTIONS, *LINEAR):
            raise ParameterError(unknown_option(str(key)))
    return dict(options)


def _check_residual(form: Any, name: str) -> None:
    count = n_arguments(form)
    if count != 2:
        raise ParameterError(
            f"solve_nonlinear takes the residual as a form (v, x), this one takes {count} arguments.\n"
            f"  The solution is the known field x.{name} in it: lambda v, x: (1 + x.{name}**2) * dot(grad(x.{name}), "
            "grad(v)) - x.f * v. A linear problem a(u, v) = l(v) is assembled and solved: solve(A, b, constraint)."
        )
