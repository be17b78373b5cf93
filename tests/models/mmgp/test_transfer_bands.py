"""The error of the transfer is in the error bands, as large as the field, the mesh and the shape make it."""

import pytest
import torch

import meshlearn as ml


def plate(a, b, n, scale=1.0):
    mesh = ml.shapes.rectangle(a, b, n=n, dtype=torch.float64, boundary=False)
    x, y = mesh.points.T
    return mesh.with_point_data(u=scale * torch.sin(3 * x) * y).with_global_data(scale=torch.tensor(scale).double())


def family(n, seed):
    g = torch.Generator().manual_seed(seed)
    draws = torch.rand(n, 3, generator=g).tolist()
    return [plate(1 + a, 1 + b, (6 + k % 4, 7 + k % 3), 1 + c) for k, (a, b, c) in enumerate(draws)]


def test_bands_hold_in_small_sets_where_the_transfer_dominates():
    inside = []
    for n, seed in ((8, 0), (15, 1), (15, 2), (25, 3)):
        meshes = family(n + 12, seed)
        model = ml.MMGP(["scale"], ["u"], morphing="tutte", restarts=2).fit(meshes[:n])
        for mesh, p in zip(meshes[n:], model.predict(meshes[n:], return_std=True), strict=True):
            error = (p.point_data["u"] - mesh.point_data["u"]).abs()
            inside.append(float((error <= 1.96 * p.point_data["u_std"]).double().mean()))
    assert sum(inside) / len(inside) > 0.93
    assert sorted(inside)[len(inside) // 10] > 0.75


def test_what_the_transfer_loses_scales_with_the_field():
    meshes = family(10, 5)
    model = ml.MMGP(["scale"], ["u"], morphing="rbf", restarts=1).fit(meshes)
    placed = model.family_.place(meshes[3])
    curved = model.pods_["u"].decode(model.pods_["u"].coefficients_[:1])[0]
    loss = model.losses_["u"]
    lost = loss.square(placed, curved, "point", 1)
    assert float(lost.amax()) > 0
    assert torch.allclose(loss.square(placed, 3 * curved, "point", 1), 9 * lost, rtol=1e-9)
    linear = model.family_.common.mesh.points @ torch.tensor([2.0, -1.0], dtype=torch.float64)
    assert float(loss.square(placed, linear, "point", 1).amax()) < 1e-24
    scales = torch.tensor([float(m.global_data["scale"]) for m in meshes])
    large, small = meshes[int(scales.argmax())], meshes[int(scales.argmin())]
    wide, narrow = (model.predict(m, return_std=True).point_data["u_std"].square().mean() for m in (large, small))
    assert wide > 1.05 * narrow


def test_values_that_are_exactly_zero_are_in_the_band():
    meshes = family(12, 4)
    model = ml.MMGP(["scale"], ["u"], morphing="tutte", restarts=1).fit(meshes[:10])
    p = model.predict(meshes[10], return_std=True)
    zero = meshes[10].point_data["u"] == 0
    assert int(zero.sum()) > 10
    assert bool((p.point_data["u"].abs() <= 1.96 * p.point_data["u_std"])[zero].all())
    assert float(p.point_data["u_std"][zero].min()) > 0


def waves(n, seed, fine=False):
    """Grids whose rows lie at the same heights: what is lost between the rows is not lost at their points."""
    g = torch.Generator().manual_seed(seed)
    meshes = []
    for k, (a, c) in enumerate(torch.rand(n, 2, generator=g).tolist()):
        mesh = ml.shapes.rectangle(1 + a, 1.0, n=(40, 30) if fine else (6 + k % 3, 6), dtype=torch.float64)
        x, y = mesh.points.T
        values = torch.sin((1 + c) * x) * torch.cos(2 * y)
        meshes.append(mesh.with_point_data(u=values).with_global_data(scale=torch.tensor(1 + c).double()))
    return meshes


@pytest.mark.parametrize(("transfer", "without"), [("recovery", 0.8), ("interpolation", 0.6), ("projection", 0.6)])
def test_bands_hold_on_meshes_finer_than_those_of_the_training(transfer, without):
    model = ml.MMGP(["scale"], ["u"], morphing="rbf", transfer=transfer, restarts=1).fit(waves(30, 0))
    usual, finer = (model.calibration(waves(12, 1, fine))["u"] for fine in (False, True))
    assert usual["coverage"][0.95] > 0.9
    assert finer["coverage"][0.95] > 0.85
    model.losses_["u"].factor = 0.0  # without what the transfer loses they do not
    assert model.calibration(waves(12, 1, True))["u"]["coverage"][0.95] < without


def test_recovery_loses_a_fraction_of_what_interpolation_loses():
    train, test = waves(30, 0), waves(12, 1)
    errors = {}
    for transfer in ("recovery", "interpolation"):
        model = ml.MMGP(["scale"], ["u"], morphing="rbf", transfer=transfer, restarts=1).fit(train)
        errors[transfer] = model.score(test)["u"], model.floors_["u"]["round_trip"]
    assert errors["recovery"][0] < 0.3 * errors["interpolation"][0]
    assert errors["recovery"][1] < 0.3 * errors["interpolation"][1]


def test_bands_hold_on_finer_meshes_of_a_family_that_shares_its_cells():
    meshes = waves(24, 2)[::3]
    model = ml.MMGP(["scale"], ["u"], restarts=1).fit(meshes)
    assert model.morphing_ == "identity"
    assert model.calibration(waves(8, 3, True))["u"]["coverage"][0.95] > 0.85


@pytest.mark.parametrize("transfer", ["recovery", "projection"])
def test_bands_hold_on_other_cells_of_the_shape_that_all_training_meshes_share(transfer):
    """Nothing was lost in training, so that what is lost now is as much as gradients tell."""

    def plates(n, scales):
        meshes = [ml.shapes.square(n=n, dtype=torch.float64) for _ in scales]
        return [
            m.with_point_data(u=torch.sin(4 * m.points[:, 0] + s) * m.points[:, 1]).with_global_data(scale=s)
            for m, s in zip(meshes, scales, strict=True)
        ]

    model = ml.MMGP(["scale"], ["u"], transfer=transfer, restarts=1).fit(plates(6, [0.5 + 0.1 * k for k in range(10)]))
    other = plates(17, [0.62, 0.97, 1.31])
    assert max(model.novelty(mesh) for mesh in other) < 1
    assert model.calibration(other)["u"]["coverage"][0.95] > 0.85
