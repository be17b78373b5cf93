"""A dictionary that cannot change after it was made, so that a Mesh cannot change behind its caches."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from meshlearn.errors import MeshError

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A read-only dict; every attempt to change it names the method that makes a changed copy.

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

    def __reduce__(self):
        return (FrozenDict, (dict(self),))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        import copy

        return FrozenDict({key: copy.deepcopy(value, memo) for key, value in self.items()})
