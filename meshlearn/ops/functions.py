"""A base for the autograd functions of this room, without the cost of argument binding at every call."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor
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

    torch.func.vmap works on every one of them. Arguments named by position in `with_features` are arrays (n, ...) whose
    trailing dimensions pass through: where no others are batched, the batch becomes such a dimension of one call.
    Otherwise the calls are made one after the other.
    """

    with_features: tuple[int, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        plain = inspect.signature(cls.forward)
        cls.forward.__signature__ = _InOrder(list(plain.parameters.values()))  # type: ignore[attr-defined]
        cls.vmap = staticmethod(partial(_mapped, cls))  # type: ignore[assignment]


def _mapped(function: type[PositionalFunction], info: Any, in_dims: tuple, *args: Any) -> tuple[Tensor, int]:
    """The rule of torch.func.vmap: (result, its batch dimension)."""
    batched = {i for i, dim in enumerate(in_dims) if dim is not None}
    if batched <= set(function.with_features):
        together = list(args)
        for i in function.with_features:
            if i in batched:
                together[i] = args[i].movedim(in_dims[i], 1)
            elif len(function.with_features) > 1:  # the others must have the batch too
                together[i] = args[i].unsqueeze(1).expand(-1, info.batch_size, *args[i].shape[1:])
        return function.apply(*together), 1
    singles = [
        function.apply(*(arg.select(in_dims[i], k) if i in batched else arg for i, arg in enumerate(args)))
        for k in range(info.batch_size)
    ]
    return torch.stack(singles), 0


def is_transformed() -> bool:
    """Whether a torch.func transform is at work, whose tensors only autograd functions understand."""
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


class PairFunction(PositionalFunction):
    """A function (a, b, *rest) of two tensors that keeps both for its backward, and the rest as `ctx.rest`."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, *rest = inputs
        ctx.save_for_backward(a, b)
        ctx.rest = tuple(rest)
