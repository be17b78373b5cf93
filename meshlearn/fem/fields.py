"""What a weak form is written in: trial and test functions, known fields, and the place where it is evaluated.

Every array in a form has the axes (*components, trial, test, cells, batch, places): components first, so that scalars
and vectors combine by plain broadcasting, and five axes behind them that the user never sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError

HIDDEN = 5  # axes behind the components: trial, test, cells, batch, places


class Argument:
    """u, v or a known field inside a form: behaves like the tensor of its values; grad, div and curl ask for more.

    parts   function of "value", "grad", "div", "curl" or "hess" that returns the array of that part
    shapes  {part: shape of its components}: what exists
    """

    def __init__(self, parts: Callable[[str], Tensor], shapes: dict[str, tuple[int, ...]], name: str) -> None:
        self._parts, self.shapes, self.name = parts, shapes, name
        self._known: dict[str, Tensor] = {}

    def part(self, name: str) -> Tensor:
        """The array (*components, trial, test, cells, batch, places) of a part."""
        if name not in self.shapes:
            raise ParameterError(f"{self.name} has no {name}: its element offers {', '.join(self.shapes)}.")
        if name not in self._known:
            self._known[name] = self._parts(name)
        return self._known[name]

    @property
    def value(self) -> Tensor:
        """The values."""
        return self.part("value")

    def __getitem__(self, index: Any) -> Tensor:
        if not self.shapes["value"]:
            raise ParameterError(f"{self.name} is a scalar and has no components; use it without brackets.")
        try:
            return self.value[index]
        except IndexError:
            raise ParameterError(
                f"{self.name}[{index}] does not exist: {self.name} has components {self.shapes['value']}."
            ) from None

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return function(*[_plain(a) for a in args], **{k: _plain(a) for k, a in (kwargs or {}).items()})

    def __iter__(self):
        return iter(self.value)

    def __neg__(self):
        return -self.value

    def __abs__(self):
        return self.value.abs()

    def __add__(self, other):
        return self.value + _plain(other)

    def __radd__(self, other):
        return _plain(other) + self.value

    def __sub__(self, other):
        return self.value - _plain(other)

    def __rsub__(self, other):
        return _plain(other) - self.value

    def __mul__(self, other):
        return self.value * _plain(other)

    def __rmul__(self, other):
        return _plain(other) * self.value

    def __truediv__(self, other):
        return self.value / _plain(other)

    def __rtruediv__(self, other):
        return _plain(other) / self.value

    def __pow__(self, power):
        return self.value ** _plain(power)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{part}{shape}' for part, shape in self.shapes.items())})"


def _plain(value: Any) -> Any:
    if isinstance(value, Argument):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return value


class Place:
    """`x` in a form: x[0], x[1] are coordinates, x.name a coefficient, x.normal and x.size what they say.

    points        function without arguments: (dim, cells, places) coordinates
    normal        (dim, cells, places) outward unit normals, on facets only
    size          function without arguments: (cells,) size of the cells, |det J|^(1/dim)
    coefficients  {name: function without arguments that returns the array or Argument}
    """

    def __init__(
        self,
        points: Callable[[], Tensor],
        normal: Tensor | None,
        size: Callable[[], Tensor],
        coefficients: dict[str, Callable[[], Any]],
    ) -> None:
        self._points, self._normal, self._size, self._coefficients = points, normal, size, coefficients
        self._known: dict[str, Any] = {}

    def __getitem__(self, index: Any) -> Tensor:
        points = self.points
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
        return self._size()[:, None, None]

    def alter(self, change: Callable[[Any], Any], points: Callable[[Tensor], Tensor]) -> None:
        """Pass coefficients (functions of the place see changed ones), normals and sizes through a change; coordinates
        (dim, cells, places) through another."""
        for name, make in self._coefficients.items():
            self._coefficients[name] = partial(_then, change, make)
        normal, size, where = self._normal, self._size, self._points
        if normal is not None:
            self._normal = change(normal.unsqueeze(-2)).squeeze(-2)  # cells third from behind
        self._size = lambda: change(size()[:, None, None])[:, 0, 0]
        self._points = lambda: points(where())

    def replacing(self, name: str, value: Any) -> Place:
        """The same place with another value of a coefficient."""
        made = Place(self._points, self._normal, self._size, self._coefficients)
        made._known = {**self._known, name: value}
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._coefficients and name not in self._known:
            known = ", ".join(self._coefficients) or "none"
            raise ParameterError(
                f"the form uses x.{name}, which was not given.\n  coefficients: {known}\n"
                f"  Give it by name: assemble(form, {name}=...)."
            )
        if name not in self._known:
            self._known[name] = self._coefficients[name]()
        return self._known[name]


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
