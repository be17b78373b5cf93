"""Bodies from planar sections: overlap with the truth, agreement with the planes, times, beside plain blends.

    python benchmarks/cross_sections.py [--bodies blob bone ...] [--budget 120] [--seeds 1] [--resolution 256]
    python benchmarks/cross_sections.py --bodies bone --no-network --budget 0   # no bound of time: on busy machines
    python benchmarks/cross_sections.py --labels 110 --voxels 180     # a label volume, every fourth slice given
    python benchmarks/cross_sections.py --extraction 300               # time of one surface

Every body is cut by 15 parallel planes and by 24 random ones (seeded) through its surface. "linear" and "distance" are
the plain blends of in-plane distances, for parallel and for random planes. Overlap is intersection over union on 96^3
points; Dice is the worst of all planes cut again from the surface; contour errors are in voxels of the surface.
Seconds are given as elapsed and as those of the processor ("cpu_s"); "load" is the mean number of jobs that the machine
had during the last minute, at the end of the run: elapsed times mean nothing where it is above the number of cores.
Results: benchmarks/results/cross_sections.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import write_results

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes
from meshlearn.models.cross_sections.marching import marching_cubes

Body = Callable[[np.ndarray], np.ndarray]
HALF = 1.25


def ball(p: np.ndarray, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    return radius - np.linalg.norm(p - np.array(centre), axis=1)


def rod(p: np.ndarray, a: Any, b: Any, ra: float, rb: float) -> np.ndarray:
    a, d = np.array(a, float), np.array(b, float) - np.array(a, float)
    t = np.clip((p - a) @ d / (d @ d), 0, 1)
    return ra + t * (rb - ra) - np.linalg.norm(p - a - t[:, None] * d, axis=1)


def soft_union(width: float, *parts: np.ndarray) -> np.ndarray:
    return width * np.log(np.sum(np.exp(np.array(parts) / width), axis=0))


def blob(p: np.ndarray) -> np.ndarray:
    return soft_union(0.05, ball(p, (0, 0, -0.3), 0.5), ball(p, (0.3, 0.2, 0.3), 0.4), ball(p, (-0.3, 0, 0.35), 0.3))


def torus(p: np.ndarray) -> np.ndarray:
    return 0.22 - np.hypot(np.hypot(p[:, 0], p[:, 2]) - 0.6, p[:, 1])


def bone(p: np.ndarray) -> np.ndarray:
    heads = [ball(p, (0.15 * s, y, 0.7 * e), 0.29) for s, y, e in ((1, 0, 1), (-1, 0, 1), (1, 0.1, -1), (-1, -0.1, -1))]
    solid = soft_union(0.05, rod(p, (0, 0, -0.6), (0, 0, 0.6), 0.25, 0.25), *heads)
    return np.minimum(solid, -rod(p, (0, 0, -0.5), (0, 0, 0.5), 0.12, 0.12))


def vessel(p: np.ndarray) -> np.ndarray:
    """A tree of tubes, four generations, the thinnest of radius 0.04."""
    generator = np.random.default_rng(3)
    parts: list[np.ndarray] = []

    def grow(start: np.ndarray, direction: np.ndarray, length: float, radius: float, left: int) -> None:
        end = start + length * direction
        parts.append(rod(p, start, end, radius, 0.85 * radius))
        for side in (1, -1) if left else ():
            across = np.cross(direction, generator.normal(size=3))
            turned = 0.75 * direction + 0.75 * side * across / np.linalg.norm(across)
            grow(end, turned / np.linalg.norm(turned), 0.8 * length, 0.8 * radius, left - 1)

    grow(np.array((0, 0, -0.95)), np.array((0, 0, 1.0)), 0.6, 0.085, 3)
    return soft_union(0.01, *parts)


def helix(p: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    t = np.linspace(0, 4 * np.pi, 400)
    curve = np.stack([0.5 * np.cos(t), 0.5 * np.sin(t), t / (4 * np.pi) * 1.6 - 0.8], axis=1)
    return 0.08 - cKDTree(curve).query(p)[0]


def gyroid(p: np.ndarray) -> np.ndarray:
    """A ball's worth of thin sheet that winds through space."""
    x, y, z = 4 * p.T
    wave = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return np.minimum(0.12 - 0.25 * np.abs(wave), ball(p, (0, 0, 0), 0.9))


def cup(p: np.ndarray) -> np.ndarray:
    """Thin walls, a flat bottom, and a handle."""
    r = np.hypot(p[:, 0], p[:, 1])
    wall = np.minimum(np.minimum(0.5 - r, 0.7 - np.abs(p[:, 2])), -np.minimum(0.4 - r, p[:, 2] + 0.58))
    handle = 0.07 - np.hypot(np.hypot(p[:, 0] - 0.5, p[:, 2]) - 0.35, p[:, 1])
    return soft_union(0.02, wall, np.minimum(handle, r - 0.42))


BODIES: dict[str, Body] = {
    "blob": blob, "bone": bone, "torus": torus, "vessel": vessel, "helix": helix, "gyroid": gyroid, "cup": cup,
}  # fmt: skip


def nodes(n: int) -> np.ndarray:
    x = (np.arange(n) + 0.5) / n * 2 * HALF - HALF
    return np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)


def surface_of(body: Body, n: int = 128) -> ml.Mesh:
    points, triangles = marching_cubes(body(nodes(n)).reshape(n, n, n))
    return ml.Mesh((points + 0.5) / n * 2 * HALF - HALF, {"triangle": triangles})


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def study(name: str, kind: str, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One body and one set of planes."""
    surface = surface_of(BODIES[name])
    planes = parallel_planes(surface, 15) if kind == "parallel" else random_planes(surface, 24, seed=seed + 1)
    sections = ml.CrossSections.from_mesh(surface, planes)
    points = nodes(96)
    truth = BODIES[name](points) > 0
    plain = "linear" if kind == "parallel" else "distance"
    row: dict[str, Any] = {}
    blend = ml.CrossSectionReconstructor(base=plain, network=False).fit(sections)
    row[f"iou_{plain}"] = overlap(blend.predict(points).numpy() > 0, truth)
    start, cpu = time.perf_counter(), time.process_time()
    model = ml.CrossSectionReconstructor(
        time_budget=arguments.budget or None, seed=seed, network=arguments.network, base=arguments.base
    ).fit(sections)
    row |= {"fit_s": time.perf_counter() - start, "fit_cpu_s": time.process_time() - cpu}
    row |= {"iou": overlap(model.predict(points).numpy() > 0, truth), "base": model.base_}
    row |= {"left_out": model.base_scores_, "network_share": model.network_share_}
    if arguments.network:
        row["left_out_by_share_of_network"] = {str(k): v for k, v in model.network_scores_.items()}
    row["resolution"] = arguments.resolution
    mesh = model.to_mesh(resolution=arguments.resolution)
    report = model.report(meshes={1: mesh})["labels"][1]
    voxel = float(np.ptp(sections.points, axis=0).max()) / arguments.resolution
    row |= {"worst_dice": report["worst_dice"], "watertight": report["watertight"], "euler": report["euler"]}
    row["contour_error_99_voxels"] = float(np.nanmax([p["error_99"] for p in report["planes"]])) / voxel
    row |= {"true_euler": surface.topology.euler_characteristic}
    row |= {"volume_ratio": float(mesh.volume() / surface.volume()), "load": os.getloadavg()[0]}
    print(name, kind, {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def label_volume(n: int, count: int) -> dict[str, Any]:
    """Balls that meet in walls, every fourth slice given."""
    from scipy.spatial import cKDTree

    generator = np.random.default_rng(0)
    centres = generator.uniform(0.15, 0.85, (count, 3)) * n
    radius = generator.uniform(0.09, 0.2, count) * n * (60 / count) ** (1 / 3)
    near, number = cKDTree(centres).query(np.stack(np.indices((n, n, n)), axis=-1).reshape(-1, 3))
    labels = np.where(near < radius[number], number + 1, 0).reshape(n, n, n)
    start = time.perf_counter()
    model = ml.CrossSectionReconstructor().fit(ml.CrossSections.from_volume(labels, slices=slice(0, None, 4)))
    fit_s = time.perf_counter() - start
    found = model.to_volume(labels.shape, progress=True)
    row = {"labels": count, "voxels": n, "fit_s": fit_s, "all_s": time.perf_counter() - start, "base": model.base_}
    row["iou"] = float(((found == labels) & (labels > 0)).sum() / ((found > 0) | (labels > 0)).sum())
    row["agreement_on_given_slices"] = float((found[:, :, ::4] == labels[:, :, ::4]).mean())
    row["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(row)
    return row


def extraction(resolution: int) -> dict[str, Any]:
    """Time of one surface, of a body with a radial prior on random planes."""
    surface = surface_of(bone)
    sections = ml.CrossSections.from_mesh(surface, random_planes(surface, 24, seed=1))
    model = ml.CrossSectionReconstructor(base="hermite", network=False).fit(sections)
    start, cpu = time.perf_counter(), time.process_time()
    mesh = model.to_mesh(resolution=resolution)
    row = {"resolution": resolution, "seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    row |= {"triangles": mesh.n_cells, "load": os.getloadavg()[0]}
    print(row)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", nargs="+", default=list(BODIES), choices=list(BODIES))
    parser.add_argument("--budget", type=float, default=120.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--results", default="cross_sections", help="name of the file of results")
    parser.add_argument("--base", default="auto")
    parser.add_argument("--network", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--labels", type=int, default=0)
    parser.add_argument("--voxels", type=int, default=180)
    parser.add_argument("--extraction", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.labels:
        write_results("cross_sections_labels", label_volume(arguments.voxels, arguments.labels))
        return
    if arguments.extraction:
        write_results("cross_sections_extraction", extraction(arguments.extraction))
        return
    results = {
        name: {
            kind: [study(name, kind, arguments, s) for s in range(arguments.seeds)] for kind in ("parallel", "random")
        }
        for name in arguments.bodies
    }
    write_results(arguments.results, {"budget_s": arguments.budget, "bodies": results})


if __name__ == "__main__":
    main()
