"""Forms that mix cells are refused; forms that do not are not, however close to zero their values are."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, inner

DOUBLE = torch.float64


def _square(n: int = 4, **settings) -> FESpace:
    return FESpace(ml.shapes.square(n=n, dtype=DOUBLE, **settings), "P1")


MIXING = {
    "norm": lambda v, x: grad(x.u).norm() * v,
    "linalg.norm": lambda u, v, x: torch.linalg.norm(grad(x.u)) * u * v,
    "sum": lambda v, x: x.k.sum() * v,
    "mean": lambda x: x.k.mean(),
    "max": lambda v, x: x.k.max() * v,
    "min": lambda v, x: x.k.min() * v,
    "relative": lambda v, x: x.k / x.k.sum() * v,
    "threshold": lambda u, v, x: u * v * (x.k > x.k.mean()),
    "deviation": lambda x: x.k.std(),
    "coordinates": lambda v, x: x[1].max() * v,
    "size": lambda x: x.size.mean(),
    "trial": lambda u, v, x: (grad(u) * grad(v)).sum(),
    "test": lambda v, x: v.value.sum(),
    "in a coefficient": lambda v, x: x.f * v,
}
SHAPES = {
    "last axis": lambda u, v, x: (grad(u) * grad(v)).sum(-1),
    "second axis": lambda u, v, x: (grad(u) * grad(v)).sum(1),
}


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-9])
def test_a_form_that_mixes_cells_is_refused(name, value):
    space = _square()
    k = torch.full((space.mesh.n_cells,), value, dtype=DOUBLE)
    u = space.function(torch.full((space.n_dofs,), value, dtype=DOUBLE))
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        space.assemble(MIXING[name], k=k, u=u, f=lambda x: x.k.sum())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize(
    "extreme", [torch.max, torch.min, torch.median, lambda a: a.cumsum(-3), lambda a: a.roll(1, -3)]
)
def test_extremes_of_the_coordinates_are_refused_on_every_mesh(n, extreme):
    for axis in (0, 1):
        with pytest.raises(ml.errors.ParameterError, match="mixes places"):
            _square(n).assemble(lambda v, x, axis=axis: extreme(x[axis]) * v)
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        _square(n).assemble(lambda u, v, x: extreme(x[0]) * u * v)


ALONG = {
    "std": lambda a: a.std(),
    "var": lambda a: a.var(),
    "var_mean": lambda a: torch.var_mean(a)[0],
    "sort": lambda a: a.sort(-1)[0],
    "flip": lambda a: a.flip(-1),
    "roll": lambda a: a.roll(1, -1),
    "cumsum": lambda a: a.cumsum(-1),
    "softmax": lambda a: a.softmax(-1),
    "normalize": lambda a: torch.nn.functional.normalize(a, dim=-1),
    "max": lambda a: a.max(-1, keepdim=True)[0],
    "mean": lambda a: a.mean(-1, keepdim=True),
    "first place": lambda a: a[..., :1],
    "any": lambda a: torch.where((a > 0.5).any(), 2.0, 1.0),
    "all": lambda a: torch.where((a > 0.5).all(), 2.0, 1.0),
    "any along": lambda a: torch.where((a > 0.5).any(-1, keepdim=True), 2.0, 1.0),
}


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_reductions_and_orders_along_the_places_are_refused_on_every_mesh(name, cells):
    take = ALONG[name]
    for n in (1, 2, 3, 4, 7):
        for element in ("P1", "P2"):
            space = FESpace(ml.shapes.square(n=n, cells=cells, dtype=DOUBLE), element)
            with pytest.raises(ml.errors.ParameterError, match="mixes places"):
                space.assemble(lambda v, x: take(x[0]) * v)
            with pytest.raises(ml.errors.ParameterError, match="mixes places"):
                space.assemble(lambda x: 1.0 * take(x[1]))
            if "a" not in name[:2]:
                with pytest.raises(ml.errors.ParameterError, match="mixes places"):
                    space.assemble(lambda v, x: take(x.u.value) * v, u=space.function(torch.ones(space.n_dofs)))


@pytest.mark.parametrize("element", ["P1", "P2"])
def test_tensors_as_long_as_there_are_places_are_told_from_coefficients(element):
    space = FESpace(ml.shapes.square(n=4, dtype=DOUBLE), element)
    k = torch.linspace(1, 2, {"P1": 3, "P2": 6}[element], dtype=DOUBLE)
    with pytest.raises(ml.errors.ParameterError, match=r"(?s)reads k \(\d,\) from outside.*assemble\(form, k=k\)"):
        space.assemble(lambda v, x: k * v)
    with pytest.raises(ml.errors.ParameterError, match="reads k"):
        space.assemble(lambda x: k * x[0])
    one = torch.ones(space.mesh.n_cells, 1, dtype=DOUBLE)
    with pytest.raises(ml.errors.ParameterError, match=r"(?s)one number at every place.*From outside: one \(32, 1\)"):
        space.assemble(lambda u, v, x: one * u * v)


@pytest.mark.parametrize("name", SHAPES)
def test_a_form_that_takes_axes_of_cells_for_components_is_refused(name):
    with pytest.raises(ml.errors.ParameterError, match="one number at every place"):
        _square().assemble(SHAPES[name])


def test_a_refused_form_is_refused_again():
    space, form = _square(), lambda x: x.k.sum()
    for _ in range(2):
        with pytest.raises(ml.errors.ParameterError, match="mixes places"):
            space.assemble(form, k=torch.ones(space.mesh.n_cells))


def test_normals_and_batches_are_looked_at_too():
    space = _square()
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        space.assemble(lambda v, x: x.normal.norm() * v, on="left")
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        space.assemble(lambda v, x: x.k.amax() * v, k=torch.rand(5, space.mesh.n_cells, dtype=DOUBLE))


def test_the_shortest_mesh_of_one_cell():
    space = FESpace(ml.shapes.square(n=1, cells="quad", dtype=DOUBLE), "P1")
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        space.assemble(lambda x: x.k.sum(), k=torch.ones(space.mesh.n_points, dtype=DOUBLE))
    assert space.assemble(lambda x: x.k**2, k=torch.ones(space.mesh.n_points, dtype=DOUBLE)).item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_pointwise_forms_pass_even_where_only_rounding_is_left(cells, dtype):
    space = FESpace(ml.shapes.square(n=5, cells=cells, dtype=dtype), "P2^d", dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    u = space.function(torch.rand(space.n_dofs, generator=generator, dtype=dtype))
    k = torch.rand(space.mesh.n_cells, generator=generator, dtype=dtype)

    def wave(x):
        return torch.sin(3 * x[0]) * torch.exp(x[1])

    for names, form in (
        ("k", lambda x: (x.k * 3 - x.k - x.k - x.k) ** 2),  # noise
        ("w", lambda x: (x.w - torch.sin(3 * x[0]) * torch.exp(x[1])).abs()),
        ("u", lambda x: x.u.value.norm(dim=0) - torch.sqrt(dot(x.u, x.u))),
        ("k", lambda x: (x.k + 1e-3).log() + torch.log(x.k - 0.9)),  # nan in most cells
        ("ku", lambda v, x: x.k.clamp(min=0.3) * inner(grad(x.u), grad(v))),
        ("u", lambda v, x: torch.linalg.matrix_norm(grad(x.u).movedim((0, 1), (-2, -1))) * v[0]),
        ("u", lambda v, x: grad(x.u).amax(dim=(0, 1)) * v[1]),
    ):
        space.assemble(form, **{name: {"u": u, "k": k, "w": wave}[name] for name in names})


def test_looking_at_values_is_allowed():
    def form(v, x):
        if not bool((x.k > 0).all()):
            raise ValueError("negative")
        return x.k * v

    space = _square()
    assert space.assemble(form, k=torch.ones(space.mesh.n_cells)).sum().item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="negative"):
        space.assemble(form, k=-torch.ones(space.mesh.n_cells))


def test_a_form_that_cannot_be_called_beyond_the_mesh_is_tried_on_it():
    space = _square(6)
    table = torch.linspace(0, 1, 11, dtype=DOUBLE)

    def looked_up(x):
        return table[(10 * x[0]).long()]  # an error where x[0] leaves 0 … 1

    assert 0.4 < space.assemble(looked_up).item() < 0.5
    with pytest.raises(ml.errors.ParameterError, match="mixes places"):
        space.assemble(lambda x: looked_up(x).sum())


def test_tables_looked_up_by_number():
    space = _square()
    table = torch.tensor([1.0, 2.0, 3.0, 7.0], dtype=DOUBLE)
    kind = torch.arange(space.mesh.n_cells) % 4
    found = space.assemble(lambda x: table[x.kind.long()], kind=kind)
    assert found.item() == pytest.approx(table.mean().item())


def test_an_iteration_inside_a_form_may_stop_with_the_slowest_cell():
    def root(x):
        y = torch.ones_like(x.k)
        while bool(((y * y - x.k).abs() > 1e-8).any()):
            y = 0.5 * (y + x.k / y)
        return y

    space = _square()
    k = torch.linspace(1, 9, space.mesh.n_cells, dtype=DOUBLE)
    area = 1 / space.mesh.n_cells
    assert space.assemble(root, k=k).item() == pytest.approx(area * k.sqrt().sum().item(), rel=1e-7)


def test_random_forms_are_left_alone():
    space = _square()
    torch.manual_seed(0)
    assert math.isfinite(space.assemble(lambda x: x.k + torch.rand_like(x.k), k=torch.ones(space.mesh.n_cells)).item())


def test_transforms_over_integrals_still_work():
    space = _square()
    u = torch.linspace(0, 1, space.n_dofs, dtype=DOUBLE)

    def energy(dofs):
        return space.assemble(lambda x: (1 + x.u**2) * dot(grad(x.u), grad(x.u)), u=space.function(dofs))

    assert torch.equal(torch.func.vmap(energy)(torch.stack([u, 2 * u]))[1], energy(2 * u))
    assert torch.func.grad(energy)(u).shape == u.shape


def test_what_was_tried_is_not_tried_again():
    space, calls = _square(), []

    def form(x):
        calls.append(1)
        return x.k

    k = torch.ones(space.mesh.n_cells)
    space.assemble(form, k=k)
    first = len(calls)
    space.assemble(form, k=2 * k)
    assert (first, len(calls)) == (7, 8)


def test_the_global_random_state_is_kept():
    space = _square()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    space.assemble(lambda u, v, x: x.k * u * v, k=torch.ones(space.mesh.n_cells))
    assert torch.equal(before, torch.random.get_rng_state())
