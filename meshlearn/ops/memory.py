"""Large CPU arrays without the cost of page faults.

On Linux, glibc maps every array above 32 MB afresh and unmaps it when it is freed, so that writing it costs one page
fault per 4 kB: several times the work of a copy. Two remedies:

- `empty_rows` asks for huge pages (512 times fewer faults) for the large outputs of this room's kernels; always on,
  without effect where the system has none.
- `tune_allocator` is a switch for the whole process: it also helps the arrays that torch's own operations make.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import torch
from torch import Tensor

_LARGE = 32 << 20  # bytes; glibc's largest automatic threshold: smaller arrays are recycled on the heap
_PAGE = 4096
_MADV_HUGEPAGE = 14
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4


def empty_rows(n_rows: int, like: Tensor) -> Tensor:
    """An uninitialised (n_rows, ...) array with the trailing shape, dtype and device of `like`; huge pages if large."""
    out = like.new_empty((n_rows, *like.shape[1:]))
    n_bytes = out.numel() * out.element_size()
    if n_bytes >= _LARGE and out.device.type == "cpu" and (libc := _glibc()) is not None:
        start = -(-out.data_ptr() // _PAGE) * _PAGE
        length = (out.data_ptr() + n_bytes - start) // _PAGE * _PAGE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_HUGEPAGE)
    return out


def pick_rows(x: Tensor, rows: Tensor) -> Tensor:
    """x.index_select(0, rows), into huge pages if large; without autograd."""
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return x.index_select(0, rows)
    return torch.index_select(x, 0, rows, out=empty_rows(rows.shape[0], x))


def tune_allocator() -> bool:
    """Keep freed memory for the next operation instead of returning it to the system (Linux with glibc; default: off).

    Sets glibc's mmap and trim thresholds to 1 GiB for this process: arrays between 32 MB and 1 GiB are then taken from
    memory that is mapped already. A message-passing step on a large graph ran 1.4 times as fast on a busy two-core
    machine; `benchmarks/ops.py` measures it on yours. The price: the process keeps its peak of CPU memory until it
    ends, and the peak may be somewhat higher by fragmentation. Nothing changes on a GPU, in results, or in other
    processes. Call it once, at the start of a script; there is no way back.

    Returns whether it was applied: False on other systems and C libraries, where nothing is changed.
    """
    libc = _glibc()
    if libc is None:
        return False
    kept = libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    mapped = libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(_M_MMAP_MAX, 0)  # older glibc stops at 32 MB
    return bool(kept and mapped)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    found = hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt") and hasattr(libc, "madvise")
    return libc if found else None
