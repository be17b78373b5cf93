"""`ConstitutiveNet`: laws of materials as small networks, learned inside a differentiable simulator from one film.

The idea is that of Ma, Chen, Deng, Tenenbaum, Du, Gan and Matusik, Learning neural constitutive laws from motion
observations for generalizable PDE dynamics, ICML 2023 (NCLaw). What is different here: networks read C = F^T F and J,
so that frame indifference needs no singular vectors; Kirchhoff stresses are symmetric, so that angular momentum is
conserved (theirs, P = R Y with a symmetric Y, are not); stresses come from an energy by default, polyconvex if asked;
and training restarts from states that are made from places (`observed`), where theirs stores F and velocity gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.constitutive import pairs, training
from meshlearn.models.constitutive.moduli import first_piola
from meshlearn.models.constitutive.observed import Observed
from meshlearn.models.constitutive.parts import Parts, TwoConstants, check
from meshlearn.sim.mpm.elastic import NeoHookean
from meshlearn.sim.mpm.material import Material
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.items import as_items
from meshlearn.train.option_checks import flag, number, whole

PROBES = 8  # frames of a film whose deformations scale the networks


class ConstitutiveNet(Estimator):
    """A law of a material, learned from one film of a body, and used as any other material.

    elasticity    "isotropic" (default): an energy of the invariants, the same in 2-D and 3-D; "energy": an energy of
                  the Green strain, of any symmetry; "stress": symmetric stresses without an energy; "neo-hookean" and
                  "corotated": the built-in laws with two constants to learn, as baselines
    plasticity    learn a limit of the elastic stretch, too, that depends on pressure and on the flow so far
    young, poisson  about those of the body: where the training begins. Poisson's ratio is above 0 and below 0.49
    yield_strain  about the elastic strain at which it flows
    convex        keep energies convex: "isotropic" is polyconvex then, and its waves have real speeds everywhere. Such
                  networks learn more slowly
    hidden, layers  of the networks
    seed          of their weights, and of the order of segments

    All laws are frame-indifferent, free of stress at rest, and conserve momentum and angular momentum, by construction.
    After `fit`: `dim_`; `history_`, a record per update. `law()` is the material.

    >>> from meshlearn.sim import mpm
    >>> ball = mpm.Body.fill(ml.shapes.disc(0.2), mpm.NeoHookean(2e4, 0.3), 0.05)
    >>> def scene(law):
    ...     throw = mpm.Body(ball.points + 0.5, law, ball.volume, velocity=4 * ball.points.flip(1))
    ...     return mpm.MPM(throw, spacing=0.1, lower=(0, 0), upper=(1, 1))
    >>> film = mpm.simulate(scene(mpm.NeoHookean(2e4, 0.3)), duration=0.1, frames=4)
    >>> model = ml.ConstitutiveNet(young=1.5e4, hidden=8).fit(film, scene, updates=30)
    >>> model.score(film, scene)["position"] < 0.1
    True
    >>> model.law()  # a material as any other
    LearnedElastic()
    """

    elasticity: str
    plasticity: bool
    young: float
    poisson: float
    yield_strain: float
    convex: bool
    hidden: int
    layers: int
    seed: int
    parts_: Parts
    dim_: int
    history_: list[dict[str, Any]]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        elasticity: str = "isotropic",
        plasticity: bool = False,
        young: float = 1e5,
        poisson: float = 0.3,
        yield_strain: float = 0.02,
        convex: bool = False,
        hidden: int = 32,
        layers: int = 2,
        seed: int = 0,
    ) -> None:
        self.elasticity = elasticity
        self.plasticity = plasticity
        self.young = young
        self.poisson = poisson
        self.yield_strain = yield_strain
        self.convex = convex
        self.hidden = hidden
        self.layers = layers
        self.seed = seed

    # -- fit -------------------------------------------------------------------------------------------------------

    @no_type_check  # arguments are checked by hand
    def fit(
        self,
        film: Any,
        scene: Any = None,
        updates: int = 200,
        segment: int | None = 10,
        learning_rate: float = 0.02,
        time_step: float | None = None,
        recompute: bool = False,
        progress: bool = False,
    ) -> ConstitutiveNet:
        """Learn from one film of a body, inside the simulator; returns self.

        film           a Trajectory with `moving_points`; its field "velocity" is used where it has one
        scene          a function that takes a law and returns the scene of the film made with it, an `mpm.MPM` or a
                       `dynamics.ElasticDynamics`: undeformed at the first frame, the same points in the same order. It
                       is called for every update; make meshes and lattices outside of it
        updates        steps of Adam, one segment of the film each
        segment        frames of a segment; they overlap by half, and come in random order. The last third of the
                       updates takes the whole film, from its start, where the state is known exactly; with None all do
        learning_rate  of Adam for networks, constants have three times as much; falls to a fiftieth along a cosine
        time_step      of the simulator at most; default: its stable step for the law as it is
        recompute      keep the states at frames only, and compute those between again for the gradient: memory for time
        progress       show a bar (on a terminal)

        Within a film segments begin from states that are made from places and velocities alone (`observed`): on a mesh
        that is exact; particles get their deformation and velocity gradients by least squares over their neighbours at
        rest, which is right where the body has not been torn or mixed. Plastic memory is led through the film.

        Without a scene: Mesh(es) with the point fields "deformation_gradient" (dim, dim) and "stress" (dim, dim), the
        first Piola-Kirchhoff stress, are learned from directly, as by `fit_stress`.

        Raises ParameterError and FieldError for what does not fit; SimulationError when simulations keep failing; a
        FitWarning tells how many updates were left out for that.
        """
        check(self)
        if scene is None and not isinstance(film, Trajectory):
            return self._fit_meshes(film, updates, learning_rate)
        if not callable(scene):
            raise ParameterError(
                "a film is learned from inside its scene: scene is a function that takes a law and returns an mpm.MPM "
                f"or a dynamics.ElasticDynamics made with it, not {scene!r:.60}."
            )
        positive = number("a positive number", lambda value: value > 0, optional=True)
        options = training.Options(
            updates=whole(1)("updates", updates),
            segment=whole(1, optional=True)("segment", segment),
            learning_rate=number("a positive number", lambda value: value > 0)("learning_rate", learning_rate),
            time_step=positive("time_step", time_step),
            recompute=flag("recompute", recompute),
            progress=flag("progress", progress),
            seed=int(self.seed),
        )
        dim = film.mesh.dim if isinstance(film, Trajectory) else 2
        parts = Parts(self, dim)
        world = scene(NeoHookean(self.young, self.poisson))  # numbers serve every device
        observed = Observed(film, world)
        chosen = torch.linspace(0, observed.n_frames - 1, min(PROBES, observed.n_frames)).long().tolist()
        parts.see(torch.cat([observed.deformation(frame, world) for frame in chosen], 2))
        device = observed.places.device
        history = training.train(parts, lambda: parts.material(device), scene, observed, options)
        return self._take(parts, dim, history)

    def fit_stress(self, deformation: Any, stress: Any, updates: Any = 1000, learning_rate: Any = 0.02) -> Any:
        """Learn from deformation gradients (n, dim, dim) and first Piola-Kirchhoff stresses (n, dim, dim).

        Returns self. In 2-D these are of plane strain. Raises FieldError for what does not fit, ParameterError for laws
        that flow: their stress does not follow from a deformation.
        """
        check(self)
        if self.plasticity:
            raise ParameterError(
                "a law that flows is learned from films: its stress depends on what was before, not on F alone."
            )
        found, target = pairs.as_pairs(deformation, stress)
        parts = Parts(self, len(found))
        parts.see(found)
        rate = number("a positive number", lambda value: value > 0)("learning_rate", learning_rate)
        history = pairs.train_on_pairs(parts, parts.material, found, target, whole(1)("updates", updates), rate)
        return self._take(parts, len(found), history)

    def _fit_meshes(self, meshes: Any, updates: Any, learning_rate: Any) -> ConstitutiveNet:
        items = as_items(meshes)
        deformations: list[Tensor] = []
        stresses: list[Tensor] = []
        for index in range(len(items)):
            mesh = items[index]
            if not isinstance(mesh, Mesh):
                raise ParameterError(
                    f"item {index} is a {type(mesh).__name__}: without a scene, meshes with deformation gradients and "
                    "stresses are learned from; films need scene=."
                )
            fields = _fields(items[0].dim)
            fields.check(mesh, f"mesh {index}")
            for spec, kept in ((fields.inputs[0], deformations), (fields.outputs[0], stresses)):
                kept.append(spec.restore(spec.values(mesh)))
        return self.fit_stress(torch.cat(deformations), torch.cat(stresses), updates, learning_rate)

    def _take(self, parts: Parts, dim: int, history: list[dict[str, Any]]) -> ConstitutiveNet:
        self.fields_, self.dim_ = _fields(dim), dim
        self.parts_, self.history_ = parts.requires_grad_(False), history
        return self

    # -- use -------------------------------------------------------------------------------------------------------

    def law(self, device: Any = "cpu") -> Material:
        """The learned law: a material for `mpm.Body` and, unless it flows, `dynamics.ElasticDynamics`."""
        self.check_fitted("law")
        with torch.no_grad():
            return self.parts_.material(device)

    @torch.no_grad()
    def predict_stress(self, deformation: Any) -> Float[Tensor, "n dim dim"]:
        """First Piola-Kirchhoff stresses of deformation gradients (n, dim, dim), in their dtype; of a law that flows,
        those of its elastic part."""
        self.check_fitted("predict_stress")
        found = pairs.as_deformation(deformation)
        if len(found) != self.dim_ and self.elasticity in ("energy", "stress"):
            raise FieldError(
                f"this law was learned in {self.dim_}-D, the deformations are in {len(found)}-D; only isotropic laws "
                "serve both."
            )
        elastic = self.parts_.elastic
        if isinstance(elastic, TwoConstants):
            stress = elastic.material(found.device).stress(found.flatten(0, 1), torch.zeros_like(found))
        else:
            stress = elastic.ready(found.dtype, found.device).stress(found)
        return first_piola(stress, found).permute(2, 0, 1)

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """The stress at the points of every mesh, from its point field "deformation_gradient"."""
        source, target = self.fields_.inputs[0], self.fields_.outputs[0]
        for mesh in meshes:
            yield {target: self.predict_stress(source.restore(source.values(mesh)))}, {}

    @no_type_check
    def score(self, meshes: Any, scene: Any = None, time_step: float | None = None) -> dict[str, float]:
        """{"position": error} of a film, simulated with this law from its start in its scene (see `fit`): root mean
        square distance of the places over the root mean square displacement, over all points and frames.

        Without a scene: {"stress": relative L2 error} of Mesh(es) with deformation gradients and stresses.
        """
        if scene is None:
            return super().score(meshes)
        self.check_fitted("score")
        with torch.no_grad():
            observed = Observed(meshes, scene(NeoHookean(self.young, self.poisson)))
            world = scene(self.law(observed.places.device))
            options = training.Options(1, None, 1.0, time_step, False, False, 0)
            last = observed.n_frames - 1
            return {"position": float(training.segment_loss(world, observed, 0, last, options).sqrt())}

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The networks, and the history of the fit."""
        tensors = {name: value.detach() for name, value in self.parts_.state_dict().items()}
        return tensors, {"dim": self.dim_, "seen": self.parts_.seen.shape[2], "history": self.history_}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.dim_, self.history_ = int(meta["dim"]), list(meta["history"])
        parts = Parts(self, self.dim_, int(meta["seen"]))
        parts.load_state_dict(tensors)
        self.parts_ = parts.requires_grad_(False)


def _fields(dim: int) -> FieldSet:
    shape = (dim, dim)
    return FieldSet((FieldSpec("deformation_gradient", "point", shape),), (FieldSpec("stress", "point", shape),), dim)
