"""Matrices from scikit-fem and a small conjugate gradient method, for the multigrid tests."""

import numpy as np
import skfem
import torch
from skfem.helpers import ddot, dot, eye, grad, sym_grad, trace
from skfem.models.poisson import laplace

import meshlearn as ml
from meshlearn.fem.submatrix import submatrix
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator

_ELEMENTS = {
    "line": skfem.ElementLineP1,
    "triangle": skfem.ElementTriP1,
    "quad": skfem.ElementQuad1,
    "tetra": skfem.ElementTetP1,
    "hexahedron": skfem.ElementHex1,
}


def basis_of(mesh, element=None):
    """scikit-fem basis with the numbering of the mesh."""
    kind = mesh.domain_types[0]
    bare = Mesh(mesh.points.double(), {kind: mesh.cells[kind]}).to_skfem()
    assert np.array_equal(bare.p.T, mesh.points.double().numpy())
    return skfem.Basis(bare, element or _ELEMENTS[kind](), intorder=4)


def stiffness(mesh, kappa=None):
    """P1 Laplace (all points) of kappa(x): x (dim, n_cells, n_q) numpy."""

    @skfem.BilinearForm
    def form(u, v, w):
        return (1.0 if kappa is None else kappa(w.x)) * dot(grad(u), grad(v))

    return SparseOperator.from_scipy((laplace if kappa is None else form).assemble(basis_of(mesh)))


def interior(mesh):
    """Ids of the points that are not on the boundary."""
    return (~mesh.topology.is_boundary).nonzero().squeeze(1)


def dirichlet(mesh, kappa=None):
    """The stiffness matrix of the interior points."""
    free = interior(mesh)
    return submatrix(stiffness(mesh, kappa), free, free)


def elasticity(mesh):
    """Plane strain (2 unknowns a point, interleaved), clamped at x = 0: (matrix, rigid motions (n, 3))."""

    @skfem.BilinearForm
    def form(u, v, w):
        strain = sym_grad(u)
        return ddot(2.0 * strain + eye(trace(strain), 2), sym_grad(v))

    A = SparseOperator.from_scipy(form.assemble(basis_of(mesh, skfem.ElementVector(skfem.ElementTriP1()))))
    points = mesh.points.double()
    free = (points[:, 0] > 1e-9).nonzero().squeeze(1)
    unknowns = (2 * free[:, None] + torch.arange(2)).reshape(-1)
    x, y = points[free].unbind(1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    columns = [torch.stack(pair, 1).reshape(-1) for pair in ((one, zero), (zero, one), (-y, x))]
    return submatrix(A, unknowns, unknowns), torch.stack(columns, 1)


def unit_square():
    """Two triangles, as scikit-fem starts from."""
    mesh = skfem.MeshTri()
    return Mesh(torch.tensor(mesh.p.T.copy()), {"triangle": torch.tensor(mesh.t.T.astype(np.int64))})


def checkerboard(x):
    """Coefficient that jumps by 100."""
    return np.where(np.sin(9 * x[0]) * np.sin(9 * x[1]) > 0, 100.0, 1.0)


def pcg(A, b, preconditioner=None, tolerance=1e-8, limit=600):
    """Iterations of preconditioned conjugate gradients until |r| <= tolerance |b|."""
    apply = preconditioner or (lambda r: r)
    with torch.no_grad():
        r, z = b.clone(), apply(b)
        p, rz, stop = z, b @ z, tolerance * b.norm()
        for k in range(1, limit):
            Ap = A @ p
            r = r - rz / (p @ Ap) * Ap
            if r.norm() <= stop:
                return k
            z = apply(r)
            rz, old = r @ z, rz
            p = z + rz / old * p
    return limit


def iterations(vcycle):
    """Of conjugate gradients for b = 1."""
    A = vcycle.hierarchy.matrices[0]
    return pcg(A, torch.ones(A.n_rows, dtype=A.dtype), vcycle)


def square(n, **options):
    """ml.shapes.square in double precision."""
    return ml.shapes.square(n=n, dtype=torch.float64, **options)
