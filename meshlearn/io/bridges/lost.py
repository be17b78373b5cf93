"""What another library's mesh cannot hold, and what is no mesh of that library."""

from __future__ import annotations

import os
import warnings
from typing import Any

from meshlearn.errors import MeshError, MeshWriteWarning


def warn_of(library: str, losses: list[str]) -> None:
    """Warn of what `to_LIBRARY` leaves out, at the caller of the bridge's caller."""
    if losses:
        warnings.warn(
            f"{library} cannot hold everything; left out: {'; '.join(losses)}", MeshWriteWarning, stacklevel=4
        )


def not_a(expected: str, given: Any) -> MeshError:
    """The error for an argument of another type: `raise not_a("a meshio.Mesh", mesh)`."""
    hint = f"\n  to read a file: ml.read({os.fspath(given)!r})" if isinstance(given, str | os.PathLike) else ""
    return MeshError(f"expected {expected}, got {type(given).__name__}.{hint}")
