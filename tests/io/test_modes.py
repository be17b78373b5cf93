"""Files have the permissions that the user's umask asks for."""

import os
import stat
import sys
from contextlib import contextmanager

import pytest
import torch

import meshlearn as ml
from meshlearn.train import checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")


@contextmanager
def umask(mask: int):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_meshes_and_models(tmp_path, mask, mode):
    with umask(mask):
        for suffix in (".mesh.safetensors", ".vtu", ".xdmf", ".npz"):
            ml.write(ml.shapes.square(n=2), tmp_path / f"a{suffix}")
        checkpoint.write(tmp_path / "model", {}, {"model": {"w": torch.ones(3)}, "training": {"v": torch.ones(2)}})
    assert len(list((tmp_path / "model").iterdir())) == 3
    assert modes(tmp_path) == {mode}
