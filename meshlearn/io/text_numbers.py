"""Numbers written as text, parsed without touching the process's warning filters (readers run in threads)."""

from __future__ import annotations

import numpy as np

_DIGITS_AND_SPACE = b"0123456789 \t\r\n"


def plain_numbers(text: bytes, dtype: np.dtype) -> np.ndarray:
    """All white-space separated numbers of a text, as `dtype` (an integer or floating type).

    Raises ValueError if something else stands between them, OverflowError if a number does not fit.

    >>> plain_numbers(b" 1 2\\n-3 ", np.dtype("i8"))
    array([ 1,  2, -3])
    """
    if dtype.kind in "iu" and dtype.itemsize >= 4 and not text.translate(None, _DIGITS_AND_SPACE):
        text = text.strip()  # nothing but digits: numpy's fast parser reaches the end and has nothing to warn of
        return np.fromstring(text, dtype=dtype, sep=" ") if text else np.zeros(0, dtype)
    return np.array(text.split(), dtype=dtype)
