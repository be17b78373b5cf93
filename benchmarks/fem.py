"""Finite elements: assembly beside scikit-fem's, batches, gradients of a solve, a whole solve beside torch-fem's.

    python benchmarks/fem.py                       # everything, some minutes on two idle cores
    python benchmarks/fem.py assembly --quick      # one part, small meshes: checks the script, not the speed

Parts: assembly, batch, adjoint, torchfem, evaluate. Ratios are peer / meshlearn: above 1 means that meshlearn is
faster; the two sides take turns and the best round counts. Results go to benchmarks/results/fem.json, part by part.
torch-fem is optional: `pip install torch-fem` (MIT); without it that part is left out.

What limits it: assembly by memory, some ten numbers per cell and the entries of the matrix written once; a batch by
the matrix entries alone, which are written twice; solves by SuperLU.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import torch
from common import RESULTS, in_turns, write_results

import meshlearn as ml
from meshlearn import fem
from meshlearn.fem import dot, grad, sym, trace

CASES = {  # name -> (mesh, element)
    "triangles P1, 0.1M": (lambda: ml.shapes.square(n=315), "P1"),
    "triangles P2, 0.1M": (lambda: ml.shapes.square(n=158), "P2"),
    "tetrahedra P1, 0.1M": (lambda: ml.shapes.box(n=45), "P1"),
    "tetrahedra P2, 0.1M": (lambda: ml.shapes.box(n=23), "P2"),
    "triangles P1, 1M": (lambda: ml.shapes.square(n=1000), "P1"),
    "triangles P2, 1M": (lambda: ml.shapes.square(n=500), "P2"),
    "tetrahedra P1, 0.5M": (lambda: ml.shapes.box(n=79), "P1"),
    "tetrahedra P2, 0.5M": (lambda: ml.shapes.box(n=39), "P2"),
}


def laplace(u, v, x):
    """The stiffness form."""
    return dot(grad(u), grad(v))


def diffusion(u, v, x):
    """The same with a coefficient."""
    return x.k * dot(grad(u), grad(v))


def assembly(quick: bool) -> dict:
    """Stiffness matrices; scikit-fem's basis and our space and pattern are made before, and timed apart."""
    from skfem.models.poisson import laplace as peer_form

    found = {}
    for name, (make, element) in CASES.items():
        if quick and "0.1M" not in name:
            continue
        mesh = make()
        start = time.perf_counter()
        space = fem.FESpace(mesh, element)
        made = time.perf_counter()
        space.pattern()
        patterned = time.perf_counter()
        basis = space.basis()
        based = time.perf_counter()
        ours, theirs = space.assemble(laplace).to_scipy(), peer_form.assemble(basis)
        difference = abs(ours - theirs).max() / abs(theirs).max()
        del ours, theirs
        times = in_turns(
            {"meshlearn": lambda s=space: s.assemble(laplace), "skfem": lambda b=basis: peer_form.assemble(b)},
            repeat=3 if quick else 5,
        )
        row = {
            "dofs": space.n_dofs,
            "cells": mesh.n_cells,
            "meshlearn_s": times["meshlearn"]["best_s"],
            "skfem_s": times["skfem"]["best_s"],
            "ratio": times["skfem"]["best_s"] / times["meshlearn"]["best_s"],
            "relative_difference": float(difference),
            "space_s": made - start,
            "pattern_s": patterned - made,
            "skfem_basis_s": based - patterned,
        }
        found[name] = row
        print(
            f"{name:>20}: {row['meshlearn_s']:.3f} s, scikit-fem {row['skfem_s']:.3f} s, {row['ratio']:.1f} x, "
            f"difference {difference:.0e}; once: space {row['space_s']:.2f}, pattern {row['pattern_s']:.2f}, "
            f"scikit-fem's basis {row['skfem_basis_s']:.2f}",
            flush=True,
        )
    return found


def batch(quick: bool) -> dict:
    """32 coefficients at once, beside 32 single assemblies."""
    found = {}
    sizes = {
        "triangles P1": ((16, 32, 64, 128, 256), ml.shapes.square),
        "tetrahedra P2": ((4, 6, 8, 12), ml.shapes.box),
    }
    for name, (counts, shape) in sizes.items():
        for n in counts[:2] if quick else counts:
            space = fem.FESpace(shape(n=n), name[-2:])
            k = 1 + torch.rand(32, space.mesh.n_cells, dtype=torch.float64)

            times = in_turns(
                {
                    "batch": lambda s=space, k=k: s.assemble(diffusion, k=k),
                    "single": lambda s=space, k=k: [s.assemble(diffusion, k=one) for one in k],
                },
                repeat=5,
            )
            row = {key: value["best_s"] for key, value in times.items()}
            row["ratio"] = row["single"] / row["batch"]
            found[f"{name}, {space.mesh.n_cells} cells"] = row
            print(f"{name}, {space.mesh.n_cells:>7} cells: {row['ratio']:.1f} x ({row['batch']:.3f} s)", flush=True)
    return found


def adjoint(quick: bool) -> dict:
    """Gradient of a scalar of the solution in 1 coefficient per cell: its cost in forward solves."""
    found = {}
    for name, mesh, element in (
        ("triangles P1", ml.shapes.square(n=40 if quick else 250), "P1"),
        ("triangles P2", ml.shapes.square(n=20 if quick else 125), "P2"),
        ("tetrahedra P1", ml.shapes.box(n=6 if quick else 20), "P1"),
    ):
        space = fem.FESpace(mesh, element)
        clamped = space.dirichlet("boundary", 0.0)
        load = space.assemble(lambda v, x: v)
        k = torch.ones(mesh.n_cells, dtype=torch.float64, requires_grad=True)

        def forward(space=space, clamped=clamped, load=load, k=k):
            A = space.assemble(diffusion, k=k)
            return fem.solve(A, load, clamped, method="direct")

        first, second = [], []
        for _ in range(4):
            start = time.perf_counter()
            u = forward()
            middle = time.perf_counter()
            torch.autograd.grad(u.square().sum(), k)
            first.append(middle - start)
            second.append(time.perf_counter() - middle)
        row = {"dofs": space.n_dofs, "forward_s": min(first), "backward_s": min(second)}
        row["gradient_in_forward_solves"] = row["backward_s"] / row["forward_s"]
        found[name] = row
        ratio = row["gradient_in_forward_solves"]
        print(f"{name}, {space.n_dofs} dofs: gradient = {ratio:.2f} forward solves", flush=True)
    return found


def torchfem(quick: bool) -> dict | None:
    """Plane stress and 3-D elasticity: assembly plus direct solve, equal meshes, loads and results."""
    try:
        from torchfem import Planar, Solid
        from torchfem.materials import IsotropicElasticity3D, IsotropicElasticityPlaneStress
    except ImportError:
        print("torch-fem is not installed: left out")
        return None
    torch.set_default_dtype(torch.float64)
    found = {}
    young, nu = 1000.0, 0.3
    planes = (ml.shapes.square(n=20 if quick else 120, cells="quad"), Planar, IsotropicElasticityPlaneStress)
    solids = (ml.shapes.box(n=4 if quick else 12), Solid, IsotropicElasticity3D)
    for name, (mesh, model_class, material) in {"quads, plane stress": planes, "tetrahedra": solids}.items():
        points = mesh.points.double()
        mesh = mesh.replace(points=points)
        left = points[:, 0] < 1e-9
        mu = young / (2 * (1 + nu))
        lame = young * nu / (1 - nu**2) if mesh.dim == 2 else young * nu / ((1 + nu) * (1 - 2 * nu))
        tip = int(points.sum(1).argmax())
        space = fem.FESpace(mesh, "P1^d")
        clamped = space.dirichlet(lambda x: x[0] < 1e-9, 0.0)
        load = torch.zeros(space.n_dofs)
        load[tip * mesh.dim + 1] = -1.0
        model = model_class(points, next(iter(mesh.cells[k] for k in mesh.domain_types)), material(E=young, nu=nu))
        model.constraints[left, :] = True
        model.forces[tip, 1] = -1.0

        def ours(space=space, clamped=clamped, load=load, mu=mu, lame=lame):
            A = space.assemble(
                lambda u, v, x: 2 * mu * fem.inner(sym(grad(u)), sym(grad(v))) + lame * trace(grad(u)) * trace(grad(v))
            )
            return fem.solve(A, load, clamped, method="direct")

        def peer(model=model):
            return model.solve(method="direct")[0]

        difference = (ours().reshape(-1, mesh.dim) - peer()).abs().max() / ours().abs().max()
        times = in_turns({"meshlearn": ours, "torchfem": peer}, repeat=3)
        row = {key: value["best_s"] for key, value in times.items()}
        row |= {"ratio": row["torchfem"] / row["meshlearn"], "relative_difference": float(difference)}
        row["dofs"] = space.n_dofs
        found[name] = row
        said = f"{row['ratio']:.2f} x ({row['meshlearn']:.2f} s), {difference:.0e}"
        print(f"{name}, {space.n_dofs} dofs: {said}", flush=True)
    torch.set_default_dtype(torch.float32)
    return found


def evaluate(quick: bool) -> dict:
    """A million points in a P2 function on triangles and tetrahedra: time and memory."""
    found = {}
    n = 10_000 if quick else 1_000_000
    for name, mesh in (("triangles", ml.shapes.square(n=128)), ("tetrahedra", ml.shapes.box(n=20))):
        space = fem.FESpace(mesh, "P2")
        dofs = space.interpolate(lambda x: x[0] ** 2 - x[1] * x[0])
        points = torch.rand(n, mesh.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        values = space.evaluate(dofs, points)
        seconds = time.perf_counter() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
        error = (values - (points[:, 0] ** 2 - points[:, 1] * points[:, 0])).abs().max()
        row = {"points": n, "cells": mesh.n_cells, "seconds": seconds, "memory_gb": grown, "error": float(error)}
        found[name] = row
        print(f"{name}: {n} points in {seconds:.1f} s, {grown:.2f} GB more, error {error:.0e}", flush=True)
    return found


PARTS = {"assembly": assembly, "batch": batch, "adjoint": adjoint, "torchfem": torchfem, "evaluate": evaluate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[], help=f"out of {', '.join(PARTS)}; all if not given")
    parser.add_argument("--quick", action="store_true", help="small meshes, nothing is written")
    options = parser.parse_args()
    known = RESULTS / "fem.json"
    results = json.loads(known.read_text()) if known.exists() else {}
    for name in options.parts or PARTS:
        found = PARTS[name](options.quick)
        if found is not None:
            results[name] = found
    if not options.quick:
        results.pop("machine", None)
        write_results("fem", results)


if __name__ == "__main__":
    main()
