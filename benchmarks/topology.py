"""Edges, facets, boundary and adjacency of a tetrahedral mesh, beside pyvista's (VTK's) equivalents in the same run.

    python benchmarks/topology.py [--cells 1000000]

Writes benchmarks/results/topology.json. Ratios are peer / meshlearn: above 1 means that meshlearn is faster.
"""

from __future__ import annotations

import argparse
import time

import torch
from common import best_of, write_results

from meshlearn import Mesh, shapes


def fresh(mesh: Mesh) -> Mesh:
    """The same mesh with nothing cached."""
    return Mesh(mesh.points, mesh.cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    n = round((options.cells / 6) ** (1 / 3))
    start = time.perf_counter()
    box = shapes.box(n=(n, n, n), cells="tetra", boundary=False)
    print(f"{box} made in {time.perf_counter() - start:.1f} s")
    grid = box.to_pyvista()
    surface = grid.extract_surface(algorithm=None)
    tasks = {
        "edges": (lambda: fresh(box).edges, lambda: grid.extract_all_edges(), "extract_all_edges"),
        "facets with their cells": (lambda: fresh(box).facets, None, "no equivalent"),
        "boundary facets": (
            lambda: fresh(box).topology.boundary_facets,
            lambda: grid.extract_surface(algorithm=None),
            "extract_surface",
        ),
        "point adjacency": (lambda: fresh(box).point_adjacency, None, "no equivalent (point_neighbors is per point)"),
        "cell adjacency": (lambda: fresh(box).topology.cell_adjacency, None, "no equivalent (cell_neighbors per cell)"),
        "boundary edges of a surface": (
            lambda: fresh(Mesh.from_pyvista(surface)).edges,
            lambda: surface.extract_all_edges(),
            "extract_all_edges",
        ),
    }
    results = {"cells": box.n_cells, "points": box.n_points, "threads": torch.get_num_threads(), "tasks": {}}
    for name, (ours, peer, peer_name) in tasks.items():
        seconds = best_of(ours, options.repeat)
        entry = {"meshlearn_s": seconds}
        if peer is not None:
            entry |= {"peer": f"pyvista {peer_name}", "peer_s": best_of(peer, options.repeat)}
            entry["ratio"] = entry["peer_s"] / seconds
        results["tasks"][name] = entry
        print(f"{name:32} {seconds:7.3f} s   " + (f"{peer_name} {entry['peer_s']:.3f} s" if peer else peer_name))
    write_results("topology", results)


if __name__ == "__main__":
    main()
