"""Patch test, manufactured solution, closed-form solutions and the stress concentration at a hole."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml


def shaken(mesh, amount=0.03):
    """The mesh with its interior points moved at random."""
    inside = ~mesh.topology.is_boundary
    return mesh.replace(points=mesh.points + amount * torch.randn_like(mesh.points) * inside[:, None])


@pytest.mark.parametrize("cells", ["triangle", "quad"])
@pytest.mark.parametrize("order", [1, 2])
def test_patch_test(cells, order):
    mesh = shaken(ml.shapes.square(n=5, cells=cells).double())
    strain = torch.tensor([[0.1, 0.2], [-0.05, 0.3]], dtype=torch.float64)
    sides = dict.fromkeys(("left", "right", "top", "bottom"), lambda x: strain @ x)
    solved = ml.sim.elasticity(mesh, young=10.0, poisson=0.25, fixed=sides, order=order)
    torch.testing.assert_close(solved.point_data["displacement"], mesh.points @ strain.T)
    factor = 10.0 / (1 - 0.25**2)
    expected = [factor * (0.1 + 0.25 * 0.3), factor * (0.3 + 0.25 * 0.1), 10.0 / 2.5 * 0.15]
    expected = torch.tensor(expected, dtype=torch.float64).expand(mesh.n_points, 3)
    torch.testing.assert_close(solved.point_data["stress"], expected)
    torch.testing.assert_close(solved.global_data["max_stress"], ml.sim.von_mises(expected).max())


def body_force(x):
    """-div(stress) for u = (sin x cos y, cos x sin y) with E = 1 and ratio 0.3: 2 (2 mu + lambda) u."""
    shear, bulk = 1 / 2.6, 0.3 / (1 - 0.09)
    return 2 * (2 * shear + bulk) * bulge(x)


def bulge(x):
    a, b = x
    return torch.stack([torch.sin(a) * torch.cos(b), torch.cos(a) * torch.sin(b)])


@pytest.mark.parametrize("cells", ["triangle", "quad"])
@pytest.mark.parametrize(("order", "least"), [(1, 2), (2, 3)])
def test_displacement_errors_fall_at_the_order_of_the_elements(cells, order, least):
    sizes, found = (4, 8, 16), []
    for n in sizes:
        mesh = ml.shapes.rectangle(2.0, 1.0, n=(2 * n, n), cells=cells).double()
        solved = ml.sim.elasticity(
            mesh,
            1.0,
            0.3,
            fixed={"left": bulge, "bottom": bulge, "top": bulge, "right": bulge},
            body_force=body_force,
            order=order,
        )
        error = (solved.point_data["displacement"] - bulge(mesh.points.t()).t()).square().sum(1)
        found.append(math.sqrt(float((mesh.point_measures() * error).sum())))
    rate = -np.polyfit(np.log(sizes), np.log(found), 1)[0]
    assert rate > least - 0.1, f"order {rate:.2f}, theory {least}: {found}"


def test_a_bar_under_its_own_weight():
    mesh = ml.shapes.rectangle(1.0, 4.0, n=(2, 8)).double()
    mesh = mesh.replace(point_sets={"corner": [int((mesh.points - torch.tensor([0.0, 4.0])).norm(dim=1).argmin())]})
    hung = ml.sim.elasticity(
        mesh, young=100.0, poisson=0.0, fixed={"top": (None, 0.0), "corner": (0.0, None)}, body_force=(0.0, -2.0)
    )
    depth = 4.0 - mesh.points[:, 1]
    torch.testing.assert_close(hung.point_data["displacement"][:, 1], -2.0 / 100 * (4 * depth - depth**2 / 2))
    torch.testing.assert_close(hung.point_data["stress"][:, 1], 2.0 * (4 - depth))


def test_a_vector_of_tensors_is_a_vector():
    mesh, held = ml.shapes.square(n=3).double(), {"left": (0.0, 0.0)}
    weight = torch.tensor([0.0, -2.0], dtype=torch.float64, requires_grad=True)
    plain = ml.sim.elasticity(mesh, fixed=held, body_force=(0.0, -2.0)).point_data["displacement"]
    for force in (weight, (weight[0], weight[1])):
        assert torch.equal(ml.sim.elasticity(mesh, fixed=held, body_force=force).point_data["displacement"], plain)
    assert plain.abs().max() > 0


def test_pressure_all_round_is_hydrostatic():
    mesh = shaken(ml.shapes.square(n=4).double())
    solved = ml.sim.elasticity(
        mesh, 5.0, 0.3, fixed={"left": (0.0, None), "bottom": (None, 0.0)}, pressure={"right": 2.0, "top": 2.0}
    )
    torch.testing.assert_close(solved.point_data["displacement"], -2.0 * (1 - 0.3) / 5.0 * mesh.points)
    torch.testing.assert_close(solved.point_data["von_mises"], torch.full_like(mesh.points[:, 0], 2.0))


def test_hole_in_a_wide_plate_triples_the_stress():
    """Kirsch: 3 at the sides of the hole, -1 at its poles; a plate 20 radii wide adds about three per cent."""
    mesh = ml.sim.plate_mesh(
        ml.sim.Plate(
            corners=((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)),
            sides=("bottom", "right", "top", "left"),
            holes=((10.0, 10.0, 1.0),),
            size=0.25,
            load=(1.0, 0.0),
            young=1.0,
            poisson=0.3,
        )
    )
    solved = ml.sim.elasticity(
        mesh, 1.0, 0.3, fixed={"left": (0.0, None), "bottom": (None, 0.0)}, traction={"right": (1.0, 0.0)}
    )
    from_centre = mesh.points - 10.0
    rim = mesh.cells["line"][mesh.cell_sets["hole_0"]["line"]].unique()
    along = solved.point_data["stress"][rim, 0]
    side = along[from_centre[rim, 1].abs().argmax()]
    pole = solved.point_data["stress"][rim, 1][from_centre[rim, 0].abs().argmax()]
    assert abs(side - 3.0) < 0.15
    assert abs(pole + 1.0) < 0.15
    assert abs(solved.global_data["max_stress"] - 3.0) < 0.15


def kirsch(x):
    """Stress (xx, yy, xy) around a circular hole of radius 1 at the origin, unit tension along x far away."""
    r2, angle = x.square().sum(0), torch.atan2(x[1], x[0])
    c2, c4, s2, s4 = (f(k * angle) for f, k in ((torch.cos, 2), (torch.cos, 4), (torch.sin, 2), (torch.sin, 4)))
    xx = 1 - (1.5 * c2 + c4) / r2 + 1.5 * c4 / r2**2
    yy = -(0.5 * c2 - c4) / r2 - 1.5 * c4 / r2**2
    xy = -(0.5 * s2 + s4) / r2 + 1.5 * s4 / r2**2
    return torch.stack([xx, yy, xy])


def test_stress_field_of_kirsch():
    """With the exact tractions on the outer sides, the finite plate carries Kirsch's infinite-plate solution."""
    found = []
    for size in (0.4, 0.2):
        mesh = ml.sim.plate_mesh(
            ml.sim.Plate(
                corners=((-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)),
                sides=("bottom", "right", "top", "left"),
                holes=((0.0, 0.0, 1.0),),
                size=size,
                load=(0.0, 0.0),
                young=1.0,
                poisson=0.3,
            )
        )
        corner = [int((mesh.points - torch.tensor(p)).norm(dim=1).argmin()) for p in ([-4.0, -4.0], [4.0, -4.0])]
        mesh = mesh.replace(point_sets={"pin": corner[:1], "slider": corner[1:]})
        normals = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "top": (0.0, 1.0), "bottom": (0.0, -1.0)}

        def pull(normal):
            a, b = normal
            return lambda x: kirsch(x)[[0, 2]] * a + kirsch(x)[[2, 1]] * b

        tractions = {side: pull(normal) for side, normal in normals.items()}
        solved = ml.sim.elasticity(mesh, 1.0, 0.3, fixed={"pin": (0.0, 0.0), "slider": (None, 0.0)}, traction=tractions)
        weights = mesh.point_measures()
        difference = solved.point_data["stress"] - kirsch(mesh.points.t()).t()
        found.append(math.sqrt(float((weights * difference.square().sum(1)).sum() / weights.sum())))
    assert found[1] < 0.02
    assert found[1] < 0.5 * found[0], found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "rigid body"),
        ({"fixed": {"left": (0.0, None)}}, "rigid body"),
        ({"fixed": {"left": (0.0, 0.0)}, "young": 0.0}, "Young"),
        ({"fixed": {"left": (0.0, 0.0)}, "young": float("inf")}, "Young"),
        ({"fixed": {"left": (0.0, 0.0)}, "poisson": 0.5}, "Poisson"),
        ({"fixed": {"left": (0.0, 0.0)}, "body_force": (0.0, float("nan"))}, "not finite"),
        ({"fixed": {"left": 0.0}, "body_force": 1.0}, r"number 1 .* write \(1, 0\.0\)"),
        ({"fixed": {"left": 0.0}, "traction": {"right": 1.0}}, "a vector of 2 components"),
        ({"fixed": {"left": 0.0}, "traction": {"right": lambda x: 1.0}}, "a vector of 2 components"),
        ({"fixed": {"left": 0.0}, "traction": {"right": lambda x: x[0]}}, "2 components as a tuple"),
        ({"fixed": {"left": 0.0}, "traction": {"right": lambda x: x[:, 0]}}, "would be the first place"),
        ({"fixed": {"left": 0.0}, "traction": {"right": lambda x: x.t()}}, "would be the first place"),
        ({"fixed": {"left": 0.0}, "traction": {"right": lambda x: (0.0, x[2])}}, "coordinates"),
        ({"fixed": {"left": 0.0}, "traction": (1.0, 0.0)}, r"traction=\{'left'"),
        ({"fixed": {"left": 0.0}, "young": lambda x: x[:, 0] + 1}, "would be the first place"),
        ({"fixed": {"left": 0.1}}, "0.0 for a clamped part"),
        ({"fixed": {"left": None}}, "None for what is free"),
        ({"fixed": {"left": "x"}}, "give 2 numbers"),
        ({"fixed": {"left": lambda x: (0.0, x[:, 0])}}, "would be the first place"),
        ({"fixed": 0.0}, r"fixed=\{'left'"),
        ({"fixed": {"left": 0.0}, "poisson": torch.full((8,), 0.3)}, r"of shape \(8,\)"),
        ({"fixed": {"left": 0.0}, "poisson": "steel"}, "a str"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.sim.elasticity(ml.shapes.square(n=2), **arguments)


@pytest.mark.parametrize("kind", ["tetra", "hexahedron"])
def test_a_solid_under_tension_is_exact(kind):
    solid = ml.shapes.box(n=2, cells=kind).double()
    rollers = {"left": (0.0, None, None), "front": (None, 0.0, None), "bottom": (None, None, 0.0)}
    found = ml.sim.elasticity(solid, young=10.0, poisson=0.25, fixed=rollers, traction={"right": (1.0, 0.0, 0.0)})
    stretched = solid.points * torch.tensor([0.1, -0.025, -0.025], dtype=torch.float64)
    torch.testing.assert_close(found.point_data["displacement"], stretched, atol=1e-12, rtol=0)
    tension = torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64).expand(solid.n_points, 6)
    torch.testing.assert_close(found.point_data["stress"], tension, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.global_data["max_stress"].item(), 1.0)


def test_gradients_reach_constants_and_loads():
    young = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    pull = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    bar = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    found = ml.sim.elasticity(bar, young, 0.0, fixed={"left": (0.0, 0.0)}, traction={"right": pull})
    end = found.point_data["displacement"][:, 0].max()  # pull L / E
    of_young, of_pull = torch.autograd.grad(end, (young, pull))
    assert of_young.item() == pytest.approx(-0.02)
    assert of_pull[0].item() == pytest.approx(0.2)


def test_functions_return_components_among_them_numbers_and_zero_clamps():
    mesh = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    wanted = ml.sim.elasticity(
        mesh, fixed={"left": (0.0, 0.0)}, traction={"right": lambda x: torch.stack([0 * x[0], x[1] ** 2])}
    )
    for load in (lambda x: (0.0, x[1] ** 2), lambda x: [0, x[1] ** 2], lambda x: (0 * x[1], x[1] ** 2)):
        found = ml.sim.elasticity(mesh, fixed={"left": 0.0}, traction={"right": load})
        assert torch.equal(found.point_data["displacement"], wanted.point_data["displacement"])
    fixed = ml.sim.elasticity(mesh, fixed={"left": lambda x: (0.0, 0.0 * x[1])}, traction={"right": (1.0, 0.0)})
    assert fixed.point_data["displacement"][:, 0].max() > 1.5
