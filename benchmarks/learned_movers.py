"""The learned mesh mover on fields that it has not seen, beside the classical movers and no movement at all.

    python benchmarks/learned_movers.py [--steps 700] [--seeds 3] [--parts convex helmholtz seconds domains]

convex      trained on fields on four small triangulations of the square; tested on other fields on two finer ones.
            Losses: "residual" (no targets, `--seeds` seeds), "supervised" and "equidistribution" (one seed)
domains     trained on the square, two L-shapes and two rings at once, "residual" and "equidistribution"; tested on
            other fields and other triangulations of each
helmholtz   -Laplace(u) + u = f with the peak of the reference implementation of Monge-Ampère movers: error of the
            solution
seconds     CPU time of this process per mesh, on one thread, with everything kept that either mover keeps for a mesh:
            the classical mover is given one mesh again and again, with its monitors ready made

Fields are sums of 1 to 6 Gaussians (widths 0.05 to 0.2 of the size of the domain, heights normal), every third one with
a front, tanh(d / 0.04). The error is that of the P1 interpolant in L2, against the function itself. `reduction` is 1 -
error over error without movement, `of_classical` its ratio to the classical mover's. Monitor: 1 + 5 |H| / max |H| of
the nodal values, smoothed over 0.02. Results: benchmarks/results/learned_movers.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from common import RESULTS, write_results
from movers import helmholtz_error, hessian_monitor

import meshlearn as ml
from meshlearn.models.movers import HessianMonitor

MONITOR = {"amplitude": 5.0, "smoothing": 0.02}
Field = Callable[[Any], Any]


def random_field(mesh: ml.Mesh, generator: torch.Generator, front: bool) -> Field:
    """A function of (dim, ...) coordinates."""
    size = math.sqrt(float(mesh.measure()))
    points = mesh.points.double()

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator).double()

    count = int(torch.randint(1, 7, (1,), generator=generator))
    centres = points[torch.randint(mesh.n_points, (count,), generator=generator)]
    widths, heights = (0.05 + 0.15 * draw(count)) * size, torch.randn(count, generator=generator).double()
    place, angle = points[int(torch.randint(mesh.n_points, (1,), generator=generator))], 2 * math.pi * float(draw(1))

    def u(x: Any) -> Any:
        total = 0.0
        for centre, width, height in zip(centres, widths, heights, strict=True):
            total = total + height * torch.exp(-((x[0] - centre[0]) ** 2 + (x[1] - centre[1]) ** 2) / (2 * width**2))
        if front:
            level = math.cos(angle) * (x[0] - place[0]) + math.sin(angle) * (x[1] - place[1])
            total = total + torch.tanh(level / (0.04 * size))
        return total

    return u


def fields(meshes: list[ml.Mesh], count: int, seed: int) -> list[tuple[ml.Mesh, Field]]:
    """Meshes in turns, each with a field of its own as the point field "u"."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number in range(count):
        mesh = meshes[number % len(meshes)]
        u = random_field(mesh, generator, front=number % 3 == 2)
        made.append((mesh.with_point_data(u=u(mesh.points.double().T)), u))
    return made


def error(mesh: ml.Mesh, u: Field) -> float:
    """L2 error of the P1 interpolant."""
    space = ml.fem.FESpace(mesh, "P1")
    nodal = space.function(u(mesh.points.T))
    return float(space.assemble(lambda x: (x.u - u(x)) ** 2, u=nodal, order=6).sqrt())


def classical(mesh: ml.Mesh, method: str) -> Any:
    size = math.sqrt(float(mesh.measure()))
    monitor = HessianMonitor(mesh, "u", amplitude=MONITOR["amplitude"], smoothing=MONITOR["smoothing"] * size)
    return ml.MongeAmpereMover(method, strict=False).move(mesh, monitor)


def trained(meshes: list[ml.Mesh], loss: str, seed: int, steps: int) -> tuple[ml.DataFreeMeshMover, float]:
    begin = time.process_time()
    model = ml.DataFreeMeshMover(loss=loss, **MONITOR)
    model.fit(meshes, epochs=10_000, max_steps=steps, batch_points=1500, seed=seed, progress=False)
    return model, time.process_time() - begin


def compared(
    model: ml.DataFreeMeshMover, test: list[tuple[ml.Mesh, Field]], reference: dict[str, Any]
) -> dict[str, Any]:
    """Of a trained mover on test fields."""
    results = model.move([mesh for mesh, _ in test])
    errors = [error(result.mesh, u) for result, (_, u) in zip(results, test, strict=True)]
    reduction = 1 - sum(errors) / sum(reference["unmoved_errors"])
    cells = sum(mesh.n_cells for mesh, _ in test)
    return {
        "reduction": reduction,
        "of_classical": reduction / reference["reduction"],
        "cv_over_start": mean([r.equidistribution.cv / r.before.cv for r in results]),
        "raw_inverted_cells": sum(r.raw_inverted for r in results),
        "raw_inversion_rate": sum(r.raw_inverted for r in results) / cells,
        "inverted_after_safeguard": sum(r.mesh.n_inverted() for r in results),
        "worse_than_unmoved": sum(a > b for a, b in zip(errors, reference["unmoved_errors"], strict=True)),
    }


def reference_of(test: list[tuple[ml.Mesh, Field]], method: str) -> dict[str, Any]:
    """Errors without movement, and of a classical mover."""
    unmoved = [error(mesh, u) for mesh, u in test]
    results = [classical(mesh, method) for mesh, _ in test]
    errors = [error(result.mesh, u) for result, (_, u) in zip(results, test, strict=True)]
    return {
        "fields": len(test),
        "method": method,
        "converged": sum(result.converged for result in results),
        "reduction": 1 - sum(errors) / sum(unmoved),
        "cv_over_start": mean([r.equidistribution.cv / r.before.cv for r in results]),
        "unmoved_errors": unmoved,
    }


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def squares() -> list[ml.Mesh]:
    """Training fields on four triangulations of the square."""
    square = ml.shapes.square
    meshes = [square(n=12), square(n=15), square(size=0.08), square(size=0.07)]
    return [mesh for mesh, _ in fields([mesh.double() for mesh in meshes], 96, 0)]


def convex(steps: int, seeds: int) -> dict[str, Any]:
    train = squares()
    test = fields([ml.shapes.square(n=20).double(), ml.shapes.square(size=0.05).double()], 32, 1000)
    reference = reference_of(test, "newton")
    found: dict[str, Any] = {"classical": {k: v for k, v in reference.items() if k != "unmoved_errors"}}
    print(found, flush=True)
    for loss, seed in [("residual", seed) for seed in range(seeds)] + [("supervised", 0), ("equidistribution", 0)]:
        model, seconds = trained(train, loss, seed, steps)
        found[f"{loss}, seed {seed}"] = {**compared(model, test, reference), "training_cpu_s": seconds}
        print(loss, seed, found[f"{loss}, seed {seed}"], flush=True)
    return found


def domains(steps: int) -> dict[str, Any]:
    shapes = ml.shapes
    train = [
        mesh.double()
        for mesh in (shapes.square(n=12), shapes.l_shape(n=6), shapes.l_shape(size=0.15), shapes.annulus(size=0.16),
                     shapes.annulus(size=0.2))
    ]  # fmt: skip
    test = {
        "square": (shapes.square(n=18).double(), "newton"),
        "l_shape": (shapes.l_shape(n=9).double(), "variational"),
        "annulus": (shapes.annulus(size=0.12).double(), "variational"),
    }
    found: dict[str, Any] = {}
    models = {
        loss: trained([mesh for mesh, _ in fields(train, 100, 0)], loss, 0, steps)[0]
        for loss in ("residual", "equidistribution")
    }
    for name, (mesh, method) in test.items():
        pairs = fields([mesh], 16, 2000)
        reference = reference_of(pairs, method)
        found[name] = {"classical": {k: v for k, v in reference.items() if k != "unmoved_errors"}}
        for loss, model in models.items():
            found[name][loss] = compared(model, pairs, reference)
        print(name, found[name], flush=True)
    return found


def helmholtz(model: ml.DataFreeMeshMover) -> dict[str, Any]:
    """The published case: 20 x 20, the monitor of the exact solution's Hessian."""
    mesh = ml.shapes.square(n=20, pattern="left", boundary=False).double()
    unmoved = helmholtz_error(mesh)
    errors = {
        "unmoved": unmoved,
        "newton": helmholtz_error(ml.MongeAmpereMover("newton").move(mesh, hessian_monitor).mesh),
        "learned": helmholtz_error(model.move(mesh, monitor=hessian_monitor).mesh),
    }
    reductions = {name: 1 - value / unmoved for name, value in errors.items()}
    return {"l2_error": errors, "of_classical": reductions["learned"] / reductions["newton"]}


def seconds(model: ml.DataFreeMeshMover, repeats: int = 9) -> dict[str, Any]:
    found = {}
    for n in (20, 40):
        found[f"{n} x {n}"] = speed(model, ml.shapes.square(n=n), repeats)
        print(found[f"{n} x {n}"], flush=True)
    return found


def speed(model: ml.DataFreeMeshMover, mesh: ml.Mesh, repeats: int) -> dict[str, Any]:
    """Medians over repeats: 8 classical moves, then passes of the network, of which the first does not count."""
    meshes = [own for own, _ in fields([mesh], 32, 3000)]
    mover = ml.MongeAmpereMover("newton", strict=False)
    monitors = [HessianMonitor(own, "u", **MONITOR) for own in meshes[:8]]
    mover.move(mesh, monitors[0])  # its matrices are kept for the others
    slow: list[float] = []
    quick: dict[int, list[float]] = {1: [], 32: []}
    for _ in range(repeats):
        slow.append(cpu_seconds(lambda: [mover.move(mesh, monitor) for monitor in monitors]) / len(monitors))
        for batch, times in quick.items():
            move = partial(model.move, meshes[:batch])
            move()
            times.append(median([cpu_seconds(move) / batch for _ in range(5)]))
    row: dict[str, Any] = {"points": mesh.n_points, "classical": median(slow)}
    for batch, times in quick.items():
        ratios = [a / b for a, b in zip(slow, times, strict=True)]
        row[f"learned, batch {batch}"] = median(times)
        row[f"ratio, batch {batch}"] = median(ratios)
        row[f"ratio, batch {batch}, smallest and largest"] = [min(ratios), max(ratios)]
    return row


def cpu_seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


PARTS = ("convex", "helmholtz", "seconds", "domains")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=700, help="optimiser steps of every training")
    arguments.add_argument("--seeds", type=int, default=3, help="seeds of the data-free training")
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="the others keep their results")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "learned_movers.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    results = {name: results[name] for name in PARTS if name in results}
    if "convex" in options.parts:
        results["convex"] = {"steps": options.steps, **convex(options.steps, options.seeds)}
        write_results("learned_movers", results)
    if {"helmholtz", "seconds"} & set(options.parts):
        model, _ = trained(squares(), "residual", 0, options.steps)
        for name, part in (("helmholtz", helmholtz), ("seconds", seconds)):
            if name in options.parts:
                results[name] = part(model)
                write_results("learned_movers", results)
    if "domains" in options.parts:
        results["domains"] = {"steps": options.steps, **domains(options.steps)}
        write_results("learned_movers", results)


if __name__ == "__main__":
    main()
