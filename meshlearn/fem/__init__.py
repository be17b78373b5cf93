"""Finite elements in torch: spaces on scikit-fem's elements, weak forms as plain callables, solves with adjoints."""

from meshlearn.fem.coefficients import Batch, Function
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.derham import derivative
from meshlearn.fem.dof_graph import dof_adjacency, dof_directions, dof_entities
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
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.fem.stacked import StackedOperator

__all__ = [
    "AffineConstraint",
    "Batch",
    "FESpace",
    "Function",
    "StackedOperator",
    "cross",
    "curl",
    "derivative",
    "dof_adjacency",
    "dof_directions",
    "dof_entities",
    "det",
    "div",
    "dot",
    "grad",
    "hess",
    "identity",
    "inner",
    "inverse",
    "outer",
    "solve",
    "sym",
    "trace",
    "transpose",
]
