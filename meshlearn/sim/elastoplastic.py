"""A body that yields: its equilibrium along a path of loads, by Newton's method with the consistent tangent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ConvergenceError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.factor import Factorization
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator
from meshlearn.sim.return_mapping import (
    Material,
    Returned,
    consistent_tangent,
    equivalent_stress,
    return_mapping,
    trial_stress,
)
from meshlearn.sim.solid import von_mises
from meshlearn.sim.strain import StrainOperator

SMALLEST_STEP = 2.0**-6  # against the one asked for
FORCING = 1e-3  # of the residual, in a step of Newton's method by conjugate gradients
ITERATIONS, SHORTEST = 20, 2.0**-5  # steps of Newton's method, and their lengths
DIRECT = 4000  # unknowns up to which every tangent is factorised


class Body:
    """A discretised solid and its state: displacement, internal variables at the quadrature points, and load factor."""

    def __init__(
        self,
        space: FESpace,
        material: Material,
        support: AffineConstraint,
        load: Float[Tensor, " n_dofs"],
        tolerance: float = 1e-10,
    ) -> None:
        self.space, self.material, self.support, self.load, self.tolerance = space, material, support, load, tolerance
        self.operator = StrainOperator(space)
        shape = self.operator.shape
        self.u = load.new_zeros(space.n_dofs)
        self.factor = 0.0
        self._last: tuple[Tensor, Returned] | None = None
        zero = load.new_zeros(shape)
        self.state = return_mapping(zero, zero, load.new_zeros(shape[:2]), material)
        stiffness = self.operator.stiffness(consistent_tangent(self.state, material))
        self.stiff = stiffness
        self.factors = Factorization(support.reduce(stiffness))
        self.elastic = support.expand(self._elastic_solve(support.restrict(load - stiffness @ support.g)))
        self.scale = float(torch.linalg.vector_norm(stiffness @ self.elastic))
        stress = equivalent_stress(trial_stress(self.operator.strain(self.elastic), material))
        most = float((stress / material.yield_stress).max())
        self.onset = 1 / most if most > 0 else math.inf  # factor of the loads at which it yields first

    def follow(self, path: Sequence[float], steps: int) -> None:
        """Pass the load factors of a path, in steps."""
        first = path[0]
        start = math.copysign(min(abs(first), self.onset * (1 - 1e-9)), first)
        self._settle(start * self.elastic, start)
        for goal in path:
            self._reach(goal, steps)

    def _reach(self, goal: float, steps: int) -> None:
        if goal == self.factor:
            return
        size = (goal - self.factor) / steps
        smallest, direction = abs(size) * SMALLEST_STEP, self.elastic
        while self.factor != goal:
            left = goal - self.factor
            step = left if abs(left) < 1.001 * abs(size) else size
            factor = goal if step == left else self.factor + step
            try:
                found = self._equilibrium(factor, self.u + step * direction)
            except ConvergenceError as error:
                size = step / 2
                if abs(size) < smallest:
                    raise ConvergenceError(
                        f"no equilibrium was found beyond {self.factor:.6g} times the loads, in steps down to "
                        f"{abs(2 * size):.1e}: a limit load, at which the body flows freely.\n"
                        "  Load less, give it more hardening, or prescribe displacements instead of forces.",
                        error.residuals,
                    ) from error
                direction = self.elastic
                continue
            direction = (found - self.u) / step
            self._settle(found, factor)

    def _elastic_solve(self, b: Tensor) -> Tensor:
        return self.factors.solve(b[:, None])[0][:, 0]

    def _settle(self, u: Tensor, factor: float) -> None:
        self.u, self.factor, self.state = u, factor, self.returned(u)
        self._last = None

    def returned(self, u: Float[Tensor, " n_dofs"]) -> Returned:
        """Stresses and internal variables if the step ends at a displacement."""
        if self._last is None or self._last[0] is not u:
            strain = self.operator.strain(u)
            self._last = u, return_mapping(strain, self.state.plastic, self.state.cumulated, self.material)
        return self._last[1]

    def force(self, u: Float[Tensor, " n_dofs"]) -> Float[Tensor, " n_dofs"]:
        """Internal forces if the step ends at a displacement."""
        return self.operator.force(self.returned(u).stress)

    def stiffness(self, u: Float[Tensor, " n_dofs"]) -> SparseOperator:
        """Their derivative: the elastic one, changed in the cells that yield."""
        found = self.returned(u)
        cells = torch.nonzero(found.normal.flatten(1).any(1))[:, 0]
        if not len(cells):
            return self.stiff
        some = Returned(*(ops.gather(values, cells) for values in found))
        calm = some._replace(normal=0 * some.normal, theta=some.theta * 0 + 1, theta_bar=0 * some.theta_bar)
        material = self.material.of(cells)
        change = consistent_tangent(some, material) - consistent_tangent(calm, material)
        return self.operator.stiffened(self.stiff, cells, change)

    def _equilibrium(self, factor: float, guess: Tensor) -> Tensor:
        """Newton's method with line search from a guess."""
        fixed = self.support.constrained
        target = AffineConstraint.dirichlet(self.space.n_dofs, fixed, factor * self.support.g.index_select(0, fixed))
        load, calm = factor * self.load, target.homogeneous()
        # where what yields is small, or not much softer, conjugate gradients need few steps; LU follows if they do not
        iterative: dict[str, Any] = {"preconditioner": self._elastic_solve, "tolerance": FORCING, "max_iterations": 60}
        options = iterative if target.n_free > DIRECT else {"method": "direct"}

        def residual(u: Tensor) -> tuple[Tensor, float]:
            force = self.force(u) - load
            return force, float(torch.linalg.vector_norm(calm.restrict(force)))

        u = target.impose(guess)
        force, size = residual(u)
        history = [size]
        while not size <= self.tolerance * self.scale:
            if len(history) > ITERATIONS:
                raise ConvergenceError(f"Newton's method reached only the residual {size:.2e}.", history)
            step = solve(self.stiffness(u), -force, calm, **options)
            length = 1.0
            while True:
                new = u + length * step
                force, found = residual(new)
                if found <= (1 - 1e-4 * length) * size:
                    break
                length /= 2
                if length < SHORTEST:
                    raise ConvergenceError(f"Newton's method stopped at the residual {size:.2e}.", history)
            u, size = new, found
            history.append(size)
        return u

    def described(self) -> Mesh:
        """The mesh with the fields and values of `plasticity`."""
        mesh, operator = self.space.mesh, self.operator
        stress = operator.at_points(operator.tensor(self.state.stress))
        plastic = operator.at_points(self.state.cumulated[..., None], positive=True)[:, 0]
        equivalent = von_mises(stress)
        like = mesh.points
        return mesh.with_point_data(
            displacement=to_mesh(self.space, u=self.u).point_data["u"].to(like),
            stress=stress.to(like),
            von_mises=equivalent.to(like),
            plastic_strain=plastic.to(like),
        ).with_global_data(max_stress=equivalent.max().to(like), max_plastic_strain=plastic.max().to(like))
