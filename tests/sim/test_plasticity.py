"""Elastic limit, uniform states, an ODE, Hill's cylinder, unloading, tangents, limit loads."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import meshlearn as ml
from meshlearn.mesh.boundary import tagged_points
from meshlearn.sim.domain import lagrange
from meshlearn.sim.elastoplastic import Body
from meshlearn.sim.plasticity import make_material
from meshlearn.sim.return_mapping import equivalent_stress, return_mapping
from meshlearn.sim.solid import load_vector, supports

SOLIDS = ("tetra", "hexahedron")
YOUNG, RATIO, YIELD = 100.0, 0.3, 1.0
LAW = {"hardening": 5.0, "saturation": 0.4, "rate": 80.0}


def body(kind, n=2):
    mesh = ml.shapes.box(n=n, cells=kind) if kind in SOLIDS else ml.shapes.square(n=n + 1, cells=kind)
    mesh = mesh.double()
    inside = ~mesh.topology.is_boundary
    return mesh.replace(points=mesh.points + 0.03 * torch.randn_like(mesh.points) * inside[:, None])


def rollers(dim, pulled):
    sides = ("left", "bottom") if dim == 2 else ("left", "front", "bottom")
    held = {side: tuple(0.0 if k == axis else None for k in range(dim)) for axis, side in enumerate(sides)}
    return held if pulled is None else {**held, "right": (pulled, *[None] * (dim - 1))}


@pytest.mark.parametrize(("kind", "order"), [("triangle", 1), ("triangle", 2), ("quad", 1), ("tetra", 1)])
def test_below_the_yield_stress_it_is_linear_elasticity(kind, order):
    """Plane strain is plane stress with E / (1 - nu^2) and nu / (1 - nu)."""
    mesh = body(kind)
    flat = mesh.dim == 2
    loads = {
        "fixed": {"left": (0.0,) * mesh.dim},
        "traction": {"right": (0.2, 0.1, 0.1)[: mesh.dim]},
        "pressure": {"top": -0.1},
        "body_force": (0.1, -0.2, 0.0)[: mesh.dim],
    }
    found = ml.sim.plasticity(mesh, YOUNG, RATIO, 1e3, order=order, **loads)
    young, ratio = (YOUNG / (1 - RATIO**2), RATIO / (1 - RATIO)) if flat else (YOUNG, RATIO)
    wanted = ml.sim.elasticity(mesh, young, ratio, order=order, **loads)
    columns = [0, 1, 3] if flat else list(range(6))
    torch.testing.assert_close(
        found.point_data["displacement"], wanted.point_data["displacement"], rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(
        found.point_data["stress"][:, columns], wanted.point_data["stress"], rtol=1e-9, atol=1e-9
    )
    assert float(found.global_data["max_plastic_strain"]) == 0.0
    if flat:
        zz = RATIO * found.point_data["stress"][:, :2].sum(1)
        torch.testing.assert_close(found.point_data["stress"][:, 2], zz, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("kind", "order"), [("triangle", 1), ("triangle", 2), ("quad", 2), *((k, 1) for k in SOLIDS)])
def test_patch_test(kind, order):
    """Linear displacements of the boundary go on inside, and every place has the state of the return mapping."""
    mesh, steps = body(kind), 3
    slope = 0.03 * torch.randn(mesh.dim, mesh.dim, dtype=torch.float64)
    found = ml.sim.plasticity(
        mesh, YOUNG, RATIO, YIELD, **LAW, fixed={"boundary": lambda x: slope @ x}, order=order, steps=steps
    )
    torch.testing.assert_close(found.point_data["displacement"], mesh.points @ slope.T, rtol=1e-7, atol=1e-9)
    law = make_material(lagrange(mesh, 1, mesh.dim), YOUNG, RATIO, YIELD, **LAW)
    e = torch.zeros(3, 3, dtype=torch.float64)
    e[: mesh.dim, : mesh.dim] = (slope + slope.T) / 2
    axes = ((0, 0), (1, 1), (2, 2), (0, 1)) if mesh.dim == 2 else ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
    strain = torch.stack([e[i, j] * (1.0 if i == j else math.sqrt(2)) for i, j in axes])[None, None]
    elastic = equivalent_stress(return_mapping(strain, 0 * strain, strain[..., 0] * 0 + 1e9, law).stress)
    onset = YIELD / float(elastic)
    plastic, cumulated = 0 * strain, strain[..., 0] * 0
    for k in range(1, steps + 1):
        state = return_mapping((onset + (1 - onset) * k / steps) * strain, plastic, cumulated, law)
        plastic, cumulated = state.plastic, state.cumulated
    stress = torch.cat([state.stress[..., :3], state.stress[..., 3:] / math.sqrt(2)], -1)[0]
    torch.testing.assert_close(
        found.point_data["stress"], stress.expand_as(found.point_data["stress"]), rtol=1e-7, atol=1e-7
    )
    torch.testing.assert_close(
        found.point_data["plastic_strain"], cumulated[0].expand(mesh.n_points), rtol=1e-6, atol=1e-9
    )


def uniaxial_plane_strain(end):
    """(sigma_xx, sigma_zz, p) of a bar pulled to a strain, by integration of Prandtl and Reuss's rate equations."""
    shear, bulk = YOUNG / (2 * (1 + RATIO)), YOUNG / (3 * (1 - 2 * RATIO))
    stiff = (bulk - 2 / 3 * shear) * np.ones((3, 3)) + 2 * shear * np.eye(3)

    def rate(_, y):
        xx, zz, p = y
        s = np.array([xx, 0.0, zz]) - (xx + zz) / 3
        flow = 1.5 * s / math.sqrt(1.5 * s @ s)
        slope = LAW["hardening"] + LAW["saturation"] * LAW["rate"] * math.exp(-LAW["rate"] * p)
        tangent = stiff - np.outer(stiff @ flow, stiff @ flow) / (slope + flow @ stiff @ flow)
        across = -tangent[1, 0] / tangent[1, 1]  # keeps sigma_yy at zero
        strain = np.array([1.0, across, 0.0])
        grown = tangent @ strain
        return [grown[0], grown[2], flow @ stiff @ strain / (slope + flow @ stiff @ flow)]

    start = YIELD / (YOUNG / (1 - RATIO**2) * math.sqrt(1 - RATIO + RATIO**2))
    first = YOUNG / (1 - RATIO**2) * start
    solved = solve_ivp(rate, (start, end), [first, RATIO * first, 0.0], rtol=1e-10, atol=1e-12)
    return solved.y[:, -1]


def test_uniaxial_tension_in_plane_strain_follows_the_rate_equations():
    """The error of the implicit steps is of first order."""
    end, mesh = 0.05, body("quad", 1)
    xx, zz, p = uniaxial_plane_strain(end)
    errors = []
    for steps in (10, 40):
        found = ml.sim.plasticity(
            mesh, YOUNG, RATIO, YIELD, **LAW, fixed=rollers(2, end), order=1, steps=steps
        ).point_data
        stress = found["stress"]
        assert float(stress[:, [1, 3]].abs().max()) < 1e-8
        errors.append(abs(float(stress[0, 0]) - xx) + abs(float(stress[0, 2]) - zz))
        assert float(found["plastic_strain"][0]) == pytest.approx(p, rel=0.05 / steps)
    assert errors[1] < 4e-3
    assert errors[0] / errors[1] > 3.0, errors


def test_a_bar_in_space_follows_its_stress_strain_curve():
    """Uniaxial: strain = s / E + p at the stress s = strength(p), exactly in any number of steps."""
    mesh = body("hexahedron", 1)
    p = 0.02
    strength = YIELD + LAW["hardening"] * p + LAW["saturation"] * (1 - math.exp(-LAW["rate"] * p))
    found = ml.sim.plasticity(
        mesh, YOUNG, RATIO, YIELD, **LAW, fixed=rollers(3, strength / YOUNG + p), order=1, steps=2
    )
    assert float(found.global_data["max_stress"]) == pytest.approx(strength, rel=1e-8)
    assert float(found.global_data["max_plastic_strain"]) == pytest.approx(p, rel=1e-8)
    pulled = ml.sim.plasticity(
        mesh, YOUNG, RATIO, YIELD, **LAW, fixed=rollers(3, None), traction={"right": (strength, 0.0, 0.0)}, order=1
    )
    torch.testing.assert_close(
        pulled.point_data["displacement"], found.point_data["displacement"], rtol=1e-7, atol=1e-9
    )


def quarter_cylinder(inner, outer, size):
    angle = np.linspace(0, math.pi / 2, round(math.pi / 2 * inner / size * 1.5))
    outside = np.linspace(0, math.pi / 2, round(math.pi / 2 * outer / size))
    ring = [
        outer * np.stack([np.cos(outside), np.sin(outside)], 1),
        inner * np.stack([np.cos(angle), np.sin(angle)], 1)[::-1],
    ]
    sides = ["outer"] * (len(outside) - 1) + ["left"] + ["inner"] * (len(angle) - 1) + ["bottom"]
    return ml.shapes.planar(np.concatenate(ring), size=size, side_names=sides).double()


@pytest.fixture(scope="module")
def cylinder():
    mesh = quarter_cylinder(1.0, 2.0, 0.12)
    shear_strength, front = 1.0 / math.sqrt(3), 1.5
    pressure = shear_strength * (2 * math.log(front) + 1 - front**2 / 4)
    arguments = {"young": 1000.0, "poisson": 0.49, "yield_stress": 1.0, "steps": 5, "order": 2}
    held = {"fixed": {"left": (0.0, None), "bottom": (None, 0.0)}, "pressure": {"inner": pressure}}
    return mesh, shear_strength, front, {**arguments, **held}


def test_a_thick_cylinder_under_pressure_is_hills(cylinder):
    """R. Hill, The Mathematical Theory of Plasticity (1950), chapter V: perfectly plastic, nearly incompressible."""
    mesh, k, front, arguments = cylinder
    found = ml.sim.plasticity(mesh, **arguments)
    r = mesh.points.norm(dim=1)
    x, y = (mesh.points / r[:, None]).unbind(1)
    xx, yy, zz, xy = found.point_data["stress"].unbind(1)
    radial = xx * x * x + yy * y * y + 2 * xy * x * y
    hoop = xx * y * y + yy * x * x - 2 * xy * x * y
    pressure = arguments["pressure"]["inner"]
    flows = r < front
    wanted = torch.where(flows, 2 * k * r.log() - pressure, k * front**2 * (1 / 4 - 1 / r.square()))
    around = torch.where(flows, wanted + 2 * k, k * front**2 * (1 / 4 + 1 / r.square()))
    away = (r - front).abs() > 0.1
    assert float((radial - wanted)[away].abs().max()) < 0.02
    assert float((hoop - around)[away].abs().max()) < 0.03
    assert float((zz - (radial + hoop) / 2)[away].abs().max()) < 0.03
    p = found.point_data["plastic_strain"]
    assert float(p.min()) >= 0.0
    assert bool((p[r < front - 0.1] > 0).all())
    assert float(p[r > front + 0.15].max()) == 0.0
    widening = (found.point_data["displacement"] * mesh.points).sum(1) / r
    rim = tagged_points(mesh, "outer")
    exact = 2 * (1 - 0.49**2) * k * front**2 / (1000 * 2)
    torch.testing.assert_close(widening[rim], torch.full_like(widening[rim], exact), rtol=5e-3, atol=0)


def test_unloading_is_elastic_and_reloading_follows_it(cylinder):
    mesh, _, _, arguments = cylinder
    loaded = ml.sim.plasticity(mesh, **arguments)
    elastic = ml.sim.plasticity(mesh, **{**arguments, "yield_stress": 1e9})
    residual = ml.sim.plasticity(mesh, **arguments, path=(1.0, 0.0))
    again = ml.sim.plasticity(mesh, **arguments, path=(1.0, 0.0, 1.0))
    for name in ("displacement", "stress"):
        one, other = loaded.point_data[name], elastic.point_data[name]
        torch.testing.assert_close(residual.point_data[name], one - other, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(again.point_data[name], one, rtol=1e-6, atol=1e-8)
    assert torch.equal(residual.point_data["plastic_strain"], loaded.point_data["plastic_strain"])
    hoop = residual.point_data["stress"][tagged_points(mesh, "inner")].sum(1)
    assert float(hoop.max()) < 0  # autofrettage: the bore is compressed


def notched(order, yield_stress=1.0, law=LAW):
    mesh = ml.shapes.plate_with_holes([(0.5, 0.5, 0.25)], size=0.12).double()
    space = lagrange(mesh, order, 2)
    material = make_material(space, YOUNG, RATIO, yield_stress, **law)
    return Body(
        space,
        material,
        supports(space, {"left": (0.0, None), "bottom": (None, 0.0)}),
        load_vector(space, 0.0, {"right": (0.75, 0.0)}, None),
    )


@pytest.mark.parametrize("order", [1, 2])
def test_equilibrium_consistency_and_stiffness_of_a_body(order):
    found = notched(order)
    found.follow((1.0, -0.4), 3)
    state, law = found.state, found.material
    assert float((equivalent_stress(state.stress) - law.strength(state.cumulated)).max()) < 1e-10
    assert 0.02 < float((state.cumulated > 0).double().mean()) < 1
    free = found.support.homogeneous()
    assert float(free.restrict(found.operator.force(state.stress) + 0.4 * found.load).norm()) < 1e-9
    u = 1.7 * found.u + 1e-3 * torch.randn_like(found.u)
    direction, h = torch.randn_like(u), 1e-7
    wanted = (found.force(u + h * direction) - found.force(u - h * direction)) / (2 * h)
    derived = found.stiffness(u) @ direction
    assert float((derived - wanted).norm() / wanted.norm()) < 1e-5


def test_large_bodies_solved_by_iteration_have_the_same_state(monkeypatch):
    direct, iterated = notched(1), notched(1)
    direct.follow((1.0,), 3)
    monkeypatch.setattr("meshlearn.sim.elastoplastic.DIRECT", 0)
    iterated.follow((1.0,), 3)
    torch.testing.assert_close(iterated.u, direct.u, rtol=1e-7, atol=1e-10)


def test_cells_may_differ():
    """Two bars in a row: the weaker yields, the stronger does not."""
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(4, 2), cells="quad").double()
    strong = mesh.points[mesh.cells["quad"]].mean(1)[:, 0] > 1
    strength = torch.where(strong, 5.0, 1.0).double()
    found = ml.sim.plasticity(
        mesh, YOUNG, RATIO, strength, hardening=10.0, fixed=rollers(2, None), traction={"right": (1.5, 0.0)}, order=1
    )
    p = found.point_data["plastic_strain"]
    assert float(p[mesh.points[:, 0] < 0.9].min()) > 0.01
    assert float(p[mesh.points[:, 0] > 1.1].max()) == 0.0


def test_beyond_the_limit_load_there_is_no_equilibrium():
    """A perfectly plastic bar in plane strain carries 2 / sqrt(3) times its yield stress."""
    mesh, limit = body("quad", 1), 2 / math.sqrt(3)

    def pull(force):
        return ml.sim.plasticity(
            mesh, YOUNG, RATIO, YIELD, fixed=rollers(2, None), traction={"right": (force, 0.0)}, order=1
        )

    assert float(pull(0.999 * limit).global_data["max_plastic_strain"]) > 0.0
    with pytest.raises(ml.ConvergenceError, match=r"beyond 0\.9\d* times the loads.*limit load") as caught:
        pull(1.03 * limit)
    assert caught.value.residuals


W = torch.ones((), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fixed": {"left": (0.0, None)}}, "rigid body"),
        ({"yield_stress": 0.0}, "yield_stress must be positive"),
        ({"yield_stress": torch.ones(3)}, "shape"),
        ({"hardening": -1.0}, "zero or more"),
        ({"rate": math.nan}, "rate"),
        ({"poisson": 0.5}, "Poisson"),
        ({"steps": 0}, "steps"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"path": ()}, "path"),
        ({"path": (1.0, math.inf)}, "path"),
        ({"poisson": torch.full((8,), 0.3)}, r"of shape \(8,\)"),
        ({"young": torch.tensor(200.0, requires_grad=True)}, "young requires a gradient"),
        ({"fixed": {"left": (0.0, torch.zeros((), requires_grad=True))}}, "fixed requires a gradient"),
        ({"traction": {"right": lambda x: (W * x[1], 0.0)}}, "a load requires a gradient"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.plasticity(ml.shapes.square(n=2), **{"fixed": {"left": (0.0, 0.0)}, **arguments})


def test_points_that_require_a_gradient_are_refused_unless_none_are_recorded():
    mesh = body("triangle", 1)
    moved = mesh.replace(points=mesh.points.clone().requires_grad_())
    arguments = {"yield_stress": 1e3, "fixed": {"left": 0.0}, "order": 1}
    with pytest.raises(ml.ParameterError, match=r"mesh\.points requires a gradient"):
        ml.sim.plasticity(moved, **arguments)
    with torch.no_grad():
        ml.sim.plasticity(moved, **arguments)
