"""Meshes and forms for the tests of spaces and assembly: every cell type, uneven cells, scikit-fem's own matrices."""

import numpy as np
import skfem
import torch
from skfem import helpers

import meshlearn as ml
from meshlearn.fem import curl, div, dot, grad, hess, inner
from meshlearn.fem.elements import DISCONTINUOUS, ELEMENTS
from meshlearn.fem.quadrature import quadrature

FIRST = ("line", "triangle", "quad", "tetra", "hexahedron", "wedge")
SECOND = ("triangle6", "quad9", "tetra10", "hexahedron27")
PAIRS = [(name, kind) for name, kinds in ELEMENTS.items() for kind in kinds]
PAIRS += [(f"{name}DG", kind) for name in ("P1", "P2") for kind in ELEMENTS[name] if kind != "wedge"]
assert set(DISCONTINUOUS) >= {"P1DG", "P2DG"}


def plain(kind, n=2):
    """The unit interval, square or cube in cells of one kind, float64."""
    first = {"triangle6": "triangle", "quad9": "quad", "tetra10": "tetra", "hexahedron27": "hexahedron"}.get(kind, kind)
    if first == "line":
        points = torch.linspace(0, 1, n + 2, dtype=torch.float64)[:, None]
        return ml.Mesh(points, {"line": torch.stack([torch.arange(n + 1), torch.arange(1, n + 2)], 1)})
    if first in ("triangle", "quad"):
        mesh = ml.shapes.square(n=n, cells=first, dtype=torch.float64)
    else:
        mesh = ml.shapes.box(n=n, cells=first, dtype=torch.float64)
    return mesh if first == kind else curved(mesh)


def uneven(kind, n=2, size=0.12, seed=0, element=None):
    """`plain` with its points moved about (mid-side nodes too: curved cells); the boundary stays where it is. For BFS
    the lines of a grid are moved, so that the cells stay rectangles."""
    mesh = plain(kind, n)
    points = mesh.points
    if element == "BFS":
        return mesh.replace(points=points + size * points * (1 - points))
    generator = torch.Generator().manual_seed(seed)
    inside = ((points > 1e-9) & (points < 1 - 1e-9)).all(1, keepdim=True)
    size = size / n if kind not in SECOND else 0.04 / n
    moves = 2 * torch.rand(points.shape, generator=generator).double() - 1
    return mesh.replace(points=points + inside * size * moves)


def curved(mesh):
    """The same cells with nodes on edges, facets and in the middle."""
    return ml.second_order(mesh)


def form_of(space):
    """(form in torch, the same in scikit-fem), not symmetric: mass, derivative and a mixture with a coefficient."""
    family = space.blocks[0].family
    table = space.blocks[0].shapes(space.dim)
    if family == "h1":
        return (
            lambda u, v, x: (
                (1 + x[0] ** 2) * inner(grad(u), grad(v)) + inner(u, v) + grad(u)[0] * v
                if not table["value"]
                else (1 + x[0] ** 2) * inner(grad(u), grad(v)) + inner(u, v) + u[0] * grad(v)[-1, -1]
            ),
            lambda u, v, w: (
                (1 + w.x[0] ** 2) * helpers.dot(u.grad, v.grad) + u * v + u.grad[0] * v
                if not table["value"]
                else (1 + w.x[0] ** 2) * helpers.ddot(u.grad, v.grad) + helpers.dot(u, v) + u[0] * v.grad[-1, -1]
            ),
        )
    if family == "hdiv":
        return (
            lambda u, v, x: div(u) * div(v) + dot(u, v) + x[0] * u[0] * div(v),
            lambda u, v, w: u.div * v.div + helpers.dot(u, v) + w.x[0] * u[0] * v.div,
        )
    if "curl" in table:
        flat = space.dim == 2
        return (
            lambda u, v, x: inner(curl(u), curl(v)) + dot(u, v) + (curl(u) if flat else curl(u)[0]) * v[1],
            lambda u, v, w: (
                (u.curl * v.curl if flat else helpers.dot(u.curl, v.curl))
                + helpers.dot(u, v)
                + (u.curl if flat else u.curl[0]) * v[1]
            ),
        )
    return (
        lambda u, v, x: inner(hess(u), hess(v)) + u * v + hess(u)[0, 0] * grad(v)[0],
        lambda u, v, w: helpers.ddot(u.hess, v.hess) + u * v + u.hess[0, 0] * v.grad[0],
    )


def scikit_fem(space, form, order, trial=None):
    """scikit-fem's matrix of a form over the cells, at the places that we use."""
    rule = quadrature(space.element.refdom, order)
    test = skfem.Basis(space.skmesh, space.element, quadrature=rule)
    if trial is None:
        return skfem.BilinearForm(form).assemble(test)
    return skfem.BilinearForm(form).assemble(skfem.Basis(space.skmesh, trial.element, quadrature=rule), test)


def difference(A, B):
    """Largest difference of two matrices or vectors, relative to the largest entry."""
    A = A.to_scipy() if hasattr(A, "to_scipy") else A.detach().numpy()
    assert A.shape == B.shape
    scale = abs(B).max()
    return abs(A - B).max() / scale if np.isfinite(scale) and scale else abs(A - B).max()
