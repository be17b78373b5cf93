"""A trained model as the first guess of Newton's method, in a plain scikit-fem script for nonlinear diffusion."""

from time import perf_counter

import numpy as np
import skfem
import torch
from skfem.helpers import dot, grad

import meshlearn as ml


@skfem.LinearForm
def residual(v, w):
    """-div((1 + u^2) grad u) = f."""
    return (1 + w.u**2) * dot(grad(w.u), grad(v)) - w.f * v


@skfem.BilinearForm
def tangent(du, v, w):
    """Its derivative."""
    return (1 + w.u**2) * dot(grad(du), grad(v)) + 2 * w.u * du * dot(grad(w.u), grad(v))


mesh = skfem.MeshTri.init_lshaped().refined(4)
basis = skfem.Basis(mesh, skfem.ElementTriP1())
free, boundary = basis.complement_dofs(basis.get_dofs()), basis.get_dofs().flatten()


def source(rng: np.random.Generator) -> np.ndarray:
    """Random waves, strong enough for conductivities between 1 and some 30."""
    waves = np.cos(np.pi / 2 * np.arange(4)[:, None, None] * (mesh.p + 1))
    return 100 * np.einsum("kn,ln,kl->n", waves[:, 0], waves[:, 1], rng.normal(size=(4, 4)))


def newton(f: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, int]:
    """Solution, and the steps to 1e-10 of the load, each halved until the residual falls."""
    load = basis.interpolate(f)

    def force(u):
        return residual.assemble(basis, u=basis.interpolate(u), f=load)[free]

    u, goal = guess.astype(float), 1e-10 * np.linalg.norm(force(basis.zeros()))
    u[boundary] = 0.0
    r = force(u)
    for steps in range(100):
        size = np.linalg.norm(r)
        if size <= goal:
            return u, steps
        step = skfem.solve(tangent.assemble(basis, u=basis.interpolate(u))[free][:, free], -r)
        length = 1.0
        while length > 1e-6:
            new = u.copy()
            new[free] += length * step
            r = force(new)
            if np.linalg.norm(r) <= (1 - 1e-4 * length) * size:
                break
            length /= 2
        u = new
    raise RuntimeError(f"Newton's method is at a residual of {size:.1e} after 100 steps")


# Solve a hundred times from zero, learn from eighty-five of these.
rng, domain = np.random.default_rng(0), ml.Mesh.from_skfem(mesh).oriented()
solved, steps_from_zero = [], []
start = perf_counter()
for _ in range(100):
    f = source(rng)
    u, steps = newton(f, basis.zeros())
    steps_from_zero.append(steps)
    solved.append(domain.with_point_data(f=torch.from_numpy(f).float(), u=torch.from_numpy(u).float()))
step_seconds = (perf_counter() - start) / sum(steps_from_zero)
train, test = solved[:85], solved[85:]
model = ml.SPON(["f"], ["u"], hidden=24, steps=3, dirichlet={"boundary": 0.0})
model.fit(train, epochs=20, learning_rate=8e-3, progress=False)

# The same solver on sources that the model has not seen; what a sceptic would start from, beside it.
start = perf_counter()
guesses = model.predict(test)
guess_seconds = (perf_counter() - start) / len(test)
mean = np.mean([m.point_data["u"].numpy() for m in train], axis=0)
counts: dict[str, list[int]] = {"zero": [], "mean of the known solutions": [], "model": []}
for guess, truth in zip(guesses, test, strict=True):
    f = truth.point_data["f"].double().numpy()
    starts = (basis.zeros(), mean, guess.point_data["u"].double().numpy())
    found = [newton(f, u) for u in starts]
    for name, (_, steps) in zip(counts, found, strict=True):
        counts[name].append(steps)
    assert max(np.abs(u - found[0][0]).max() for u, _ in found) < 1e-8  # a guess changes the way, not the solution

print(f"{len(free)} unknowns, {len(test)} unseen sources; guess of the model: {model.score(test)['u']:.3f} off")
for name, steps in counts.items():
    print(f"  from {name:28s}{np.mean(steps):5.2f} Newton steps ({min(steps)} to {max(steps)})")
print(f"a step takes {1e3 * step_seconds:.1f} ms, a prediction {1e3 * guess_seconds:.1f} ms")
assert np.mean(counts["model"]) <= np.mean(counts["zero"]) - 1
assert np.mean(counts["model"]) < np.mean(counts["mean of the known solutions"])
