"""A field of a tetrahedral mesh at a million points, beside pyvista's (VTK's) probe and scipy's LinearNDInterpolator.

    python benchmarks/location.py [--cells 300000] [--points 1000000]

Writes benchmarks/results/location.json. Every method runs in a process of its own, one after the other, and reports
its best time and the growth of its peak memory. Ratios are peer / meshlearn: above 1 means that meshlearn is faster.
All methods start from points, cells and a linear field, search structures included. They are equivalent as far as the
domain is convex: scipy triangulates the points again and knows nothing of the cells. The largest error is that of the
linear field; "outside" counts points (all of them are inside) for which a method gave no value.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import meshlearn as ml


def make(cells: int, points: int) -> tuple[ml.Mesh, torch.Tensor, torch.Tensor]:
    """An irregular tetrahedral box (inner points shaken), random points inside, and the linear field's truth there."""
    n = round((cells / 6) ** (1 / 3))
    mesh = ml.shapes.box(n=n, boundary=False)
    generator = torch.Generator().manual_seed(0)
    shake = (torch.rand(mesh.points.shape, generator=generator) - 0.5) * 0.2 / n
    inner = ~mesh.topology.is_boundary
    x = mesh.points + shake * inner[:, None]
    mesh = ml.Mesh(x, mesh.cells, point_data={"u": x @ torch.tensor([1.0, 2.0, 3.0])})
    queries = torch.rand(points, 3, generator=generator)
    return mesh, queries, queries @ torch.tensor([1.0, 2.0, 3.0])


def meshlearn(mesh: ml.Mesh, queries: torch.Tensor) -> np.ndarray:
    """Locator, operator and product, from a mesh with nothing cached."""
    fresh = ml.Mesh(mesh.points, mesh.cells)
    operator, _ = ml.interpolation_operator(fresh, queries)
    return (operator @ mesh.point_data["u"]).numpy()


def pyvista(mesh: ml.Mesh, queries: torch.Tensor) -> np.ndarray:
    """VTK's probe filter with its static cell locator, as `sample` uses it."""
    import pyvista as pv

    found = pv.PolyData(queries.numpy()).sample(mesh.to_pyvista())
    return np.where(found["vtkValidPointMask"] > 0, found["u"], np.nan)


def scipy(mesh: ml.Mesh, queries: torch.Tensor) -> np.ndarray:
    """Delaunay triangulation of the points and linear interpolation in it."""
    from scipy.interpolate import LinearNDInterpolator

    return LinearNDInterpolator(mesh.points.double().numpy(), mesh.point_data["u"].numpy())(queries.double().numpy())


METHODS: dict[str, Callable[[ml.Mesh, torch.Tensor], np.ndarray]] = {
    "meshlearn": meshlearn,
    "pyvista sample": pyvista,
    "scipy LinearNDInterpolator": scipy,
}


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Best time of several runs, processor time, error, and growth of the peak memory by the first run."""
    mesh, queries, truth = make(options.cells, options.points)
    METHODS[name](mesh, queries[:1000])  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, processor = [], []
    for _ in range(options.repeat):
        start, busy = time.perf_counter(), time.process_time()
        values = METHODS[name](mesh, queries)
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
        if len(times) == 1:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    wrong = np.abs(values - truth.numpy())
    return {
        "best_s": min(times),
        "processor_s": min(processor),
        "peak_memory_mb": memory / 1024,
        "largest_error": float(np.nanmax(wrong)),
        "outside": int(np.isnan(wrong).sum()),
    }


def main() -> None:
    from common import write_results

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=300_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=list(METHODS), help="measure one method in this process (used by itself)")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    mesh, _, _ = make(options.cells, 1)
    methods = {}
    for name in METHODS:
        sizes = ["--cells", str(options.cells), "--points", str(options.points), "--repeat", str(options.repeat)]
        answer = subprocess.run(
            [sys.executable, __file__, "--only", name, *sizes], check=True, capture_output=True, text=True
        )
        methods[name] = entry = json.loads(answer.stdout.splitlines()[-1])
        print(
            f"{name:28} {entry['best_s']:7.2f} s  {entry['peak_memory_mb']:7.0f} MB  error {entry['largest_error']:.1e}"
        )
    ratios = {name: entry["best_s"] / methods["meshlearn"]["best_s"] for name, entry in methods.items()}
    results = {"cells": mesh.n_cells, "points": options.points, "threads": torch.get_num_threads()}
    write_results("location", {**results, "methods": methods, "peer_over_meshlearn": ratios})


if __name__ == "__main__":
    main()
