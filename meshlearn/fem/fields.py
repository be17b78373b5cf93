"""The place x where a weak form is evaluated, and the trial and test functions that run through all unit jets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import HIDDEN, Argument
from meshlearn.hints import did_you_mean, near_names

__all__ = ["HIDDEN", "Argument", "Place", "spread", "unit_jets"]


class Place:
    """`x` in a form: x[0], x[1] are coordinates, x.name a coefficient, x.normal and x.size what they say.

    points        function without arguments: (dim, cells, places) coordinates
    normal        (dim, cells, places) outward unit normals, on facets only
    size          function without arguments: (cells,) or (cells, places) size of the cells, |det J|^(1/dim)
    coefficients  {name: function without arguments that returns the array or Argument}
    """

    __array_ufunc__ = None  # functions of numpy are refused

    def __init__(
        self,
        points: Callable[[], Tensor],
        normal: Tensor | None,
        size: Callable[[], Tensor],
        coefficients: dict[str, Callable[[], Any]],
    ) -> None:
        self._points, self._normal, self._size, self._coefficients = points, normal, size, coefficients
        self._known: dict[str, Any] = {}
        self._read: set[str] = set()
        self._open: tuple[str, ...] = ()

    def __getitem__(self, index: Any) -> Tensor:
        points = self.points
        if isinstance(index, tuple) and any(isinstance(i, (int, slice)) for i in index[1:]):
            raise ParameterError(
                "x[0], x[1] … are the coordinates, each of all places at once: a second index would pick out cells and "
                "places. Write x[1], not x[:, 1]."
            )
        try:
            return points[index]
        except IndexError:
            raise ParameterError(
                f"x[{index}] does not exist: the mesh has {len(points)} coordinates, x[0] … x[{len(points) - 1}]."
            ) from None

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.points)

    @property
    def points(self) -> Tensor:
        """Coordinates."""
        return spread(self._points())

    @property
    def normal(self) -> Tensor:
        """Outward unit normal, in integrals over facets."""
        if self._normal is None:
            raise ParameterError("x.normal exists in integrals over facets only: assemble(form, on='name').")
        return spread(self._normal)

    @property
    def size(self) -> Tensor:
        """Size of the cell."""
        size = self._size()
        return spread(size if size.dim() == 2 else size[:, None])

    def alter(
        self, change: Callable[..., Any], points: Callable[[Tensor], Tensor], functions: Collection[str] = ()
    ) -> None:
        """Pass coefficients, normals and sizes through a change; coordinates (dim, cells, places) through another.
        Functions of the place see changed ones, and what they make goes through change(values, made=True)."""
        for name, make in self._coefficients.items():
            then = partial(change, made=True) if name in functions else change
            self._coefficients[name] = partial(_then, then, make)
        normal, size, where = self._normal, self._size, self._points
        if normal is not None:
            self._normal = change(normal.unsqueeze(-2)).squeeze(-2)  # cells third from behind
        self._size = lambda: change(size()[:, None, None])[:, 0]
        self._points = lambda: points(where())

    def coordinates(self) -> Tensor:
        """Coordinates (dim, cells, places), without the hidden axes."""
        return self._points()

    def moved(self, points: Tensor) -> Place:
        """The same place with other coordinates (dim, cells, places); coefficients stay what they are."""
        return Place(lambda: points, self._normal, self._size, self._coefficients)

    def replacing(self, name: str, value: Any) -> Place:
        """The same place with another value of a coefficient."""
        made = Place(self._points, self._normal, self._size, self._coefficients)
        made._read, made._open = self._read, self._open
        made._known = {**self._known, name: value}
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._coefficients and name not in self._known:
            known = ", ".join(self._coefficients) or "none"
            if hasattr(Tensor, name) and not near_names(name, self._coefficients):
                raise ParameterError(
                    f"x.{name}: x is the place and no tensor; its coordinates are x[0], x[1] …, and torch.stack([x[0], "
                    f"x[1]]) is a tensor of them.\n  If a coefficient of this name is meant, it was not given: "
                    f"assemble(form, {name}=...)."
                )
            raise ParameterError(
                f"the form uses x.{name}, which was not given{did_you_mean(name, self._coefficients, words='x.{}')}\n"
                f"  coefficients: {known}\n  Give it by name: assemble(form, {name}=...)."
            )
        self._read.add(name)
        if name not in self._known:
            self._known[name] = self._coefficients[name]()
        return self._known[name]


def names_read(x: Place) -> set[str]:
    """Names of the coefficients that a form has asked for."""
    return x._read


def open_shapes(x: Place, *words: str) -> tuple[str, ...]:
    """Words on coefficients whose shape can be read in two ways; those given are added."""
    x._open = (*x._open, *words)
    return x._open


def _then(change: Callable[[Any], Any], make: Callable[[], Any]) -> Any:
    return change(make())


def spread(values: Tensor) -> Tensor:
    """(*components, cells, places) -> (*components, 1, 1, cells, 1, places)."""
    return values.unsqueeze(-2)[..., None, None, :, :, :]


def unit_jets(shapes: Iterable[dict[str, tuple[int, ...]]], parts: list[set[str]], axis: int, like: Tensor):
    """Arguments' arrays that run through every component of the used parts along a hidden axis.

    Returns ([{part: array}] per field, [{part: slice of the axis}] per field, length of the axis).
    """
    slices: list[dict[str, slice]] = []
    total = 0
    shapes = list(shapes)
    for known, used in zip(shapes, parts, strict=True):
        mine = {}
        for part in known:
            if part in used:
                width = int(torch.Size(known[part]).numel())
                mine[part] = slice(total, total + width)
                total += width
        slices.append(mine)
    arrays = []
    hidden = [1] * HIDDEN
    hidden[axis] = total
    identity = torch.eye(total, dtype=like.dtype, device=like.device)
    for known, mine in zip(shapes, slices, strict=True):
        arrays.append({part: identity[where].reshape(*known[part], *hidden) for part, where in mine.items()})
    return arrays, slices, total
