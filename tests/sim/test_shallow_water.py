import itertools
import math

import pytest
import torch

import meshlearn as ml

G = 9.81


def total(film, values):
    """(n_times,) integrals of a cell series."""
    areas = film.mesh.double().cell_measures()
    return sum((series.double() * areas[kind]).sum(-1) for kind, series in values.items())


def pond(seed=0):
    return ml.shapes.plate_with_holes([(0.6, 0.5, 0.15)], size=0.08, seed=seed).double()


def hills(x):
    return 0.6 * torch.exp(-((x[0] - 0.3) ** 2 + (x[1] - 0.6) ** 2) / 0.02)


@pytest.mark.parametrize("level", [0.9, 0.3])  # with the hill under water, and as an island
@pytest.mark.parametrize("mesh", [pond(), ml.shapes.square(n=12, cells="quad").double()], ids=["holes", "quads"])
def test_a_lake_at_rest_stays_at_rest_over_any_ground(mesh, level):
    lake = ml.sim.shallow_water(mesh, lambda x: (level - hills(x)).clamp_min(0.0), ground=hills, frames=3)
    for kind, height in lake.cell_data["height"].items():
        assert torch.allclose(height, height[0].expand_as(height), atol=1e-13)
        assert float(lake.cell_data["velocity"][kind].abs().max()) < 1e-11


def test_mass_is_kept_and_water_stays_above_its_ground():
    film = ml.sim.shallow_water(pond(), lambda x: torch.where(x[0] < 0.3, 1.0, 0.0), ground=hills, frames=10)
    mass = total(film, film.cell_data["height"])
    assert torch.allclose(mass, mass[0].expand_as(mass), rtol=1e-12)
    assert min(float(h.min()) for h in film.cell_data["height"].values()) >= 0
    last = torch.cat([h[-1] for h in film.cell_data["height"].values()])
    assert float((last > 1e-3).double().mean()) > 0.9  # it has flooded the basin


def stoker(x, t, left, right):
    """J. Stoker 1957, "Water waves", section 10.8: depth and speed of a dam break on a wet bed."""
    low, high = right, left
    for _ in range(200):  # the depth behind the shock
        middle = 0.5 * (low + high)
        u = (middle - right) * math.sqrt(0.5 * G * (middle + right) / (middle * right))
        low, high = (middle, high) if u + 2 * math.sqrt(G * middle) < 2 * math.sqrt(G * left) else (low, middle)
    shock = middle * u / (middle - right)
    fan = (2 * math.sqrt(G * left) - x / t) ** 2 / (9 * G)
    depth = torch.where(x / t < -math.sqrt(G * left), torch.full_like(x, left), fan)
    depth = torch.where(x / t > u - math.sqrt(G * middle), torch.full_like(x, middle), depth)
    return torch.where(x / t > shock, torch.full_like(x, right), depth)


def ritter(x, t, left):
    """A. Ritter 1892: the same on a dry bed."""
    fan = (2 * math.sqrt(G * left) - x / t).clamp_min(0.0) ** 2 / (9 * G)
    return torch.where(x / t < -math.sqrt(G * left), torch.full_like(x, left), fan)


@pytest.mark.parametrize("right", [0.4, 0.0])
def test_a_dam_break_converges_to_the_exact_solution(right):
    errors = []
    for n in (50, 100, 200):
        mesh = ml.shapes.rectangle(2.0, 4.0 / n, n=(n, 2), cells="quad", dtype=torch.float64)
        film = ml.sim.shallow_water(
            mesh, lambda x: torch.where(x[0] < 1.0, 1.0, right), time_step=0.1, frames=2, gravity=G
        )
        x = mesh.cell_centroids()["quad"][:, 0] - 1.0
        exact = stoker(x, 0.2, 1.0, right) if right else ritter(x, 0.2, 1.0)
        errors.append(float((film.cell_data["height"]["quad"][-1] - exact).abs().mean()))
    rates = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert errors[-1] < 0.01, errors
    assert min(rates) > 0.55, (errors, rates)  # L1, of a shock with a scheme of first order


def test_small_waves_travel_at_the_speed_of_the_theory():
    mesh = ml.shapes.rectangle(4.0, 0.04, n=(400, 1), cells="quad", dtype=torch.float64)
    bump = ml.sim.shallow_water(
        mesh, lambda x: 1.0 + 1e-3 * torch.exp(-((x[0] - 2.0) ** 2) / 0.02), time_step=0.3, frames=1
    )
    x, rise = mesh.cell_centroids()["quad"][:, 0], bump.cell_data["height"]["quad"][-1] - 1.0
    right = x > 2.0
    place = float((x * rise)[right].sum() / rise[right].sum())
    assert place - 2.0 == pytest.approx(0.3 * math.sqrt(G), rel=0.02)


def test_turning_the_mesh_turns_the_flow():
    mesh = pond()
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    depth = 1.0 + 0.5 * hills(mesh.cell_centroids()["triangle"].T)
    still = ml.sim.shallow_water(mesh, depth, frames=4)
    turned = ml.sim.shallow_water(mesh.replace(points=mesh.points @ turn.T), depth, frames=4)
    for kind in still.cell_data["height"]:
        assert torch.allclose(turned.cell_data["height"][kind], still.cell_data["height"][kind], atol=1e-10)
        u = still.cell_data["velocity"][kind] @ turn.T
        assert torch.allclose(turned.cell_data["velocity"][kind], u, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"height": -1.0}, "below 0"),
        ({"height": "water"}, "no cell field 'water'"),
        ({"height": torch.ones(3)}, "a value per cell"),
        ({"height": torch.full((32,), torch.nan)}, "not finite"),
        ({"height": 1.0, "gravity": 0.0}, "gravity=0.0"),
        ({"height": 1.0, "velocity": torch.ones(3, 2)}, "velocity has shape"),
        ({"height": torch.ones(32, requires_grad=True)}, "gradient"),
        ({"height": 1.0, "frames": 0}, "frames"),
    ],
)
def test_wrong_requests_of_water_are_told(arguments, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        ml.sim.shallow_water(ml.shapes.square(n=4), **arguments)


def test_a_dry_basin_stays_dry():
    film = ml.sim.shallow_water(ml.shapes.square(n=4), 0.0, frames=2)
    assert float(film.cell_data["height"]["triangle"].abs().max()) == 0


def test_water_needs_a_planar_mesh():
    with pytest.raises(ml.MeshError, match="planar mesh"):
        ml.sim.shallow_water(ml.shapes.sphere(), 1.0)


@pytest.mark.parametrize("pillar", [False, True])
def test_basins_depend_on_seed_and_number_only_and_are_written(tmp_path, pillar):
    made = ml.sim.make_shallow_water(2, tmp_path, seed=2, size=0.1, pillar=pillar, frames=3)
    again = ml.sim.make_shallow_water(1, seed=2, size=0.1, pillar=pillar, frames=3)
    (kind,) = made[0].cell_data["height"]
    assert kind == ("triangle" if pillar else "quad")
    assert torch.equal(made[0].cell_data["height"][kind], again[0].cell_data["height"][kind])
    mass = total(made[1], made[1].cell_data["height"])
    assert torch.allclose(mass, mass[0].expand_as(mass), rtol=1e-6)
    assert len(ml.read_many(str(tmp_path / "*.safetensors"))) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"size": 0.5}, "size=0.5"), ({"pillar": 1}, "pillar=1"), ({"radius": 0.9}, "radius"), ({"seed": -1}, "seed=-1")],
)
def test_wrong_basins_are_told(arguments, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.sim.make_shallow_water(1, **arguments)
