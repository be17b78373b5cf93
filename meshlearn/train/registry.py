"""The estimator classes that `ml.load` may build: those of meshlearn, and those a user registered by hand."""

from __future__ import annotations

from typing import Any, TypeVar

from meshlearn.errors import CheckpointError, ParameterError

C = TypeVar("C", bound=type)

_CLASSES: dict[str, Any] = {}


def register_estimator(cls: C) -> C:
    """Let `ml.load` build this class; usable as a decorator. Classes inside meshlearn register themselves.

    Raises ParameterError when another class already has the name.

    >>> @ml.register_estimator
    ... class MyModel(ml.Estimator):
    ...     pass
    """
    name = cls.__name__
    known = _CLASSES.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ParameterError(
            f"an estimator named {name!r} is registered already ({known.__module__}); give your class another name."
        )
    _CLASSES[name] = cls
    return cls


def find_estimator(name: str) -> Any:
    """The registered class of this name; raises CheckpointError for a name that is not registered."""
    import meshlearn

    if name not in _CLASSES and meshlearn._PUBLIC.get(name):
        getattr(meshlearn, name)  # imports the module of this public name, whose classes register themselves
    if name not in _CLASSES:
        raise CheckpointError(
            f"this model was saved by the estimator class {name!r}, which is not registered.\n"
            f"  Registered are {sorted(_CLASSES)}. If it is a class of your own, import it and call "
            "ml.register_estimator(TheClass) before ml.load."
        )
    return _CLASSES[name]
