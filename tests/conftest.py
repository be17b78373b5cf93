"""Shared fixtures. Shapes in annotations are executed: every public function is checked by jaxtyping and beartype."""

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

install_import_hook("meshlearn", "beartype.beartype")

import pytest
import torch

torch.set_num_threads(1)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real meshes beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real meshes (../shared/data) is not on this machine")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def pytest_collection_modifyitems(config, items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
