"""Problems with peaks: the published error, orders against the truth, and meshes that move towards them."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.models.movers import HessianMonitor
from meshlearn.sim.peaks import PHYSICS, peaks_at

ONE = torch.tensor([[0.51, 0.65, 0.1, 1.0]], dtype=torch.float64)


def solved(n, physics, **options):
    mesh = ml.shapes.square(n=n, dtype=torch.float64, **options).with_global_data(peaks=ONE)
    return ml.sim.solve_peaks(mesh, physics)


def test_the_published_helmholtz_problem_has_its_published_error():
    mesh = solved(20, "helmholtz", pattern="left")
    space = ml.fem.FESpace(mesh, "P1")
    truth = lambda x: peaks_at(ONE, x)  # noqa: E731
    assert float(space.norm(mesh.point_data["u"], minus=truth)) == pytest.approx(0.0102338181, rel=5e-3)
    size = float(space.norm(torch.zeros(mesh.n_points), minus=truth))
    assert size == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=1e-3)
    assert float(mesh.global_data["error"]) == pytest.approx(0.0102338181 / size, rel=5e-3)


@pytest.mark.parametrize("physics", PHYSICS)
def test_errors_of_peaks_fall_with_the_square_of_the_size(physics):
    errors = [float(solved(n, physics).global_data["error"]) for n in (16, 32)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.25), errors


@pytest.mark.parametrize("physics", PHYSICS)
def test_a_mesh_that_moves_to_the_peaks_has_a_smaller_error(physics, tmp_path):
    meshes = ml.sim.make_peaks(2, tmp_path, seed=4, physics=physics, resolution=16, peaks=2, width=0.1)
    for mesh in meshes:
        before = float(mesh.global_data["error"])
        assert ml.sim.peaks_error(mesh, physics) == pytest.approx(before, rel=1e-4)
        moved = ml.MongeAmpereMover(rtol=1e-3).move(mesh, HessianMonitor(mesh, "u", smoothing=0.03))
        after = ml.sim.solve_peaks(moved.mesh, physics)
        assert float(after.global_data["error"]) < 0.85 * before
        assert ml.meshes_equal(ml.read(mesh.source), mesh)


def test_peaks_vary_in_number_and_the_same_seed_gives_the_same():
    meshes = ml.sim.make_peaks(8, seed=1, resolution=4, peaks=(1, 3))
    counts = [int((mesh.global_data["peaks"][:, 3] > 0).sum()) for mesh in meshes]
    assert set(counts) == {1, 2, 3}
    assert torch.equal(
        ml.sim.make_peaks(2, seed=1, resolution=4, peaks=(1, 3))[1].point_data["u"], meshes[1].point_data["u"]
    )
    assert (
        ml.sim.make_peaks(1, seed=1, resolution=8, peaks=(1, 3))[0]
        .global_data["peaks"]
        .equal(meshes[0].global_data["peaks"])
    )


def test_wrong_arguments_of_peaks_are_told():
    with pytest.raises(ml.ParameterError, match="physics='wave': expected one of 'helmholtz', 'poisson'"):
        ml.sim.make_peaks(1, physics="wave")
    with pytest.raises(ml.ParameterError, match="resolution is a whole number"):
        ml.sim.make_peaks(1, resolution=1.5)
    with pytest.raises(ml.ParameterError, match="peaks is a number or a pair"):
        ml.sim.make_peaks(1, peaks=(3, 1))
    with pytest.raises(ml.FieldError, match=r"global_data\['peaks'\] is missing"):
        ml.sim.solve_peaks(ml.shapes.square(n=2))
    with pytest.raises(ml.FieldError, match="no point field 'v'"):
        ml.sim.peaks_error(solved(4, "helmholtz"), field="v")
