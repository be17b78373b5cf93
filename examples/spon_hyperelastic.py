"""What holes change in stretched rubber plates: operator networks beside simpler ways, and beside solving."""

from time import perf_counter

import torch

import meshlearn as ml

SEEDS = 3


def without_holes(mesh: ml.Mesh) -> torch.Tensor:
    """Displacement (n_points, 2) of a rectangle without holes: stretched evenly, and as thin as it likes to be."""
    stretch, ratio = 1 + mesh.global_data["stretch"].double(), mesh.global_data["poisson"].double()
    bulk, across = 2 * ratio / (1 - 2 * ratio), torch.ones((), dtype=torch.float64)
    for _ in range(20):  # Newton: no stress across, with the ratio of the Lamé constants
        stress = across**2 - 1 + bulk * torch.log(stretch * across)
        across = across - stress / (2 * across + bulk / across)
    return (mesh.points * torch.stack([stretch - 1, across - 1])).float()


def error(found: list[torch.Tensor], meshes: list[ml.Mesh]) -> float:
    """Mean relative L2 error of displacements, over the area."""
    total = 0.0
    for u, mesh in zip(found, meshes, strict=True):
        weights, truth = mesh.point_measures()[:, None], mesh.point_data["displacement"]
        total += float(((weights * (u - truth) ** 2).sum() / (weights * truth**2).sum()).sqrt())
    return total / len(meshes)


def solved(mesh: ml.Mesh, share: float) -> torch.Tensor:
    """Displacement by finite elements under a share of the stretch."""
    pulled = mesh.point_data["prescribed"].max().item()
    held = {"left": (0.0, None), "bottom": (None, 0.0), "right": (share * pulled, None)}
    ratio = mesh.global_data["poisson"].item()
    return ml.sim.hyperelasticity(mesh.double(), 1.0, ratio, held).point_data["displacement"].float()


plates = ml.sim.make_plates(75, seed=0, physics="hyperelasticity", size=(9.0, 12.0), stretch=(0.2, 0.5), progress=False)
plates = [mesh.with_point_data(even=without_holes(mesh)) for mesh in plates]
plates = [mesh.with_point_data(extra=mesh.point_data["displacement"] - mesh.point_data["even"]) for mesh in plates]
train, test = plates[:60], plates[60:]

start = perf_counter()
whole = error([solved(mesh, 1.0) for mesh in test], test)
seconds = (perf_counter() - start) / len(test)
assert whole < 1e-4

scores = {
    "plate without holes": error([mesh.point_data["even"] for mesh in test], test),
    "linear elasticity": error([solved(mesh, 1e-6) * 1e6 for mesh in test], test),
}
inputs, outputs = ["even", "hole_distance", "edge_distance", "stretch", "poisson"], ["extra"]
still = {"left": [0.0, None], "right": [0.0, None], "bottom": [None, 0.0]}  # the plate without holes is right there
models = {
    "mean field": lambda: ml.MeanField(inputs, outputs),
    "ridge regression": lambda: ml.RidgeRegression(inputs, outputs),
    "MeshGraphNet": lambda: ml.MeshGraphNet(
        inputs, outputs, hidden=27, steps=3, levels=1, boundary_sets=["left", "right", "bottom", "hole_*"]
    ),
    "SPON": lambda: ml.SPON(inputs, outputs, hidden=24, steps=3, dirichlet=still),
}
trained: dict[str, list[float]] = {}
took = {}
for name, make in models.items():
    learned = name in ("MeshGraphNet", "SPON")
    for seed in range(SEEDS if learned else 1):
        settings = {"epochs": 15, "learning_rate": 8e-3, "seed": seed, "progress": False} if learned else {}
        model = make().fit(train, **settings)
        start = perf_counter()
        found = model.predict(test)
        took[name] = (perf_counter() - start) / len(test)
        moved = [mesh.point_data["even"] + pred.point_data["extra"] for mesh, pred in zip(test, found, strict=True)]
        trained.setdefault(name, []).append(error(moved, test))
        if name == "SPON":
            for mesh, pred in zip(test, found, strict=True):
                held = mesh.point_data["fixed"].bool()
                assert bool((pred.point_data["extra"][held] == 0.0).all())  # to the last bit
    if learned:
        print(f"{name}: {sum(weights.numel() for weights in model.module_.parameters())} weights")

print(f"displacement, relative L2 on {len(test)} unseen plates ({SEEDS} seeds):")
for name, score in scores.items():
    print(f"  {name:20s} {score:.3f}")
for name, errors in trained.items():
    print(f"  {name:20s} {' '.join(f'{e:.3f}' for e in errors)}   {1e3 * took[name]:.1f} ms a plate")
print(f"  {'finite elements':20s} 0 (they are the truth)   {1e3 * seconds:.0f} ms a plate")
assert max(trained["SPON"]) < 0.7 * scores["plate without holes"]
assert max(trained["SPON"]) < min(trained["mean field"] + trained["ridge regression"])
