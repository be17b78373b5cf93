"""Finite elements in torch: spaces on scikit-fem's elements, weak forms as plain callables, solves with adjoints."""

from meshlearn.fem.coefficients import Batch, Function
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.derham import derivative
from meshlearn.fem.dof_graph import dof_adjacency, dof_directions, dof_entities
from meshlearn.fem.dofs import Dofs
from meshlearn.fem.galerkin import GalerkinProduct, galerkin
from meshlearn.fem.gauss_seidel import GaussSeidel
from meshlearn.fem.hierarchy import Hierarchy
from meshlearn.fem.learned_smoothers import LearnedDiagonal, LearnedPolynomial
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.fem.multigrid import VCycle
from meshlearn.fem.newton import NewtonInfo, newton
from meshlearn.fem.nonlinear import solve_nonlinear, tangent
from meshlearn.fem.one_side import OneSide
from meshlearn.fem.operators import (
    cross,
    curl,
    det,
    div,
    dot,
    grad,
    hess,
    identity,
    inner,
    inverse,
    outer,
    sym,
    trace,
    transpose,
)
from meshlearn.fem.remap import ConservativeRemap
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.smoothers import Chebyshev, Jacobi
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.fem.space_prolongation import space_prolongation
from meshlearn.fem.stacked import StackedOperator
from meshlearn.fem.system import SolveInfo

__all__ = [
    "AffineConstraint",
    "Batch",
    "Chebyshev",
    "ConservativeRemap",
    "Dofs",
    "FESpace",
    "Function",
    "GalerkinProduct",
    "GaussSeidel",
    "Hierarchy",
    "Jacobi",
    "LearnedDiagonal",
    "LearnedPolynomial",
    "NewtonInfo",
    "OneSide",
    "SolveInfo",
    "StackedOperator",
    "VCycle",
    "cross",
    "curl",
    "derivative",
    "det",
    "div",
    "dof_adjacency",
    "dof_directions",
    "dof_entities",
    "dot",
    "galerkin",
    "grad",
    "hess",
    "identity",
    "inner",
    "inverse",
    "newton",
    "outer",
    "prolongation",
    "solve",
    "solve_nonlinear",
    "space_prolongation",
    "sym",
    "tangent",
    "to_mesh",
    "trace",
    "transpose",
]
