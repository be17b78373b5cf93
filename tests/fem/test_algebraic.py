"""Levels from a matrix alone: aggregates, what they carry over, and the two back ends."""

import importlib.util

import pytest
import torch
from multigrid_cases import checkerboard, dirichlet, elasticity, square, stiffness

import meshlearn as ml
from meshlearn.errors import MissingDependencyError
from meshlearn.fem.hierarchy import Hierarchy

NEEDS_PYAMG = pytest.mark.skipif(not importlib.util.find_spec("pyamg"), reason="pip install 'meshlearn[amg]'")
BACKENDS = ["own", pytest.param("pyamg", marks=NEEDS_PYAMG)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["smoothed_aggregation", "aggregation"])
def test_aggregation_of_an_unstructured_mesh(backend, method):
    mesh = ml.shapes.plate_with_holes([(0.3, 0.3, 0.1), (0.7, 0.6, 0.15)], size=0.05).double()
    A = dirichlet(mesh, checkerboard)
    levels = Hierarchy.from_matrix(A, method=method, backend=backend, max_coarse=20)
    assert (levels.method, levels.backend) == (method, backend)
    assert levels.sizes[-1] <= 20 < levels.sizes[-2]
    assert 1.0 < levels.operator_complexity < 1.6
    for A_fine, P, A_coarse in zip(levels.matrices, levels.prolongations, levels.matrices[1:], strict=False):
        expected = P.to_scipy().T @ A_fine.to_scipy() @ P.to_scipy()
        assert abs(A_coarse.to_scipy() - expected).max() < 1e-10
        assert P.n_cols < 0.5 * P.n_rows


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_near_null_space_is_carried_over_exactly(backend):
    """Unsmoothed: rigid motions lie in the range of the first prolongation."""
    A, rigid = elasticity(square(8))
    options = {"near_nullspace": rigid, "block_size": 2, "max_coarse": 30, "backend": backend}
    P = Hierarchy.from_matrix(A, method="aggregation", **options).prolongations[0].to_dense()
    residual = rigid - P @ torch.linalg.lstsq(P, rigid).solution
    assert float(residual.abs().max()) < 1e-9
    assert Hierarchy.from_matrix(A, **options).sizes[1] % 3 == 0


def test_auto_says_which_back_end_it_used():
    levels = Hierarchy.from_matrix(dirichlet(square(8)), max_coarse=10)
    assert levels.backend == ("pyamg" if importlib.util.find_spec("pyamg") else "own")


def test_without_pyamg_auto_uses_our_own_and_says_so(monkeypatch):
    import importlib

    real_find, real_import = importlib.util.find_spec, importlib.import_module

    def no_import(name, *rest):
        if name == "pyamg":
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pyamg" else real_find(name))
    monkeypatch.setattr(importlib, "import_module", no_import)
    A = dirichlet(square(8))
    assert Hierarchy.from_matrix(A, max_coarse=10).backend == "own"
    with pytest.raises(MissingDependencyError, match=r"meshlearn\[amg\]"):
        Hierarchy.from_matrix(A, backend="pyamg")


@pytest.mark.parametrize("backend", BACKENDS)
def test_hierarchies_are_reproducible(backend):
    A = dirichlet(square(12))
    first, second = (Hierarchy.from_matrix(A, backend=backend, max_coarse=10) for _ in range(2))
    assert all(torch.equal(P.values, Q.values) for P, Q in zip(first.prolongations, second.prolongations, strict=True))


def test_isolated_unknowns_stay_on_the_finest_level():
    """Rows of the identity, as Dirichlet conditions leave them in some codes."""
    A = dirichlet(square(8)).to_dense()
    alone = torch.block_diag(A, torch.eye(30, dtype=A.dtype))
    levels = Hierarchy.from_matrix(ml.ops.SparseOperator.from_dense(alone), backend="own", max_coarse=10)
    assert float(levels.prolongations[0].to_dense()[49:].abs().max()) == 0
    diagonal = ml.ops.SparseOperator.from_dense(torch.eye(30, dtype=torch.float64))
    assert Hierarchy.from_matrix(diagonal, backend="own", max_coarse=10).sizes == [30]


def test_strength_keeps_weak_couplings_apart():
    """Cells 30 times wider than high; aggregates follow the strong direction."""
    mesh = ml.shapes.rectangle(1.0, 0.03, n=(16, 16), dtype=torch.float64)
    P = Hierarchy.from_matrix(stiffness(mesh), method="aggregation", backend="own", strength=0.25).prolongations[0]
    for column in P.to_dense().T:
        assert float(mesh.points[column != 0][:, 0].std()) < 1e-9
