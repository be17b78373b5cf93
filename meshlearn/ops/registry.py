"""A small registry: one operation, several back ends, one of them the definition of right.

Every `Kernel` has a back end named "baseline" in plain torch that runs on any device and gets its gradients from
torch's own autograd. Faster back ends register beside it; the parity test and the benchmark walk over
`registry.pairs()`, so a new back end is tested and timed the day it is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch

from meshlearn.errors import MissingDependencyError, ParameterError

_FLOATS = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})
_KERNELS: dict[str, Kernel] = {}
_PREFERRED: list[str] = []


@dataclass(frozen=True)
class BackEnd:
    """One implementation of a kernel.

    - name: how `backend=` asks for it.
    - function: the implementation; its first argument is the tensor that decides device and dtype.
    - rank: the highest rank that accepts the tensor is taken; a negative rank is taken only when asked for by name.
    - devices: device types it runs on; empty means any.
    - dtypes: dtypes it accepts; empty means any.
    - requires: the module it needs, and the extra that installs it.
    """

    name: str
    function: Callable[..., Any]
    rank: int = 0
    devices: frozenset[str] = frozenset()
    dtypes: frozenset[torch.dtype] = frozenset()
    requires: str | None = None
    extra: str | None = None
    installed: bool = True

    def accepts(self, device: str, dtype: torch.dtype) -> bool:
        """Whether this back end is installed and runs on such a tensor."""
        return (
            self.installed
            and (not self.devices or device in self.devices)
            and (not self.dtypes or dtype in self.dtypes)
        )

    def check_installed(self) -> None:
        """Raise `MissingDependencyError` with the install line when the module is missing."""
        if not self.installed:
            line = f"pip install 'meshlearn[{self.extra}]'" if self.extra else f"pip install {self.requires}"
            raise MissingDependencyError(
                f"back end {self.name!r} needs the package {self.requires!r}, which is not installed.\n"
                f"  Install it with: {line}"
            )


@dataclass
class Kernel:
    """A named operation with several back ends, called like a function.

    - name: unique in the registry.
    - inputs: makes a list of example argument tuples (generator, dtype, device) for parity tests.
    - differentiable: whether the parity test compares gradients too.
    """

    name: str
    inputs: Callable[[torch.dtype, str], list[tuple]]
    differentiable: bool = True
    backends: dict[str, BackEnd] = field(default_factory=dict)
    _choices: dict[tuple[str, torch.dtype], Callable[..., Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.name in _KERNELS:
            raise ParameterError(f"a kernel named {self.name!r} is registered already; choose another name")
        _KERNELS[self.name] = self

    def register(
        self,
        name: str,
        *,
        rank: int = 0,
        devices: tuple[str, ...] = (),
        dtypes: frozenset[torch.dtype] = frozenset(),
        requires: str | None = None,
        extra: str | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator that adds a back end; see `BackEnd` for the arguments."""

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            installed = requires is None or find_spec(requires) is not None
            self.backends[name] = BackEnd(name, function, rank, frozenset(devices), dtypes, requires, extra, installed)
            self._choices.clear()
            return function

        return add

    def choose(self, device: str, dtype: torch.dtype) -> str:
        """The name of the back end that would run for a tensor of this device type and dtype."""
        able = [b for b in self.backends.values() if b.accepts(device, dtype)]
        for name in _PREFERRED:
            if any(b.name == name for b in able):
                return name
        able = [b for b in able if b.rank >= 0]
        if not able:
            raise ParameterError(
                f"kernel {self.name!r} has no back end for dtype {dtype} on {device!r}.\n"
                f"  registered: {sorted(self.backends)}"
            )
        return max(able, key=lambda b: b.rank).name

    def __call__(self, x: torch.Tensor, *args: Any, backend: str | None = None) -> Any:
        if backend is None:
            key = (x.device.type, x.dtype)
            function = self._choices.get(key)
            if function is None:
                function = self._choices[key] = self.backends[self.choose(*key)].function
            return function(x, *args)
        if backend not in self.backends:
            raise ParameterError(
                f"kernel {self.name!r} has no back end {backend!r}; choose one of {sorted(self.backends)}"
            )
        chosen = self.backends[backend]
        chosen.check_installed()
        if not chosen.accepts(x.device.type, x.dtype):
            raise ParameterError(
                f"back end {backend!r} of {self.name!r} does not take {x.dtype} on {x.device.type!r}.\n"
                f"  devices: {sorted(chosen.devices) or 'any'}, dtypes: {sorted(map(str, chosen.dtypes)) or 'any'}"
            )
        return chosen.function(x, *args)


def kernels() -> list[Kernel]:
    """Every registered kernel, in order of registration."""
    return list(_KERNELS.values())


def kernel(name: str) -> Kernel:
    """The kernel of that name; `ParameterError` lists the names when there is none."""
    if name not in _KERNELS:
        raise ParameterError(f"no kernel is named {name!r}; registered: {sorted(_KERNELS)}")
    return _KERNELS[name]


def pairs() -> list[tuple[Kernel, str]]:
    """(kernel, back end name) for every back end except the baselines."""
    return [(k, name) for k in kernels() for name in k.backends if name != "baseline"]


@contextmanager
def prefer(*names: str) -> Iterator[None]:
    """Within the block, take the first of these back ends that can run, whatever its rank.

    Process-wide, meant for tests, benchmarks and for choosing an optional back end in a script.

    >>> with ml.ops.registry.prefer("baseline"):
    ...     ml.ops.segment_sum(torch.ones(3), torch.tensor([0, 2, 3]))
    tensor([2., 1.])
    """
    known = {name for k in kernels() for name in k.backends}
    if unknown := set(names) - known:
        raise ParameterError(f"no kernel has a back end named {sorted(unknown)}; known: {sorted(known)}")
    before = list(_PREFERRED)
    _PREFERRED[:] = names
    _forget_choices()
    try:
        yield
    finally:
        _PREFERRED[:] = before
        _forget_choices()


def _forget_choices() -> None:
    for k in kernels():
        k._choices.clear()
