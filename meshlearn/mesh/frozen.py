"""A dictionary that cannot change after it was made, so that a Mesh cannot change behind its caches."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from meshlearn.errors import FieldError, MeshError
from meshlearn.hints import near_names

K = TypeVar("K")
V = TypeVar("V")


class MissingNameError(FieldError, KeyError):
    """A name that a mesh does not have; a FieldError, and a KeyError as for any dictionary."""

    __str__ = Exception.__str__  # KeyError's shows the repr of its message


class FrozenDict(dict[K, V]):
    """A read-only dict; every attempt to change it names the method that makes a changed copy.

    A name that is not there raises an error that lists those that are.

    >>> FrozenDict(a=1) | {"b": 2}
    {'a': 1, 'b': 2}
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise MeshError(
            "a Mesh is immutable, and so are its dictionaries.\n"
            "  make a changed copy instead: mesh.with_point_data(name=values), mesh.with_cell_data(...), "
            "mesh.with_global_data(...) or mesh.replace(point_data=..., cells=...)."
        )

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse  # type: ignore[assignment]

    def __missing__(self, key: Any) -> NoReturn:
        names = [str(name) for name in self]
        near = near_names(str(key), names, cutoff=0.5)
        near = near or [name for name in names if name.lower().startswith(str(key).lower())][:1]
        there = f"the names are {', '.join(map(repr, names))}" if names else "there are none"
        raise MissingNameError(
            f"the mesh has no {key!r} here: {there}." + (f" Did you mean {near[0]!r}?" if near else "")
        )

    def __reduce__(self):
        return (FrozenDict, (dict(self),))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        import copy

        return FrozenDict({key: copy.deepcopy(value, memo) for key, value in self.items()})
