"""A base for the autograd functions of this room, without the cost of argument binding at every call."""

from __future__ import annotations

import inspect
from typing import Any

from torch.autograd import Function


class _Bound:
    kwargs: dict[str, Any] = {}

    def __init__(self, args: tuple) -> None:
        self.args = args

    def apply_defaults(self) -> None:
        """Nothing to fill in: every argument was given."""


class _InOrder(inspect.Signature):
    """A signature whose arguments are always all given, in order: binding them is the identity."""

    def bind(self, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self.parameters):
            raise TypeError(f"expected the {len(self.parameters)} arguments {list(self.parameters)} in order")
        return _Bound(args)


class PositionalFunction(Function):
    """An autograd Function that works under torch.func, called with all arguments in order.

    For a Function with `setup_context` torch fills in default arguments by way of `inspect` at every call, which costs
    about 20 microseconds: more than a kernel on a small graph. A ready signature on `forward` avoids that.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        plain = inspect.signature(cls.forward)
        cls.forward.__signature__ = _InOrder(list(plain.parameters.values()))  # type: ignore[attr-defined]
