"""Meshes and monitors of the published checks of Monge-Ampère movers."""

import torch

import meshlearn as ml
from meshlearn.models.movers import Ring


def published_square(n: int = 20) -> ml.Mesh:
    """The unit square, every quad cut from (i, j + 1) to (i + 1, j)."""
    return ml.shapes.square(n=n, pattern="left", boundary=False).double()


RING = Ring(amplitude=20.0, sharpness=200.0, radius=0.4, centre=(0.5, 0.5))
PEAK, WIDTH = (0.51, 0.65), 0.01


def peak(x):
    """u of the published Helmholtz problem -Laplace(u) + u = f."""
    return torch.exp(-(x - torch.tensor(PEAK, dtype=x.dtype)).square().sum(1) / WIDTH)


def peak_hessian(x):
    d = x - torch.tensor(PEAK, dtype=x.dtype)
    identity = torch.eye(2, dtype=x.dtype)
    return peak(x)[:, None, None] * (4 * d[:, :, None] * d[:, None, :] / WIDTH**2 - 2 / WIDTH * identity)


def hessian_monitor(x):
    """1 + 5 |H| / max |H| of the exact solution at the points."""
    size = peak_hessian(x).flatten(1).norm(dim=1)
    return 1 + 5 * size / size.max()


def bump(*centre, height: float = 8.0, decay: float = 30.0):
    def monitor(x):
        return 1 + height * torch.exp(-decay * (x - torch.tensor(centre, dtype=x.dtype)).square().sum(1))

    return monitor


def sum_of_gaussians(centres, widths, heights):
    def monitor(x):
        return 1 + (heights * torch.exp(-(x[:, None] - centres).square().sum(2) / (2 * widths**2))).sum(1)

    return monitor


def helmholtz_solution(mesh: ml.Mesh) -> torch.Tensor:
    """P1 solution (n,) of the published Helmholtz problem, with the exact solution on the boundary."""
    fem = ml.fem
    space = fem.FESpace(mesh, "P1")

    def source(x):
        r2 = (x[0] - PEAK[0]) ** 2 + (x[1] - PEAK[1]) ** 2
        return exact_peak(x) * (1 - 4 * r2 / WIDTH**2 + 4 / WIDTH)

    A = space.assemble(lambda u, v, x: fem.dot(fem.grad(u), fem.grad(v)) + u * v)
    b = space.assemble(lambda v, x: source(x) * v, order=8)
    return fem.solve(A, b, space.dirichlet("boundary", exact_peak))


def exact_peak(x):
    """`peak` of coordinates (dim, ...)."""
    return torch.exp(-((x[0] - PEAK[0]) ** 2 + (x[1] - PEAK[1]) ** 2) / WIDTH)


def helmholtz_error(mesh: ml.Mesh) -> float:
    """L2 error of that solution."""
    space = ml.fem.FESpace(mesh, "P1")
    u = space.function(helmholtz_solution(mesh))
    return float(space.assemble(lambda x: (x.u - exact_peak(x)) ** 2, u=u, order=8).sqrt())
