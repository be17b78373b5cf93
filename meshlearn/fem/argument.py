"""Trial, test and known functions inside a form: tensors of their values that know their derivatives.

Every array in a form has the axes (*components, trial, test, cells, batch, places): components first, so that scalars
and vectors combine by plain broadcasting, and five axes behind them that the user never sees.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean, near_names

HIDDEN = 5  # axes behind the components: trial, test, cells, batch, places
PRODUCT = (
    "@ multiplies along the axes of cells and places, which lie behind the components: write dot(a, b), which is the "
    "product of vectors and matrices."
)
NUMPY = (
    "functions of numpy and math know no gradients and no devices: in forms, and in functions of the place, use those "
    "of torch: torch.sin(x[0]), torch.exp(x.u)."
)
_TURNED = ("T", "mT", "H", "mH")


def _forward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Argument, *other: Any) -> Any:
        return function(self.value, *(plain(o) for o in other))

    return method


def _backward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Argument, other: Any) -> Any:
        return function(plain(other), self.value)

    return method


def _compared(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Argument, other: Any) -> Any:
        unknown = [a.name for a in (self, other) if isinstance(a, Argument) and a.linear]
        if unknown:
            raise ParameterError(
                f"{unknown[0]} is compared in the form, which must be linear in it: only the place and known fields "
                "can be compared, torch.where(x.k > 0.5, a, b) or (x[0] > 0.5) * a."
            )
        return function(self.value, plain(other))

    return method


class Argument:
    """u, v or a known field inside a form: behaves like the tensor of its values; grad, div and curl ask for more.

    parts   function of "value", "grad", "div", "curl" or "hess" that returns the array of that part
    shapes  {part: shape of its components}: what exists
    linear  the form must be linear in it: a trial or test function, which cannot be compared
    """

    __array_ufunc__ = None  # functions of numpy are refused

    def __init__(
        self,
        parts: Callable[[str], Tensor],
        shapes: dict[str, tuple[int, ...]],
        name: str,
        linear: bool = False,
    ) -> None:
        self._parts, self.shapes, self.name, self.linear = parts, shapes, name, linear
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

    @property
    def grad(self) -> Tensor:
        """Gradient; of a vector the matrix of the derivatives of component i in direction j."""
        return self.part("grad")

    @property
    def hess(self) -> Tensor:
        """Second derivatives."""
        return self.part("hess")

    @property
    def div(self) -> Tensor:
        """Divergence of a vector."""
        if "div" in self.shapes:
            return self.part("div")
        shape = self.shapes.get("grad", ())
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ParameterError(
                f"{self.name} has no divergence: its values have the components {self.shapes['value']}; that of a "
                "vector with one component per direction is asked for, as in FESpace(mesh, 'P2^d')."
            )
        slope = self.part("grad")
        return sum(slope[k, k] for k in range(shape[0]))  # type: ignore[return-value]

    @property
    def curl(self) -> Tensor:
        """Curl: of a vector in space a vector, of a vector in the plane a scalar, of a scalar in the plane the rotated
        gradient (d/dy, -d/dx)."""
        if "curl" in self.shapes:
            return self.part("curl")
        shape, slope = self.shapes.get("grad", ()), self.part("grad")
        if shape == (2,):
            return torch.stack([slope[1], -slope[0]])
        if shape == (2, 2):
            return slope[1, 0] - slope[0, 1]
        if shape == (3, 3):
            return torch.stack(
                [slope[2, 1] - slope[1, 2], slope[0, 2] - slope[2, 0], slope[1, 0] - slope[0, 1]],
            )
        raise ParameterError(f"{self.name} with a gradient of components {shape} has no curl.")

    def __getitem__(self, index: Any) -> Tensor:
        first = index[0] if isinstance(index, tuple) and index else index
        if not self.shapes["value"] and first is not None and first is not Ellipsis:
            raise ParameterError(f"{self.name} is a scalar and has no components; use it without brackets.")
        try:
            return self.value[index]
        except IndexError:
            raise ParameterError(
                f"{self.name}[{index}] does not exist: {self.name} has components {self.shapes['value']}."
            ) from None

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self[k] for k in range(len(self)))

    def __len__(self) -> int:
        if not self.shapes["value"]:
            raise ParameterError(f"{self.name} is a scalar: it has no components to go through or to count.")
        return self.shapes["value"][0]

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__):
            raise ParameterError(PRODUCT)
        return function(*[plain(a) for a in args], **{k: plain(a) for k, a in (kwargs or {}).items()})

    def __getattr__(self, name: str) -> Any:
        """Methods of tensors: x.u.exp() is torch.exp(x.u)."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _TURNED:
            raise ParameterError(f"{self.name}.{name} would turn the axes of cells and places, too: transpose(a).")
        if name.endswith("_"):
            raise ParameterError(
                f"{self.name}.{name}() would change the values that the rest of the form sees: use "
                f"{self.name}.{name.rstrip('_')}(), which returns new ones."
            )
        if not hasattr(Tensor, name):
            known = [*self.shapes, "div", "curl"]
            known += near_names(name, dir(Tensor), cutoff=0.8)
            raise ParameterError(
                f"{self.name} has no {name!r}{did_you_mean(name, known)} It has "
                f"{', '.join(self.shapes)}, and the methods of a tensor of its values."
            )
        return getattr(self.value, name)

    def __array__(self, *arguments: Any, **keywords: Any) -> np.ndarray:
        raise ParameterError(NUMPY)

    def __bool__(self) -> bool:
        return bool(self.value)  # torch's error on more than one value is explained where the form is called

    def __float__(self) -> float:
        return float(self.value)

    def __matmul__(self, other: Any) -> Tensor:
        raise ParameterError(PRODUCT)

    __rmatmul__ = __matmul__
    __neg__, __pos__, __abs__ = _forward(operator.neg), _forward(operator.pos), _forward(abs)
    __add__, __radd__ = _forward(operator.add), _backward(operator.add)
    __sub__, __rsub__ = _forward(operator.sub), _backward(operator.sub)
    __mul__, __rmul__ = _forward(operator.mul), _backward(operator.mul)
    __truediv__, __rtruediv__ = _forward(operator.truediv), _backward(operator.truediv)
    __floordiv__, __rfloordiv__ = _forward(operator.floordiv), _backward(operator.floordiv)
    __mod__, __rmod__ = _forward(operator.mod), _backward(operator.mod)
    __pow__, __rpow__ = _forward(operator.pow), _backward(operator.pow)
    __eq__, __ne__ = _compared(operator.eq), _compared(operator.ne)
    __lt__, __le__ = _compared(operator.lt), _compared(operator.le)
    __gt__, __ge__ = _compared(operator.gt), _compared(operator.ge)
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{part}{shape}' for part, shape in self.shapes.items())})"


def plain(value: Any) -> Any:
    """Arguments as tensors of their values, numbers of numpy as Python's; the same inside lists and tuples."""
    if isinstance(value, Argument):
        return value.value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value
