"""Reference cells: nodes, shape functions, their gradients, and quadrature, for every first- and second-order type.

>>> cell = reference_cell("triangle6")
>>> cell.n_nodes, cell.dim, cell.order, cell.measure
(6, 2, 2, 0.5)
>>> cell.shape(torch.tensor([[0.0, 0.0]]))
tensor([[1., 0., 0., 0., 0., 0.]])
"""

from meshlearn.mesh.reference.cell import ReferenceCell, reference_cell
from meshlearn.mesh.reference.domain import DOMAIN_OF
from meshlearn.mesh.reference.mapping import (
    jacobian_measure,
    jacobians,
    jacobians_each,
    lengths,
    map_each,
    map_points,
    unit,
)

KINDS = tuple(DOMAIN_OF)

__all__ = [
    "DOMAIN_OF",
    "KINDS",
    "ReferenceCell",
    "jacobian_measure",
    "jacobians",
    "jacobians_each",
    "lengths",
    "map_each",
    "map_points",
    "reference_cell",
    "unit",
]
