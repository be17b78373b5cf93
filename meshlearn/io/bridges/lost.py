"""What another library's mesh cannot hold is said in a MeshWriteWarning."""

from __future__ import annotations

import warnings

from meshlearn.errors import MeshWriteWarning


def warn_of(library: str, losses: list[str]) -> None:
    """Warn of what `to_LIBRARY` leaves out, at the caller of the bridge's caller."""
    if losses:
        warnings.warn(
            f"{library} cannot hold everything; left out: {'; '.join(losses)}", MeshWriteWarning, stacklevel=4
        )
