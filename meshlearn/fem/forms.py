"""From a weak form, a plain callable, to its coefficients at every place.

A form is linear in the trial and the test function, so it is known by its values on unit jets: one component of a value
or a derivative is 1, all others 0. One call with all of them along two hidden axes gives the coefficients

    F(u, v)(x) = sum_{a, b} C_ab(x) u_a(x) v_b(x),   u_a: the components of u, grad u, …

which are small (for -div(k grad u) on a triangle 2 x 2 numbers per place, and one place per cell if k is constant on
cells) where the products of all pairs of basis functions at all places are large.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import HIDDEN, Argument
from meshlearn.fem.explain import explained
from meshlearn.fem.fields import Place, open_shapes, unit_jets
from meshlearn.fem.reference import Block

TRIAL, TEST = 0, 1  # hidden axes
_RANDOM = (
    "the form is random: called twice with the same data it gives different values, so that it cannot be told to be "
    "linear.\n  Networks with dropout are evaluated by network.eval(); random coefficients are drawn before and given "
    "by name, assemble(form, k=torch.rand(mesh.n_cells))."
)


@dataclass(frozen=True)
class Jets:
    """The fields of a trial or test space in a form: which parts it uses, and where they lie along the hidden axis."""

    name: str
    shapes: tuple[dict[str, tuple[int, ...]], ...]
    parts: tuple[set[str], ...]

    @classmethod
    def of(cls, name: str, blocks: list[Block], dim: int) -> Jets:
        """Nothing used yet."""
        return cls(name, tuple(block.shapes(dim) for block in blocks), tuple(set() for _ in blocks))

    def arguments(self, arrays: Callable[[int, str], Tensor]) -> Any:
        """What the form gets: one argument, or a tuple of them for a composite space."""
        made = tuple(
            Argument(partial(arrays, k), known, self.name if len(self.shapes) == 1 else f"{self.name}[{k}]", True)
            for k, known in enumerate(self.shapes)
        )
        return made[0] if len(made) == 1 else made


def n_arguments(form: Any) -> int:
    """3 for u, v, x; 2 for v, x; 1 for x. Raises ParameterError for anything else."""
    if not callable(form):
        raise ParameterError(f"a weak form is a function such as lambda u, v, x: dot(grad(u), grad(v)), not {form!r}.")
    try:
        parameters = inspect.signature(form).parameters.values()
    except (TypeError, ValueError):
        raise ParameterError(f"the arguments of {form!r} cannot be counted; wrap it in a lambda u, v, x.") from None
    count = sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    if count not in (1, 2, 3):
        raise ParameterError(
            f"a weak form takes (u, v, x), a right-hand side (v, x), an integral (x); this one takes {count} arguments."
        )
    return count


def coefficients(form: Callable[..., Any], jets: list[Jets], place: Place, like: Tensor):
    """C at every place: (array (trial, test, cells, batch, places), slices of every field's parts along each axis).

    jets   those of trial and test (bilinear), of test (linear), or nothing (integral), after `probe`
    """
    arguments, slices = [], []
    for axis, mine in zip((TRIAL, TEST)[2 - len(jets) :], jets, strict=True):
        arrays, where, total = unit_jets(mine.shapes, list(mine.parts), axis, like)
        if total == 0:
            raise ParameterError(f"the form does not depend on {mine.name}.")
        arguments.append(mine.arguments(partial(_part, arrays)))
        slices.append(where)
    return call(form, arguments, place, like), slices


def _part(arrays: list[dict[str, Tensor]], k: int, part: str) -> Tensor:
    return arrays[k][part]


def random_fields(jets: list[Jets], like: Tensor) -> list[list[dict[str, Tensor]]]:
    """{part: (2, *components, 1, 1, 1, 1, 1)} with two values in 0.5 … 1.5 for each field of trial and test."""
    generator = torch.Generator().manual_seed(0)
    known: list[list[dict[str, Tensor]]] = []
    for mine in jets:
        known.append([])
        for shapes in mine.shapes:
            made = {
                p: torch.rand((2, *s, *[1] * HIDDEN), generator=generator, dtype=like.dtype) for p, s in shapes.items()
            }
            known[-1].append({p: 0.5 + values.to(like.device) for p, values in made.items()})
    return known


def probe(form: Callable[..., Any], jets: list[Jets], place: Place, like: Tensor) -> None:
    """Try the form on the place of a few cells: note the parts that it uses, refuse one that is not linear."""
    known = random_fields(jets, like)

    def arguments(weights: list[tuple[float, float]]) -> list[Any]:
        def arrays(mine: Jets, fields: list[dict[str, Tensor]], a: float, b: float):
            def array(k: int, part: str) -> Tensor:
                mine.parts[k].add(part)
                return a * fields[k][part][0] + b * fields[k][part][1]

            return array

        made = []
        for mine, fields, (a, b) in zip(jets, known, weights, strict=True):
            made.append(mine.arguments(arrays(mine, fields, a, b)))
        return made

    with torch.no_grad():
        n = len(jets)
        for k, mine in enumerate(jets):
            one, two, both, none = (
                call(form, arguments([w if i == k else (1.0, 0.0) for i in range(n)]), place, like)
                for w in ((1.0, 0.0), (0.0, 1.0), (2.0, -3.0), (0.0, 0.0))
            )
            scale = one.abs().max() + two.abs().max()

            def vanish(values: Tensor, scale: Tensor = scale) -> bool:
                return bool((values.abs() <= 1e-4 * scale + 1e-30).all()) or not bool(torch.isfinite(values).all())

            if vanish(both - 2 * one + 3 * two) and vanish(none):
                continue
            again = [call(form, arguments([(1.0, 0.0)] * n), place, like) for _ in range(2)]
            if not torch.equal(again[0].nan_to_num(), again[1].nan_to_num()):
                raise ParameterError(_RANDOM)
            finite = bool(torch.isfinite(one).all() and not torch.isfinite(none).all())
            if not finite and vanish(both - none - 2 * (one - none) + 3 * (two - none)):
                raise ParameterError(_affine(mine.name, n))
            raise ParameterError(
                f"the form is not linear in {mine.name}: F(2a - 3b) differs from 2 F(a) - 3 F(b).\n"
                "  A nonlinear problem is written as a residual, linear in v, with the solution as the known field "
                "x.u: solve_nonlinear(space, lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) - x.f * v, ...)."
            )


def _affine(name: str, n: int) -> str:
    """What to say of a form with a part that does not contain a trial or test function."""
    words = f"the form is not linear in {name} but affine: a part of it does not contain {name}.\n  "
    if n == 1:
        return words + "A right-hand side has v in every term: lambda v, x: x.f * v; a plain integral is lambda x: x.f."
    return words + (
        "An equation a(u, v) = l(v) is given side by side, not as a(u, v) - l(v): A = space.assemble(lambda u, v, x: "
        "dot(grad(u), grad(v))), b = space.assemble(lambda v, x: x.f * v, f=...), solve(A, b, ...)."
    )


def call(form: Callable[..., Any], arguments: list[Any], place: Place, like: Tensor) -> Tensor:
    """Values of a form (trial, test, cells, batch, places), axes of length 1 where nothing changes."""
    result = explained("the form", form, *arguments, place)
    if isinstance(result, Argument):
        result = result.value
    if not isinstance(result, Tensor):
        if not isinstance(result, (int, float, np.integer, np.floating)):
            raise ParameterError(f"a weak form returns a tensor or a number, this one returned {result!r}.")
        result = torch.as_tensor(result, dtype=like.dtype, device=like.device)
    if result.is_complex():
        raise ParameterError(
            "the form is complex, the spaces are real: write the real and the imaginary part as the two parts of a "
            "composite space, FESpace(mesh, ('P1', 'P1'))."
        )
    if result.dtype != like.dtype:  # a condition, or a network in single precision
        result = result.to(like.dtype)
    if result.dim() == 0:
        result = result.reshape([1] * HIDDEN)
    if result.dim() != HIDDEN:
        seen = tuple(result.shape[: max(result.dim() - HIDDEN, 0)])
        raise ParameterError(
            f"a weak form returns a scalar at every place, this one has components {seen}.\n"
            "  Contract them: dot(a, b) for vectors, inner(a, b) for matrices, or add up the components."
            + "".join(f"\n  {words}" for words in open_shapes(place))
        )
    return result
