"""Names that every doctest may use."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    import torch

    import meshlearn as ml

    doctest_namespace["ml"] = ml
    doctest_namespace["torch"] = torch
