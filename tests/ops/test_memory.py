"""The allocator switch: changes speed, never results; says whether it was applied."""

import subprocess
import sys

import torch

from meshlearn.ops.memory import empty_rows, pick_rows

SWITCHED = """
import sys, torch
import meshlearn.ops as ops
applied = ops.tune_allocator()
assert applied == (sys.platform == "linux" and hasattr(__import__("ctypes").CDLL(None), "gnu_get_libc_version"))
ptr = torch.arange(0, 600_001, 6)
x = torch.ones(600_000, 20, requires_grad=True)
for _ in range(3):
    x.grad = None
    ops.segment_sum(x, ptr).sum().backward()
    assert x.grad.eq(1).all()
"""


def test_the_switch_in_a_fresh_process():
    done = subprocess.run([sys.executable, "-c", SWITCHED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_large_and_small_outputs():
    for n in (3, 600_000):
        like = torch.zeros(2, 5, 4)
        out = empty_rows(n, like)
        assert out.shape == (n, 5, 4)
        assert out.dtype == like.dtype
    x = torch.randn(1000, 16)
    rows = torch.randint(0, 1000, (700_000,))
    assert torch.equal(pick_rows(x, rows), x.index_select(0, rows))


def test_systems_without_glibc_are_left_alone(monkeypatch):
    from meshlearn.ops import memory

    memory._glibc.cache_clear()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    try:
        assert memory.tune_allocator() is False
        assert empty_rows(600_000, torch.zeros(1, 20)).shape == (600_000, 20)
    finally:
        memory._glibc.cache_clear()
