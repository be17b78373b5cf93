"""Prolongations between levels: vector fields, and what is left of them under constraints."""

import pytest
import torch
from multigrid_cases import square
from torch.testing import assert_close

from meshlearn.errors import ParameterError
from meshlearn.fem.levels import coarse_free, expand_components
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.mesh.refinement import refine


def test_components_are_carried_over_one_by_one():
    P = prolongation(square(2))
    u = torch.randn(P.n_cols, 3, dtype=torch.float64)
    assert_close(expand_components(P, 3) @ u.reshape(-1), (P @ u).reshape(-1))


def test_coarse_functions_respect_constraints_that_end_between_coarse_points():
    """Constrained for x = 0, y < 0.6: the coarse edge from (0, 1/2) to (0, 1) is constrained in part."""
    coarse = square(2)
    fine, P = refine(refine(coarse)), prolongation(coarse, refine(refine(coarse)), how="location")
    free = ~((fine.points[:, 0] < 1e-9) & (fine.points[:, 1] < 0.8))
    kept = coarse_free(P, free)
    assert int((~kept).sum()) == 3  # all of the side: the function of (0, 1) is not zero at (0, 3/4)
    assert float((P.to_dense()[~free][:, kept]).abs().max()) == 0


def test_fields_have_a_component():
    with pytest.raises(ParameterError, match="components=0"):
        expand_components(prolongation(square(2)), 0)
