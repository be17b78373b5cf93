"""Calls into other libraries that warn of their own affairs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from sys import modules
from types import ModuleType

_ONE_AT_A_TIME = threading.RLock()  # the filters of warnings belong to the process, not to a thread


@contextmanager
def quiet(category: type[Warning] = Warning) -> Iterator[None]:
    """No warnings of a category inside; one thread at a time."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def quietly_imported(name: str, category: type[Warning]) -> ModuleType:
    """A module whose import warns; one that is there already is handed out as it is.

    >>> quietly_imported("math", DeprecationWarning).pi
    3.141592653589793
    """
    if name in modules:
        return import_module(name)  # waits for another thread that is still importing it
    with quiet(category):
        return import_module(name)
