"""A V-cycle with a learned smoother, put into a plain scikit-fem and scipy script as a preconditioner."""

import numpy as np
import skfem
import torch
from scipy.sparse.linalg import LinearOperator, cg
from skfem.helpers import dot, grad

from meshlearn import fem
from meshlearn.ops import SparseOperator

torch.manual_seed(0)


@skfem.BilinearForm
def stiffness(u, v, w):
    """Diffusion with a coefficient that varies by a factor of 100."""
    return 10 ** (2 * np.sin(3 * np.pi * w.x[0]) * np.sin(2 * np.pi * w.x[1])) * dot(grad(u), grad(v))


def problem(refinements: int):
    """Matrix and load on the free dofs, and the scikit-fem mesh."""
    mesh = skfem.MeshTri.init_lshaped().refined(refinements)
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    free = basis.complement_dofs(basis.get_dofs())
    return stiffness.assemble(basis)[free][:, free], np.ones(len(free))


def iterations(A, b, preconditioner=None) -> int:
    """Steps of scipy's conjugate gradients to a residual of 1e-8."""
    count = 0

    def note(_):
        nonlocal count
        count += 1

    x, failed = cg(A, b, rtol=1e-8, M=preconditioner, callback=note, maxiter=5000)
    assert not failed
    assert np.linalg.norm(b - A @ x) <= 1.1e-8 * np.linalg.norm(b)
    return count


def as_scipy(cycle: fem.VCycle) -> LinearOperator:
    """The cycle as scipy sees it."""
    n = cycle.hierarchy.matrices[0].shape[0]

    def apply(r):
        with torch.no_grad():
            return cycle(torch.from_numpy(np.ascontiguousarray(r).reshape(-1))).numpy()

    return LinearOperator((n, n), matvec=apply, dtype=np.float64)


# Train the smoother on a small problem: errors that one cycle leaves behind, no right-hand sides needed.
A, _ = problem(3)
small = fem.VCycle(
    fem.Hierarchy.from_matrix(SparseOperator.from_scipy(A), method="smoothed_aggregation", backend="own"),
    smoother="learned-diagonal",
)
optimizer = torch.optim.Adam(small.parameters(), lr=0.05)
for _ in range(150):
    optimizer.zero_grad()
    small.contraction(torch.randn(A.shape[0], 16, dtype=torch.float64), steps=3).backward()
    optimizer.step()

# Use it on a problem with sixteen times as many unknowns, beside what a sceptic would try first.
A, b = problem(5)
hierarchy = fem.Hierarchy.from_matrix(SparseOperator.from_scipy(A), method="smoothed_aggregation", backend="own")
counts = {
    "none": iterations(A, b),
    "Jacobi": iterations(A, b, LinearOperator(A.shape, matvec=lambda r: r / A.diagonal())),
    "V-cycle, untrained smoother": iterations(A, b, as_scipy(fem.VCycle(hierarchy, smoother="learned-diagonal"))),
    "V-cycle, learned smoother": iterations(A, b, as_scipy(small.with_hierarchy(hierarchy))),
    "V-cycle, Chebyshev": iterations(A, b, as_scipy(fem.VCycle(hierarchy, smoother="chebyshev"))),
}
print(f"{A.shape[0]} unknowns; " + ", ".join(f"{name}: {n}" for name, n in counts.items()))
assert counts["V-cycle, learned smoother"] < counts["Jacobi"] / 3
