"""The material point method and explicit finite elements: throughput beside a plain numpy implementation, and Taichi.

    python benchmarks/lagrangian.py [--repeat 15] [--device cpu] [--parts mpm,carry]

mpm       a neo-Hookean block that is sheared and falls, one step: particles x steps per second, beside the same step in
          numpy with its fastest scatter (np.bincount), and in Taichi on one thread if it is installed (pip install
          taichi==1.7.4); all in float32, and the same places after 20 steps to 1e-4 of a cell
backward  a step with its gradient over the step alone
bodies    explicit finite elements: elements x steps per second
carry     100,000 points that follow 1,000 nodes: seconds to set up and per frame; and the largest error of beams that
          swing, relative to their largest displacement, by moving least squares and by the nearest node
period    relative error of the period of a vibrating bar against theory, and seconds, on three grids

Seconds are CPU time of this process (one thread), best of the repeats, in turns. Results:
benchmarks/results/lagrangian.json.
"""

import argparse  # annotations are values in this file: Taichi reads them
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.models.giorom import SparseNodes
from meshlearn.sim import dynamics, mpm

YOUNG, POISSON, DENSITY, G = 1e5, 0.3, 1000.0, 9.81
MU, LAMBDA = YOUNG / (2 * (1 + POISSON)), YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))


def scene(dim: int, cells: int, side: float, device: str, material: Any = None) -> mpm.MPM:
    shape = ml.shapes.rectangle(side, side, n=1) if dim == 2 else ml.shapes.box(side, side, side, n=1)
    law = mpm.NeoHookean(YOUNG, POISSON) if material is None else material
    body = mpm.Body.fill(shape.to(device), law, 0.5 / cells, DENSITY, lambda x: 2 * x.flip(1).sin(), (0.3,) * dim)
    return mpm.MPM(body, 1 / cells, (0,) * dim, (1,) * dim, gravity=(0.0,) * (dim - 1) + (-G,))


class NumpyStep:
    """The same step as it is usually written: arrays (n, 3^dim, dim), one scatter for each component."""

    def __init__(self, world: mpm.MPM) -> None:
        start, grid = world.start(), world.grid
        self.dim, self.h, self.shape, self.origin = grid.dim, grid.spacing, grid.shape, np.float32(grid.origin)
        self.x, self.v = start.points.numpy().copy(), start.velocities.numpy().copy()
        n = len(self.x)
        self.c = np.zeros((n, self.dim, self.dim), np.float32)
        self.f = np.tile(np.eye(self.dim, dtype=np.float32), (n, 1, 1))
        self.mass, self.volume = world.mass.numpy(), world.volume.numpy()
        axes = np.meshgrid(*[np.arange(3)] * self.dim, indexing="ij")
        self.offsets = np.stack(axes, -1).reshape(-1, self.dim)
        self.strides = np.array([math.prod(self.shape[a + 1 :]) for a in range(self.dim)])

    def __call__(self, dt: float) -> None:
        h, dim, size = self.h, self.dim, math.prod(self.shape)
        eye = np.eye(dim, dtype=np.float32)
        inverse = np.linalg.det(self.f)
        stress = MU * (self.f @ self.f.transpose(0, 2, 1) - eye) + (LAMBDA * np.log(inverse))[:, None, None] * eye
        affine = self.mass[:, None, None] * self.c - (4 * dt / h**2 * self.volume)[:, None, None] * stress
        place = (self.x - self.origin) / np.float32(h)
        base = np.floor(place - 0.5)
        fraction = place - base
        w = np.stack([0.5 * (1.5 - fraction) ** 2, 0.75 - (fraction - 1) ** 2, 0.5 * (fraction - 0.5) ** 2], 1)
        weight = np.ones((len(self.x), len(self.offsets)), np.float32)
        for a in range(dim):
            weight *= w[:, self.offsets[:, a], a]
        apart = (self.offsets[None].astype(np.float32) - fraction[:, None]) * np.float32(h)
        nodes = ((base.astype(np.int64)[:, None] + self.offsets) @ self.strides).ravel()
        momentum = self.mass[:, None, None] * self.v[:, None] + np.einsum("nij,nkj->nki", affine, apart)
        mass = np.bincount(nodes, (weight * self.mass[:, None]).ravel(), size).astype(np.float32)
        total = np.stack(
            [np.bincount(nodes, (weight * momentum[:, :, a]).ravel(), size) for a in range(dim)], 1
        ).astype(np.float32)
        velocity = total / np.maximum(mass, 1e-30)[:, None]
        velocity[:, -1] -= np.float32(dt * G)
        near = velocity[nodes].reshape(len(self.x), -1, dim)
        self.v = np.einsum("nk,nki->ni", weight, near)
        self.c = 4 / np.float32(h * h) * np.einsum("nk,nki,nkj->nij", weight, near, apart)
        self.x = self.x + np.float32(dt) * self.v
        self.f = self.f + np.float32(dt) * self.c @ self.f


def taichi_step(world: mpm.MPM) -> tuple[Callable[[float], None], Callable[[], np.ndarray]] | None:
    """(step, places) of the same method in Taichi on one thread; None where it is not installed."""
    try:
        import taichi as ti
    except ImportError:
        return None
    ti.init(arch=ti.cpu, cpu_max_num_threads=1, default_fp=ti.f32, log_level=ti.ERROR)
    start, grid, dim = world.start(), world.grid, world.grid.dim
    n, h, origin = world.n, grid.spacing, grid.origin[0]
    mass, volume = float(world.mass[0]), float(world.volume[0])
    x = ti.Vector.field(dim, ti.f32, n)
    v = ti.Vector.field(dim, ti.f32, n)
    c = ti.Matrix.field(dim, dim, ti.f32, n)
    f = ti.Matrix.field(dim, dim, ti.f32, n)
    grid_v = ti.Vector.field(dim, ti.f32, grid.shape)
    grid_m = ti.field(ti.f32, grid.shape)
    x.from_numpy(start.points.numpy())
    v.from_numpy(start.velocities.numpy())
    f.from_numpy(np.tile(np.eye(dim, dtype=np.float32), (n, 1, 1)))

    @ti.kernel
    def step(dt: ti.f32):
        for i in ti.grouped(grid_m):
            grid_v[i] = ti.Vector.zero(ti.f32, dim)
            grid_m[i] = 0.0
        for p in x:
            place = (x[p] - origin) / h
            base = ti.floor(place - 0.5).cast(int)
            fx = place - base.cast(ti.f32)
            w = [0.5 * (1.5 - fx) ** 2, 0.75 - (fx - 1.0) ** 2, 0.5 * (fx - 0.5) ** 2]
            one = ti.Matrix.identity(ti.f32, dim)
            stress = MU * (f[p] @ f[p].transpose() - one) + LAMBDA * ti.log(f[p].determinant()) * one
            affine = mass * c[p] - (4 * dt / (h * h) * volume) * stress
            for offset in ti.static(ti.grouped(ti.ndrange(*((3,) * dim)))):
                apart = (offset.cast(ti.f32) - fx) * h
                weight = 1.0
                for a in ti.static(range(dim)):
                    weight *= w[offset[a]][a]
                grid_v[base + offset] += weight * (mass * v[p] + affine @ apart)
                grid_m[base + offset] += weight * mass
        for i in ti.grouped(grid_m):
            if grid_m[i] > 0:
                grid_v[i] = grid_v[i] / grid_m[i]
                grid_v[i][dim - 1] -= dt * G
        for p in x:
            place = (x[p] - origin) / h
            base = ti.floor(place - 0.5).cast(int)
            fx = place - base.cast(ti.f32)
            w = [0.5 * (1.5 - fx) ** 2, 0.75 - (fx - 1.0) ** 2, 0.5 * (fx - 0.5) ** 2]
            new_v = ti.Vector.zero(ti.f32, dim)
            new_c = ti.Matrix.zero(ti.f32, dim, dim)
            for offset in ti.static(ti.grouped(ti.ndrange(*((3,) * dim)))):
                apart = (offset.cast(ti.f32) - fx) * h
                weight = 1.0
                for a in ti.static(range(dim)):
                    weight *= w[offset[a]][a]
                new_v += weight * grid_v[base + offset]
                new_c += 4 / (h * h) * weight * grid_v[base + offset].outer_product(apart)
            v[p], c[p] = new_v, new_c
            x[p] += dt * new_v
            f[p] = f[p] + dt * new_c @ f[p]

    return step, x.to_numpy


def best(functions: dict[str, Callable[[], Any]], repeat: int, calls: int) -> dict[str, float]:
    """Smallest CPU seconds of one call, the functions taking turns."""
    found = dict.fromkeys(functions, math.inf)
    for function in functions.values():
        function()
    for _ in range(repeat):
        for name, function in functions.items():
            begin = time.process_time()
            for _ in range(calls):
                function()
            found[name] = min(found[name], (time.process_time() - begin) / calls)
    return found


def throughput(repeat: int, device: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for dim, cells, side in ((2, 64, 0.35), (2, 128, 0.5), (3, 32, 0.2), (3, 32, 0.38), (3, 64, 0.25)):
        world = scene(dim, cells, side, device)
        dt = 0.5 * world.stable_step(world.start())
        with torch.no_grad():
            ours = world.run(world.start(), 20, dt)
        plain, compiled = NumpyStep(scene(dim, cells, side, "cpu")), taichi_step(scene(dim, cells, side, "cpu"))
        for _ in range(20):
            plain(dt)
            if compiled:
                compiled[0](dt)
        apart = {"numpy": plain.x} | ({"taichi": compiled[1]()} if compiled else {})
        errors = {name: float(np.abs(x - ours.points.cpu().numpy()).max()) * cells for name, x in apart.items()}
        assert max(errors.values()) < 1e-4, errors
        state = world.start()

        def forward(world=world, state=state, dt=dt) -> None:
            with torch.no_grad():
                world.step(state, dt)
            if device == "cuda":
                torch.cuda.synchronize()

        functions: dict[str, Callable[[], Any]] = {"meshlearn": forward}
        functions["with gradient"] = lambda world=world, state=state, dt=dt: gradient(world, state, dt)
        functions["numpy"] = lambda plain=plain: plain(1e-7)
        if compiled:
            functions["taichi"] = lambda step=compiled[0]: step(1e-7)
        seconds = best(functions, repeat, 3 if world.n < 20000 else 1)
        name = f"{dim}-D, {world.n} particles, {cells} cells a side"
        found[name] = {"seconds_per_step": seconds, "largest_difference_in_cells": errors}
        found[name]["million_particle_steps_per_second"] = {key: world.n / s / 1e6 for key, s in seconds.items()}
        print(name, found[name]["million_particle_steps_per_second"], flush=True)
    return found


def gradient(world: mpm.MPM, state: mpm.State, dt: float) -> None:
    begin = state.with_tensors([tensor.detach().requires_grad_() for tensor in state.tensors()])
    world.step(begin, dt).position.square().sum().backward()


def materials(repeat: int, device: str) -> dict[str, float]:
    """Million particles x steps per second in 3-D by material."""
    laws = (mpm.NeoHookean(YOUNG), mpm.Corotated(YOUNG), mpm.Water(YOUNG), mpm.VonMises(YOUNG), mpm.Sand(YOUNG))
    found = {}
    for law in laws:
        world = scene(3, 32, 0.32, device, law)
        state = world.start()
        dt = world.stable_step(state)
        with torch.no_grad():
            seconds = best({"step": lambda w=world, s=state, t=dt: w.step(s, t)}, repeat, 1)["step"]
        found[type(law).__name__] = world.n / seconds / 1e6
    print(found, flush=True)
    return found


def bodies(repeat: int, device: str) -> dict[str, float]:
    """Million elements x steps per second."""
    found = {}
    for mesh in (
        ml.shapes.rectangle(1.0, 1.0, n=(32, 32)),
        ml.shapes.rectangle(1.0, 1.0, n=(128, 128)),
        ml.shapes.box(1.0, 1.0, 1.0, n=(8, 8, 8)),
        ml.shapes.box(1.0, 1.0, 1.0, n=(20, 20, 20)),
    ):
        solid = dynamics.ElasticDynamics(mesh.to(device), dynamics.NeoHookean(YOUNG, POISSON))
        state, dt = solid.start(), 1e-5
        with torch.no_grad():
            seconds = best({"step": lambda b=solid, s=state, t=dt: b.step(s, t)}, repeat, 3)["step"]
        n = len(solid.elements.volume)
        found[f"{n} {solid.elements.kind}"] = n / seconds / 1e6
    print(found, flush=True)
    return found


def periods() -> dict[str, Any]:
    """A free bar in its first longitudinal vibration, three periods."""
    found = {}
    for cells in (8, 16, 32):
        bar = ml.shapes.rectangle(1.0, 0.25, n=2).double()
        body = mpm.Body.fill(
            bar,
            mpm.NeoHookean(1e4, 0.0),
            0.5 / cells,
            DENSITY,
            lambda x: torch.stack([0.01 * torch.cos(math.pi * (x[:, 0] - 0.5)), 0 * x[:, 0]], 1),
            shift=(0.5, 0.5),
        )
        theory = 2 / math.sqrt(1e4 / DENSITY)
        begin = time.process_time()
        film = mpm.simulate(mpm.MPM(body, 1 / cells, (0, 0), (2, 1.25)), 5 * theory, 200)
        seconds = time.process_time() - begin
        mode = torch.cos(math.pi * (film.moving_points[0, :, 0] - 0.5))
        height = (film.point_data["velocity"][:, :, 0] * mode).mean(1)
        crossing = (height[1:] * height[:-1] < 0).nonzero()[:, 0]
        at = film.times[crossing] + film.times[1] * height[crossing] / (height[crossing] - height[crossing + 1])
        energy = film.global_data["kinetic_energy"] + film.global_data["stored_energy"]
        found[f"{cells} cells along the bar"] = {
            "relative_error_of_period": float(2 * (at[-1] - at[0]) / (len(at) - 1) / theory - 1),
            "energy_left_after_five_periods": float(energy[-1] / energy[0]),
            "cpu_s": seconds,
        }
    print(found, flush=True)
    return found


def carry(repeat: int) -> dict[str, Any]:
    """Reconstruction from true nodes: time for many points, error on finite-element beams."""
    points = torch.rand(100_000, 3, generator=torch.Generator().manual_seed(0))
    begin = time.process_time()
    few = SparseNodes(points, 1000)
    middle = time.process_time()
    _ = few.operator
    found: dict[str, Any] = {"sample_s": middle - begin, "operator_s": time.process_time() - middle}
    moved = few.node_points + 0.1
    found["frame_s"] = best({"carry": lambda: few.carry(moved)}, repeat, 3)["carry"]
    films = ml.sim.make_bodies(4, kind="beam", dim=3, cells=12, duration=0.5, frames=20, seed=1)
    for n_nodes in (30, 60, 120, 240):
        errors: dict[str, list[float]] = {"moving least squares": [], "nearest node": []}
        for film in films:
            nodes = SparseNodes(film.mesh, n_nodes)
            displacement = film.moving_points - film.mesh.points
            size = float(displacement.norm(dim=2).max())
            back = nodes.carry(nodes.reduced(film).moving_points)
            errors["moving least squares"].append(float((back - film.moving_points).norm(dim=2).max()) / size)
            nearest = ml.ops.knn(nodes.node_points, film.mesh.points, 1)[1][:, 0]
            by_nearest = displacement.index_select(1, nodes.nodes).index_select(1, nearest)
            errors["nearest node"].append(float((by_nearest - displacement).norm(dim=2).max()) / size)
        found[f"largest error, {n_nodes} nodes of {films[0].n_points} points"] = {
            name: sum(values) / len(values) for name, values in errors.items()
        }
    print(found, flush=True)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeat", type=int, default=15, help="calls of which the fastest counts")
    arguments.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments.add_argument(
        "--parts", default="mpm,materials_3d,bodies,carry,periods", help="the others keep their results"
    )
    options = arguments.parse_args()
    torch.set_num_threads(1)
    name = "lagrangian" if options.device == "cpu" else f"lagrangian_{options.device}"
    path = RESULTS / f"{name}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results.pop("machine", None)
    parts: dict[str, Callable[[], Any]] = {
        "mpm": lambda: throughput(options.repeat, options.device),
        "materials_3d": lambda: materials(options.repeat, options.device),
        "bodies": lambda: bodies(options.repeat, options.device),
        "carry": lambda: carry(options.repeat),
        "periods": periods,
    }
    for part in options.parts.split(","):
        results[part] = parts[part]()
        write_results(name, results)


if __name__ == "__main__":
    main()
