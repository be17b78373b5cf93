"""Polynomial manifolds: exact where the truth is one, better than linear modes on fronts, and right by hand."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.bands import field_variance
from meshlearn.models.mmgp.lift import Lift, Monomials, Ridge
from meshlearn.models.mmgp.pod import POD


def fronts(count, seed=0, width=0.15):
    """tanh layers at places and angles of their own: (parameters, fields on a grid, weights)."""
    g = torch.Generator().manual_seed(seed)
    x, y = torch.linspace(0, 1, 120).double()[:, None], torch.linspace(-0.5, 0.5, 8).double()
    p = torch.rand(count, 2, generator=g, dtype=torch.float64)
    place, slope = 0.2 + 0.6 * p[:, 0], 0.6 * (p[:, 1] - 0.5)
    fields = torch.tanh((x - place[:, None, None] - slope[:, None, None] * y) / width).reshape(count, -1)
    return p, fields, torch.full((960,), 1 / 960, dtype=torch.float64)


def parabolas(count, seed=0):
    """Fields on a quadratic manifold of dimension two: mean + a V + (products of a) W, W orthogonal to V."""
    g = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(60, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)).Q.T
    a = torch.randn(count, 2, generator=g, dtype=torch.float64) * torch.tensor([3.0, 2.0], dtype=torch.float64)
    a = torch.cat([a, -a])  # so that a and its products are uncorrelated, and the modes are V
    q = torch.stack([a[:, 0] ** 2, a[:, 0] * a[:, 1], a[:, 1] ** 2], dim=1)
    return a @ basis[:2] + 0.02 * q @ basis[2:5] + basis[5], torch.full((60,), 1 / 60, dtype=torch.float64)


def left(pod, fields, weights):
    rest = fields - pod.decode(pod.encode(fields, weights))
    return float((rest.square().mean() / fields.var()).sqrt())


def test_monomials_and_their_slopes_equal_powers_and_differences():
    a = torch.tensor([[2.0, -3.0, 0.5], [1.0, 4.0, 2.0]], dtype=torch.float64)
    cubic = Monomials.of(a, 3, 100)
    cubic.scale = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    values = cubic(a)
    assert values.shape == (2, 6 + 10)
    z = a / cubic.scale
    expected = torch.stack([z[:, i] * z[:, j] for i in range(3) for j in range(i, 3)], dim=1)
    torch.testing.assert_close(values[:, :6], expected)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    for k in range(3):
        difference = (cubic(a[:1] + step[k]) - cubic(a[:1] - step[k]))[0] / 2e-6
        torch.testing.assert_close(cubic.slopes(a[0])[k], difference, rtol=1e-7, atol=1e-7)
    few = Monomials.of(a, 2, 4)  # of two coefficients only
    assert few(a).shape == (2, 3)
    assert bool((few.slopes(a[0])[2] == 0).all())


def test_a_quadratic_manifold_is_found():
    fields, weights = parabolas(200)
    new, _ = parabolas(50, seed=1)
    linear, bent = (POD(2, manifold=m).fit(fields, weights) for m in ("linear", "quadratic"))
    assert left(linear, new, weights) > 0.05
    assert left(bent, new, weights) < 1e-4 * left(linear, new, weights)


@pytest.mark.parametrize(("manifold", "gain"), [("quadratic", 5), ("cubic", 20)])
def test_fronts_need_fewer_modes_on_a_manifold(manifold, gain):
    _, fields, weights = fronts(160)
    _, new, _ = fronts(40, seed=1)
    linear, bent = POD(6).fit(fields, weights), POD(6, manifold=manifold).fit(fields, weights)
    assert linear.rank_ == bent.rank_ == 6
    assert left(bent, new, weights) < left(linear, new, weights) / gain
    torch.testing.assert_close(bent.encode(bent.decode(bent.coefficients_), weights), bent.coefficients_)


def test_residual_of_a_manifold_is_that_of_snapshots_left_out():
    _, fields, weights = fronts(60)
    pod = POD(4, manifold="quadratic").fit(fields, weights, keep=[2, 7])
    rest = torch.zeros_like(fields)
    for fold in range(5):
        out = torch.arange(60) % 5 == fold
        part = POD(4, manifold="quadratic")
        part.fit(fields[~out], weights)
        a = part.coefficients_
        ridge = Ridge(Monomials.of(a, 2, 30), a)
        left_over = fields[~out] - part.mean_ - a @ part.modes_
        part.lift_ = Lift(ridge.monomials, ridge.mean, ridge.matrix(pod.ridge) @ left_over)
        rest[out] = fields[out] - part.decode(part.encode(fields[out], weights))
    torch.testing.assert_close(pod.rest_, rest[[2, 7]], rtol=0, atol=1e-6)
    torch.testing.assert_close(pod.residual_, rest.square().mean(0), rtol=1e-4, atol=1e-9)


def test_polynomials_that_do_not_help_are_left_out():
    g = torch.Generator().manual_seed(0)
    fields = torch.randn(80, 3, generator=g, dtype=torch.float64) @ torch.randn(3, 50, generator=g, dtype=torch.float64)
    fields = fields + 0.1 * torch.randn(80, 50, generator=g, dtype=torch.float64)
    pod = POD(3, manifold="cubic").fit(fields, torch.full((50,), 0.02, dtype=torch.float64))
    assert pod.lift_ is None


def test_many_snapshots_and_files(monkeypatch):
    _, fields, weights = fronts(120)
    whole = POD(5, manifold="quadratic").fit(fields, weights)
    monkeypatch.setattr("meshlearn.models.mmgp.pod.EXACT", 80)
    quick = POD(5, manifold="quadratic").fit(fields, weights)
    _, new, _ = fronts(40, seed=1)
    assert left(quick, new, weights) < 1.5 * left(whole, new, weights)
    again = POD()
    again.set_state(whole.get_state())
    assert torch.equal(again.decode(whole.coefficients_), whole.decode(whole.coefficients_))
    again.set_state(POD(5).fit(fields, weights).get_state())
    assert again.lift_ is None


def test_bands_of_a_manifold_equal_those_of_samples():
    _, fields, weights = fronts(160)
    pod = POD(5, manifold="cubic").fit(fields, weights)
    a, spread = pod.coefficients_[3], 1e-2 * pod.energies_.sqrt()
    noise = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = pod.decode(a + noise * spread).var(0)
    pod.residual_ = torch.zeros_like(pod.residual_)
    band = field_variance(pod, a[None], spread.square()[None])[0]
    assert float((band.sqrt() - drawn.sqrt()).norm() / drawn.sqrt().norm()) < 0.05
    flat = spread.square() @ pod.modes_.square()  # what linear modes would say is another thing
    assert float((flat.sqrt() - drawn.sqrt()).norm() / drawn.sqrt().norm()) > 0.1


def test_a_model_on_a_manifold_needs_fewer_modes(tmp_path):
    parameters, _, _ = fronts(110)
    mesh, meshes = ml.shapes.square(n=12).double(), []
    x, y = mesh.points.T
    for a, b in parameters.tolist():
        u = torch.tanh((x - 0.2 - 0.6 * a - 0.6 * (b - 0.5) * (y - 0.5)) / 0.15)
        meshes.append(
            mesh.with_point_data(u=u).with_global_data(a=torch.tensor(a).double(), b=torch.tensor(b).double())
        )
    train, test = meshes[:85], meshes[85:]
    linear, bent = (
        ml.MMGP(["a", "b"], ["u"], modes=6, manifold=m, restarts=1).fit(train) for m in ("linear", "quadratic")
    )
    assert linear.ranks_ == bent.ranks_ == {"u": 6}
    assert bent.score(test)["u"] < 0.25 * linear.score(test)["u"]
    assert bent.cv_score_["u"] == pytest.approx(bent.score(test)["u"], rel=1.0)
    assert 0.88 < bent.calibration(test)["u"]["coverage"][0.95] <= 1.0
    again = ml.load(bent.save(tmp_path / "model"))
    here, there = (m.predict(test[0], return_std=True).point_data for m in (bent, again))
    assert torch.equal(here["u"], there["u"])
    assert torch.equal(here["u_std"], there["u_std"])
    h, name = 1e-4, "d_u_d_a"
    up, down = (
        bent.predict(test[1].with_global_data(a=test[1].global_data["a"] + s * h)).point_data["u"] for s in (1, -1)
    )
    torch.testing.assert_close(
        bent.derivative(test[1], "a").point_data[name], (up - down) / (2 * h), rtol=1e-3, atol=1e-4
    )
    with pytest.raises(ml.ParameterError, match="manifold"):
        ml.MMGP(["a", "b"], ["u"], manifold="curved").fit(train)
