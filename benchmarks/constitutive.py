"""Laws learned from one film inside the simulator, beside the true law and fitted laws of two constants.

    python benchmarks/constitutive.py [--parts stiffening,metal,neo-hookean] [--seeds 0,1,2] [--laws isotropic,…]

The film: a block of 130 particles is thrown into a box and stretched (15 frames in 0.3 s). Every law sees places and
velocities only, and is then used in two other scenes: an angle that stands on a sticky floor and is struck, twice as
long; and a clamped beam of finite elements.

stiffening   the truth has an exponential energy: none of the laws that are fitted contains it
neo-hookean  the truth is `mpm.NeoHookean`
metal        the truth is `mpm.VonMises`, and flows; scenes are the thrown block and the angle

stress       relative L2 error of first Piola-Kirchhoff stresses; "seen": in the film; "angle": at the deformations of
             the struck angle; "random": principal stretches between 0.8 and 1.3, turned
place        root mean square distance over root mean square displacement, all points and frames
moment       drift of angular momentum of a body that flies freely and swings, in float64, over that of the same body
             spinning at the rate it is stretched with
Seconds are CPU time of the fit (one thread). Results: benchmarks/results/constitutive.json; what is there already is
kept, so that a run can be continued.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.models.constitutive.moduli import first_piola
from meshlearn.sim import dynamics, mpm
from meshlearn.sim.mpm.elastic import matrices
from meshlearn.sim.mpm.material import lame
from meshlearn.sim.mpm.tensors import determinant, identity, product_transposed

H, STEP, METAL_STEP, SIZE, SLOW = 1 / 16, 4e-3, 2e-3, 1.5, 0.6
DURATION, FRAMES, SEGMENT = 0.3, 15, 5
YOUNG, POISSON = 2e4, 0.3
BLOCK = mpm.Body.fill(ml.shapes.rectangle(0.4, 0.3, n=1), mpm.NeoHookean(), H / 2, shift=(0.3, 0.25))
ANGLE = mpm.Body.fill(ml.shapes.l_shape(0.5), mpm.NeoHookean(), H / 2, shift=(0.25, 0.0))
BEAM = ml.shapes.rectangle(0.6, 0.1, n=(18, 3))


class Stiffening(mpm.NeoHookean):
    """mu / (2 SIZE) (exp(SIZE x) - 1) + lambda / 4 (J^2 - 1 - 2 ln J), x = tr C - dim - 2 ln J."""

    def stress(self, memory: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        f = matrices(memory)
        mu, bulk = lame(self.young, self.poisson)
        volume = determinant(f)
        growth = (SIZE * (memory.square().sum(0) - len(f) - 2 * volume.log())).exp()
        shear = mu * growth * (product_transposed(f, f) - identity(f))
        return shear + 0.5 * bulk * (volume.square() - 1) * identity(f)

    def energy(self, memory: torch.Tensor) -> torch.Tensor:
        f = matrices(memory)
        mu, bulk = lame(self.young, self.poisson)
        volume = determinant(f)
        x = memory.square().sum(0) - len(f) - 2 * volume.log()
        return mu / (2 * SIZE) * torch.expm1(SIZE * x) + 0.25 * bulk * (volume.square() - 1 - 2 * volume.log())


def block(law: Any, speed: float = 1.0) -> mpm.MPM:
    away = BLOCK.points - BLOCK.points.mean(0)
    velocity = speed * (torch.tensor([0.4, -1.2]) + 5.0 * away.flip(1))
    body = mpm.Body(BLOCK.points, law, BLOCK.volume, velocity=velocity)
    return mpm.MPM(body, H, (0, 0), (1, 1), gravity=(0.0, -4.0))


def angle(law: Any, speed: float = 1.0) -> mpm.MPM:
    height = ANGLE.points[:, 1]
    body = mpm.Body(ANGLE.points, law, ANGLE.volume, velocity=torch.stack([3.0 * speed * height, 0 * height], 1))
    return mpm.MPM(body, H, (0, 0), (1, 1), {"bottom": "sticky"}, gravity=(0.0, -4.0))


def slow_block(law: Any) -> mpm.MPM:
    return block(law, SLOW)


def slow_angle(law: Any) -> mpm.MPM:
    return angle(law, SLOW)


def beam(law: Any) -> dynamics.ElasticDynamics:
    return dynamics.ElasticDynamics(
        BEAM, law, velocity=lambda x: torch.stack([0 * x[:, 0], 3.0 * x[:, 0] ** 2], 1), fixed={"left": 0.0}, safety=0.5
    )


def free(law: Any) -> mpm.MPM:
    points = BLOCK.points.double()
    body = mpm.Body(points, law, BLOCK.volume.double(), velocity=3.0 * (points - points.mean(0)).flip(1))
    return mpm.MPM(body, H, (0, 0), (1, 1))


def deformations(film: ml.Trajectory, scene: Callable[[Any], Any]) -> torch.Tensor:
    """Deformation gradients of a film, (n, 2, 2) float64."""
    from meshlearn.models.constitutive.observed import Observed

    world = scene(mpm.NeoHookean())
    observed = Observed(film, world)
    found = torch.cat([observed.deformation(i, world) for i in range(0, observed.n_frames, 3)], 2).permute(2, 0, 1)
    return found[torch.linalg.det(found) > 0.2].double()


def random_deformations(n: int = 1000) -> torch.Tensor:
    random = torch.Generator().manual_seed(7)
    stretches = 0.8 + 0.5 * torch.rand(n, 2, generator=random, dtype=torch.float64)
    angles = 2 * math.pi * torch.rand(2, n, generator=random, dtype=torch.float64)
    left, right = (
        torch.stack([torch.stack([a.cos(), -a.sin()], -1), torch.stack([a.sin(), a.cos()], -1)], -2) for a in angles
    )
    return left @ torch.diag_embed(stretches) @ right


def piola(law: Any, f: torch.Tensor) -> torch.Tensor:
    f = f.permute(1, 2, 0)
    return first_piola(law.stress(f.flatten(0, 1), torch.zeros_like(f)), f)


def methods(part: str) -> dict[str, dict[str, Any]]:
    if part == "metal":
        return {"flow": {"plasticity": True, "young": 3e4}, "isotropic": {"young": 3e4}}
    kinds = ("corotated", "neo-hookean", "isotropic", "convex", "energy", "stress")
    return {kind: {"convex": True} if kind == "convex" else {} for kind in kinds}


def truth(part: str) -> Any:
    known = {"stiffening": Stiffening(YOUNG, POISSON), "neo-hookean": mpm.NeoHookean(YOUNG, POISSON)}
    return known[part] if part in known else mpm.VonMises(5e4, POISSON, yield_stress=3e3)


def one(
    part: str, name: str, options: dict[str, Any], seed: int, updates: int, films: dict[str, Any]
) -> dict[str, Any]:
    law, metal = truth(part), part == "metal"
    model = ml.ConstitutiveNet(
        {"convex": "isotropic", "flow": "isotropic"}.get(name, name),
        seed=seed,
        **{"young": 1e4, "poisson": 0.2, **options},
    )
    two = name in ("corotated", "neo-hookean")
    thrown, step = (slow_block, METAL_STEP) if metal else (block, STEP)
    begin = time.process_time()
    model.fit(films["block"], thrown, 30 if two else updates, SEGMENT, 0.1 if two else 0.03, step)
    found: dict[str, Any] = {"fit_s": time.process_time() - begin, "updates": len(model.history_)}
    fitted = model.law()
    scenes = {"block": thrown, "angle": slow_angle} if metal else {"block": block, "angle": angle, "beam": beam}
    for where, scene in scenes.items():
        try:
            found[f"place_{where}"] = model.score(films[where], scene, None if where == "beam" else step)["position"]
        except ml.SimulationError as error:
            found[f"place_{where}"] = None
            print("failed:", str(error).splitlines()[0])
    if not metal:
        for where, f in films["deformations"].items():
            true = piola(law, f)
            found[f"stress_{where}"] = float((piola(fitted, f) - true).norm() / true.norm())
    flying = mpm.simulate(free(fitted), 0.2, 10, step).global_data["angular_momentum"]
    spin = 3.0 * float((BLOCK.volume * 1000 * (BLOCK.points - BLOCK.points.mean(0)).square().sum(1)).sum())
    found["moment_drift"] = float((flying - flying[0]).abs().max()) / spin
    if two:
        found["young"], found["poisson"] = float(fitted.young), float(fitted.poisson)
    return found


def films_of(part: str) -> dict[str, Any]:
    """{scene: film of the truth}, and deformations at which stresses are compared."""
    law, films = truth(part), {}
    if part == "metal":
        films["block"] = mpm.simulate(slow_block(law), DURATION, FRAMES, METAL_STEP)
        films["angle"] = mpm.simulate(slow_angle(law), 2 * DURATION, 2 * FRAMES, METAL_STEP)
        return films
    films["block"] = mpm.simulate(block(law), DURATION, FRAMES, STEP)
    films["angle"] = mpm.simulate(angle(law), 2 * DURATION, 2 * FRAMES, STEP)
    films["beam"] = dynamics.simulate(beam(law), 2 * DURATION, 2 * FRAMES)
    films["deformations"] = {
        "seen": deformations(films["block"], block),
        "angle": deformations(films["angle"], angle),
        "random": random_deformations(),
    }
    return films


def with_means(results: dict[str, Any]) -> dict[str, Any]:
    """The results with the mean over the seeds of every number, beside them."""
    for methods_of in (value for value in results.values() if isinstance(value, dict)):
        for by_seed in methods_of.values():
            rows = [row for key, row in by_seed.items() if key.startswith("seed")]
            keys = [key for key in rows[0] if all(isinstance(row.get(key), (int, float)) for row in rows)]
            by_seed["mean"] = {key: sum(row[key] for row in rows) / len(rows) for key in keys} | {"seeds": len(rows)}
    return results


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", default="stiffening,metal,neo-hookean")
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument(
        "--updates", type=int, default=90, help="of networks; metals take a third, laws of two constants 30"
    )
    arguments.add_argument("--minutes", type=float, default=1e9, help="begin no fit after so long")
    arguments.add_argument("--laws", default="corotated,neo-hookean,isotropic,flow", help="also convex,energy,stress")
    arguments.add_argument("--again", action="store_true", help="also fits whose results are there")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    path, begin = RESULTS / "constitutive.json", time.time()
    results = json.loads(path.read_text()) if path.exists() else {}
    results.pop("machine", None)
    films = {part: films_of(part) for part in options.parts.split(",")}
    for part in films:
        for name, f in films[part].get("deformations", {}).items():
            s = torch.linalg.svdvals(f)
            print(part, name, "stretches", float(s.quantile(0.01)), float(s.quantile(0.99)), flush=True)
    for part in films:
        for seed in options.seeds.split(","):
            for name, choices in methods(part).items():
                known = f"seed {seed}" in results.get(part, {}).get(name, {})
                if (
                    name not in options.laws.split(",")
                    or (known and not options.again)
                    or time.time() - begin > 60 * options.minutes
                ):
                    continue
                updates = options.updates // 3 if part == "metal" else options.updates
                row = one(part, name, choices, int(seed), updates, films[part])
                results.setdefault(part, {}).setdefault(name, {})[f"seed {seed}"] = row
                print(f"{time.time() - begin:.0f} s", part, name, seed, row, flush=True)
                write_results("constitutive", with_means(results))


if __name__ == "__main__":
    main()
