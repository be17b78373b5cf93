"""scikit-learn's parameter conventions: the constructor only stores its arguments, under their own names."""

from __future__ import annotations

import inspect
from numbers import Integral
from typing import Any, TypeVar

from meshlearn.errors import CheckpointError, ParameterError

T = TypeVar("T", bound="HasParams")


class HasParams:
    """`get_params`, `set_params` and a readable `repr`, from the signature of `__init__`."""

    @classmethod
    def _signature(cls) -> dict[str, inspect.Parameter]:
        if cls.__init__ is object.__init__:
            return {}
        parameters = dict(inspect.signature(cls.__init__).parameters)
        parameters.pop("self", None)
        for parameter in parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{cls.__name__}.__init__ must name all its parameters (no *args or **kwargs).")
        return parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name. `deep` is accepted for scikit-learn's sake and has no effect."""
        return {name: getattr(self, name) for name in self._signature()}

    def set_params(self: T, **params: Any) -> T:
        """Change constructor arguments, for the next `fit`: until then a fitted model refuses to predict. Returns self.

        Raises ParameterError for an unknown name, before anything is changed.
        """
        known = self._signature()
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ParameterError(
                f"{type(self).__name__} has no parameter {unknown[0]!r}.\n  Its parameters are {sorted(known)}."
            )
        learned = self.__dict__.get("fields_")
        if learned is not None and self.__dict__.get("_fitted_with", (None,))[0] is not learned:
            self._fitted_with = (learned, self.get_params())
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def parameters_fit(self) -> None:
        """Take the parameters as those that the learned state belongs to; a `fit` that sets new `fields_` does too."""
        self.__dict__.pop("_fitted_with", None)

    def changed_params(self) -> list[str]:
        """Names of the parameters that `set_params` has changed since the fit."""
        learned, before = self.__dict__.get("_fitted_with", (None, {}))
        if learned is None or learned is not self.__dict__.get("fields_"):
            return []
        return [name for name, value in self.get_params().items() if not _same(value, before[name])]

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, parameter in self._signature().items()
            if not _same(getattr(self, name), parameter.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def json_params(owner: str, params: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments as JSON knows them (tuples become lists).

    Raises CheckpointError naming the arguments that JSON cannot hold, such as functions and modules.
    """
    bad = [name for name, value in params.items() if not is_json(value)]
    if bad:
        raise CheckpointError(
            f"this {owner} cannot be saved: {', '.join(f'{name}={params[name]!r}' for name in bad)} cannot be written "
            "as JSON.\n  A saved model holds data only, never code. Pass a name, a number or a list instead, or "
            "register a subclass that builds the object itself (ml.register_estimator)."
        )
    return {name: _plain(value) for name, value in params.items()}


def is_json(value: Any) -> bool:
    """True if a value is made of None, bool, whole numbers, float, str, list, tuple and dict with text keys."""
    if value is None or isinstance(value, (bool, int, float, str, Integral)):
        return True
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    return isinstance(value, dict) and all(isinstance(key, str) and is_json(inner) for key, inner in value.items())


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return int(value) if isinstance(value, Integral) and not isinstance(value, int) else value  # numpy's whole numbers


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return type(value) is type(default) and is_json(value) and value == default
