"""Mesh movers: published cases of the plane, and a sweep of random monitors that must not invert a cell.

    python benchmarks/movers.py [--monitors 100]

cases   the ring and the Helmholtz problem of the reference implementation of Monge-Ampère movers on its 20 x 20 square:
        equidistribution, discretisation error and iterations of every method here, beside the published numbers
sweep   `--monitors` sums of 1 to 6 Gaussians (widths 0.05 to 0.2 of the domain, heights 2 to 30) on each domain and
        method: how many moves converged, inverted cells, smallest ratio of a cell's measure to its own at the start

Counts and errors do not depend on the machine; the seconds are CPU time of this process. Results:
benchmarks/results/movers.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from common import write_results

import meshlearn as ml
from meshlearn.models.movers import MoveResult, Ring, equidistribution

PEAK, WIDTH = (0.51, 0.65), 0.01
PUBLISHED = {
    "ring": {"ratio": 9.19, "cv": 0.349, "iterations": 74},
    "helmholtz": {"ratio": 1.15, "cv": 0.0257, "l2_error": 0.0059558199, "iterations": 17},
}


def peak(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(x - torch.tensor(PEAK, dtype=x.dtype)).square().sum(1) / WIDTH)


def hessian_monitor(x: torch.Tensor) -> torch.Tensor:
    """1 + 5 |H| / max |H| of the exact solution at the points."""
    d = x - torch.tensor(PEAK, dtype=x.dtype)
    identity = torch.eye(2, dtype=x.dtype)
    hessian = peak(x)[:, None, None] * (4 * d[:, :, None] * d[:, None, :] / WIDTH**2 - 2 / WIDTH * identity)
    size = hessian.flatten(1).norm(dim=1)
    return 1 + 5 * size / size.max()


def helmholtz_error(mesh: ml.Mesh) -> float:
    """L2 error of P1 elements for -Laplace(u) + u = f with u = exp(-|x - c|^2 / w), exact on the boundary."""
    fem, space = ml.fem, ml.fem.FESpace(mesh, "P1")

    def r2(x: Any) -> Any:
        return (x[0] - PEAK[0]) ** 2 + (x[1] - PEAK[1]) ** 2

    def exact(x: Any) -> Any:
        return torch.exp(-r2(x) / WIDTH)

    A = space.assemble(lambda u, v, x: fem.dot(fem.grad(u), fem.grad(v)) + u * v)
    b = space.assemble(lambda v, x: exact(x) * (1 - 4 * r2(x) / WIDTH**2 + 4 / WIDTH) * v, order=8)
    u = space.function(fem.solve(A, b, space.dirichlet("boundary", exact)))
    return float(space.assemble(lambda x: (x.u - exact(x)) ** 2, u=u, order=8).sqrt())


def described(moved: MoveResult, seconds: float) -> dict[str, Any]:
    return {
        "iterations": moved.iterations,
        "converged": moved.converged,
        "ratio": moved.equidistribution.ratio,
        "cv": moved.equidistribution.cv,
        "smallest_quality": moved.quality["smallest"],
        "inverted": moved.n_inverted,
        "cpu_s": seconds,
    }


def cases() -> dict[str, Any]:
    """Published cases, every method, rtol 1e-8."""
    mesh = ml.shapes.square(n=20, pattern="left", boundary=False).double()
    ring = Ring(20.0, 200.0, 0.4, (0.5, 0.5))
    found: dict[str, Any] = {"published": PUBLISHED}
    for name, monitor in (("ring", ring), ("helmholtz", hessian_monitor)):
        start = equidistribution(mesh, mesh, monitor(mesh.points))
        found[name] = {"unmoved": {"ratio": start.ratio, "cv": start.cv}}
        for method in ("newton", "relaxation", "variational"):
            begin = time.process_time()
            moved = ml.MongeAmpereMover(method, rtol=1e-8).move(mesh, monitor)
            found[name][method] = described(moved, time.process_time() - begin)
            if name == "helmholtz":
                found[name][method]["l2_error"] = helmholtz_error(moved.mesh)
        if name == "helmholtz":
            found[name]["unmoved"]["l2_error"] = helmholtz_error(mesh)
    return found


DOMAINS = {
    "square": (lambda: ml.shapes.square(n=14), ("newton", "variational")),
    "unstructured square": (lambda: ml.shapes.square(size=0.08), ("newton", "variational")),
    "box": (lambda: ml.shapes.box(n=4), ("newton", "variational")),
    "l_shape": (lambda: ml.shapes.l_shape(n=8), ("newton", "variational")),
    "annulus": (lambda: ml.shapes.annulus(size=0.15), ("variational",)),
    "plate with holes": (
        lambda: ml.shapes.plate_with_holes([(0.3, 0.35, 0.1), (0.7, 0.6, 0.15)], size=0.07),
        ("variational",),
    ),
}


def gaussians(mesh: ml.Mesh, generator: torch.Generator) -> Any:
    """A sum of 1 to 6 Gaussians around points of the mesh."""
    count = int(torch.randint(1, 7, (1,), generator=generator))
    extent = float((mesh.points.amax(0) - mesh.points.amin(0)).max())
    centres = mesh.points[torch.randint(mesh.n_points, (count,), generator=generator)].double()
    widths = (0.05 + 0.15 * torch.rand(count, generator=generator).double()) * extent
    heights = 2 + 28 * torch.rand(count, generator=generator).double()

    def monitor(x: torch.Tensor) -> torch.Tensor:
        distance = (x[:, None] - centres).square().sum(2)
        return 1 + (heights * torch.exp(-distance / (2 * widths**2))).sum(1)

    return monitor


def sweep(monitors: int) -> dict[str, Any]:
    """Random monitors on every domain and method, not strict: what did not converge is counted, and still valid."""
    found: dict[str, Any] = {}
    for name, (make, methods) in DOMAINS.items():
        mesh = make().double()
        for method in methods:
            generator = torch.Generator().manual_seed(0)
            mover = ml.MongeAmpereMover(method, rtol=1e-6, strict=False)
            begin, moves = time.process_time(), []
            for _ in range(monitors):
                moves.append(mover.move(mesh, gaussians(mesh, generator)))
            found[f"{name}, {method}"] = {
                "cells": mesh.n_cells,
                "monitors": monitors,
                "converged": sum(m.converged for m in moves),
                "inverted_cells": sum(m.n_inverted for m in moves),
                "smallest_measure_ratio": min(smallest_ratio(m) for m in moves),
                "median_iterations": statistics.median(m.iterations for m in moves),
                "median_cv_over_start": statistics.median(m.equidistribution.cv / m.before.cv for m in moves),
                "worst_quality": min(m.quality["smallest"] for m in moves),
                "cpu_s_per_move": (time.process_time() - begin) / monitors,
            }
            print(name, method, found[f"{name}, {method}"], flush=True)
    return found


def smallest_ratio(moved: MoveResult) -> float:
    ones = torch.ones(moved.mesh.n_points, dtype=torch.float64)
    return float(ml.models.movers.cell_shares(moved.start, moved.mesh, ones).min())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--monitors", type=int, default=100, help="random monitors per domain and method")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    found = cases()
    print(found, flush=True)
    write_results("movers", {"cases": found, "sweep": sweep(options.monitors)})


if __name__ == "__main__":
    main()
