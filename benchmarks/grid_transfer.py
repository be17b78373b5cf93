"""Transfers between a million tetrahedra and a grid of 128 x 128 x 128 nodes: making the matrices, and applying them.

    python benchmarks/grid_transfer.py [--cells 1000000] [--nodes 128] [--transfers interpolate conservative]

Writes benchmarks/results/grid_transfer.json. Seconds are those of the processor, so that other work on the machine
counts little. "build" is everything from a mesh with nothing cached to the first field on the grid and back. "to_grid"
and "to_mesh" carry one float64 field once the matrices are there; beside them stands torch's product with the same
matrix (none for "l2", which solves), and the share of a copy's bandwidth at which the entries of the matrices are read.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from common import write_results

import meshlearn as ml


def spent(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what came out."""
    start = time.process_time()
    made = function()
    return time.process_time() - start, made


def best(function: Callable[[], Any], repeat: int = 5) -> float:
    """The least seconds of some calls."""
    return min(spent(function)[0] for _ in range(repeat))


def bandwidth() -> float:
    """Bytes per second that a copy reads."""
    x = torch.rand(1 << 25, dtype=torch.float64)
    y = torch.empty_like(x)
    return x.numel() * 8 / best(lambda: y.copy_(x))


def measured(mesh: ml.Mesh, transfer: str, nodes: int, copy: float) -> dict[str, float]:
    """Seconds of one kind of transfer."""
    u = torch.sin(5 * mesh.points[:, 0]) * mesh.points[:, 1] + mesh.points[:, 2]
    fresh = ml.Mesh(mesh.points, mesh.cells)
    pair = ml.MeshToGrid(nodes, transfer=transfer).transfer(fresh)
    build, back = spent(lambda: pair.to_mesh(pair.to_grid(u)))
    grid = pair.to_grid(u)
    row = {"build_s": build, "error": float((back - u).norm() / u.norm())}
    row |= {"to_grid_s": best(lambda: pair.to_grid(u)), "to_mesh_s": best(lambda: pair.to_mesh(grid))}
    matrices = {"to_mesh": (pair.sampling, grid.reshape(-1, 1))}
    if transfer in ("interpolate", "kernel"):
        own = pair.evaluating if transfer == "interpolate" else pair.regressing
        matrices["to_grid"] = (own, u.reshape(-1, 1))
    for name, (matrix, field) in matrices.items():
        plain = torch.sparse_csr_tensor(
            matrix.adjacency.ptr,
            matrix.adjacency.index,
            matrix.values.detach(),
            (len(matrix.adjacency.ptr) - 1, len(field)),
        )
        row[f"{name}_torch_s"] = best(lambda plain=plain, field=field: plain @ field)  # type: ignore[misc]
        row[f"{name}_bandwidth"] = 16 * len(matrix.values) / row[f"{name}_s"] / copy
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=128)
    parser.add_argument("--transfers", nargs="+", default=["interpolate", "conservative", "l2", "kernel"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    mesh = ml.shapes.box(n=round((options.cells / 6) ** (1 / 3)), boundary=False).double()
    copy = bandwidth()
    print(mesh, f"a copy reads {copy / 1e9:.1f} GB/s", flush=True)
    rows = {}
    for transfer in options.transfers:
        rows[transfer] = measured(mesh, transfer, options.nodes, copy)
        rows[transfer]["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(transfer, {name: round(value, 4) for name, value in rows[transfer].items()}, flush=True)
    sizes = {"cells": sum(mesh.cell_counts.values()), "points": mesh.n_points, "nodes": options.nodes}
    write_results("grid_transfer", {**sizes, "copy_bytes_per_s": copy, "transfers": rows})


if __name__ == "__main__":
    main()
