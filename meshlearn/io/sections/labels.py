"""Labels as users and files give them: whole numbers from 1 on."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.errors import ParameterError


def checked_label(value: Any, name: str = "label") -> int:
    """The label; raises ParameterError for what is none. 0 is what is outside of all."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"{name}={value!r} is not allowed: labels are whole numbers from 1 on, 0 is the outside.")
    return int(value)


def label_of(text: str | None) -> int | None:
    """A label from an attribute or a layer's name: a whole number from 1 on, or None."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and int(text) > 0 else None
