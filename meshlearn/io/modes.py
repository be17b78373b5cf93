"""New files with the permissions that the user's umask asks for, whatever a library does that writes them.

safetensors writes to a temporary file of mode 0600 and renames it: a model would be readable by its maker alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def claim(path: Path) -> int:
    """Make an empty file and return its mode; FileExistsError if there is one."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def restore_mode(path: Path, mode: int) -> None:
    """Give a file that was replaced since `claim` its mode back."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
