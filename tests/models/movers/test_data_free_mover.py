import math

import pytest
import torch
from learned_cases import DOMAINS, fitted, wild, with_field

import meshlearn as ml
from meshlearn.errors import ConvergenceError, FieldError, MeshError, NotFittedError, ParameterError, TopologyError
from meshlearn.models.movers import HessianMonitor, MoveResult, held_back

PLANE = ("square", "l_shape", "annulus")


@pytest.fixture(scope="module")
def plane_mover():
    meshes = [with_field(DOMAINS[name](), seed) for seed, name in enumerate(PLANE)]
    model = fitted(meshes, epochs=3)
    return wild(model, 0.1)


def moved(result):
    return result.mesh.points - result.start.points


def test_a_field_that_needs_no_cells_anywhere_moves_nothing(plane_mover):
    for name in PLANE:
        mesh = DOMAINS[name]()
        x = mesh.points[:, 0]
        for u in (torch.zeros_like(x), torch.full_like(x, 3.0)):
            result = plane_mover.move(mesh.with_point_data(u=u))
            torch.testing.assert_close(result.mesh.points, mesh.points, atol=1e-6, rtol=0)
            assert result.converged
        constant = plane_mover.move(mesh, monitor=torch.full((mesh.n_points,), 7.0))
        torch.testing.assert_close(constant.mesh.points, mesh.points, atol=1e-6, rtol=0)


def test_a_new_network_moves_points_to_where_the_monitor_is_large():
    mesh = with_field(DOMAINS["square"](), 0)
    result = fitted([mesh], epochs=1).move(mesh)
    assert float(result.monitor.mean()) > float(result.monitor_before.mean())
    assert result.equidistribution.cv < result.before.cv


def test_translations_and_scalings_of_the_mesh_move_and_scale_the_result(plane_mover):
    mesh = with_field(DOMAINS["l_shape"]().double(), 2)
    here = plane_mover.move(mesh)
    there = plane_mover.move(mesh.replace(points=1e-3 * mesh.points + torch.tensor([7.0, -3.0], dtype=torch.float64)))
    assert float(moved(here).abs().max()) > 1e-3
    torch.testing.assert_close(moved(there), 1e-3 * moved(here), atol=1e-9, rtol=1e-4)
    torch.testing.assert_close(there.potential, 1e-6 * here.potential, atol=1e-12, rtol=1e-3)


def test_renumbering_points_and_cells_renumbers_the_result(plane_mover):
    mesh = with_field(DOMAINS["annulus"]().double(), 3)
    order = torch.randperm(mesh.n_points)
    back = torch.argsort(order)
    (kind,) = mesh.domain_types
    cells = back[mesh.cells[kind]]
    cells = cells[torch.randperm(len(cells))].roll(1, dims=1)
    other = ml.Mesh(mesh.points[order], {kind: cells}, {"u": mesh.point_data["u"][order]})
    a, b = plane_mover.move(mesh), plane_mover.move(other)
    torch.testing.assert_close(b.mesh.points, a.mesh.points[order], atol=1e-5, rtol=0)


def test_amplitudes_of_the_monitor_do_not_matter(plane_mover):
    mesh = with_field(DOMAINS["square"]().double(), 4)
    m = 1 + mesh.points[:, 0]
    a, b = plane_mover.move(mesh, monitor=m), plane_mover.move(mesh, monitor=1000 * m)
    torch.testing.assert_close(a.mesh.points, b.mesh.points, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [n for n in DOMAINS if n != "interval"])
@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_whatever_the_network_says_the_result_is_valid(name, spread):
    meshes = [with_field(DOMAINS[name](), seed) for seed in range(6)]
    results = wild(fitted(meshes[:2]), spread).move(meshes)
    for mesh, result in zip(meshes, results, strict=True):
        assert mesh.n_inverted() == result.mesh.n_inverted() == result.n_inverted == 0
        (kind,) = mesh.domain_types
        ratio = result.mesh.cell_measures()[kind] / mesh.cell_measures()[kind]
        assert float(ratio.min()) > 0.02 * 0.99
        assert math.isfinite(result.equidistribution.ratio)
        assert (result.raw_inverted > 0) <= bool((result.shares < 1).any())
    if spread == 1.0:
        assert sum(result.raw_inverted for result in results) > 0
        assert 0 < max(result.raw_inversion_rate for result in results) < 1
        assert any("held back" in result.reason and not result.converged for result in results)


def test_holding_back_frees_what_is_tangled_and_leaves_the_rest():
    mesh = ml.shapes.square(n=8).double()
    (kind,) = mesh.domain_types
    cells = mesh.cells[kind]
    moves = torch.zeros_like(mesh.points)
    middle = (mesh.points - 0.5).norm(dim=1).argmin()
    corner = (mesh.points - 0.875).norm(dim=1).argmin()
    moves[middle], moves[corner] = torch.tensor([0.5, 0.1]).double(), torch.tensor([-0.02, 0.02]).double()
    points, shares, inverted = held_back(mesh.points, moves, cells, 0.1)
    assert int(inverted.sum()) > 0
    assert mesh.replace(points=points).n_inverted() == 0
    assert float(shares[middle]) < 1
    torch.testing.assert_close(points[corner], mesh.points[corner] + moves[corner])
    calm = 0.1 * moves
    same, shares, inverted = held_back(mesh.points, calm, cells, 0.1)
    assert torch.equal(same, mesh.points + calm)
    assert bool((shares == 1).all())
    assert not bool(inverted.any())
    folded = 3 * torch.randn(mesh.points.shape, dtype=torch.float64)
    points, _, _ = held_back(mesh.points, folded, cells, 0.1)
    assert mesh.replace(points=points).n_inverted() == 0


def test_holding_back_ends_after_a_number_of_rounds_that_does_not_grow_with_the_mesh():
    mesh = ml.shapes.square(n=100).double()
    moves = torch.zeros_like(mesh.points)
    inside = (mesh.points - 0.5).norm(dim=1) < 0.1
    moves[inside] = torch.tensor([0.3, 0.0]).double()  # a disc through its surroundings
    rounds = []

    def unlucky(points):
        """Puts one point of the disc far away as long as any of it moves: only when all stay, it is free."""
        rounds.append(1)
        tangled = points.clone()
        if not torch.equal(points[inside], mesh.points[inside]):
            tangled[5100] += 3.0
        return tangled

    points, shares, _ = held_back(mesh.points, moves, mesh.cells["triangle"], 0.1, unlucky)
    assert torch.equal(points, mesh.points)
    assert bool((shares[inside] == 0).all())
    assert len(rounds) < 250

    def always(points):
        return points.flip(1)  # every cell upside down

    points, shares, _ = held_back(mesh.points, moves, mesh.cells["triangle"][:50], 0.1, always)
    assert torch.equal(points, mesh.points)
    assert not bool(shares[mesh.cells["triangle"][:50]].any())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_rounding_of_a_linear_field_moves_no_point(plane_mover, dtype, offset):
    mesh = ml.shapes.square(n=24, dtype=dtype)
    linear = mesh.with_point_data(u=1e3 * (0.3 * mesh.points[:, 0] - 0.7 * mesh.points[:, 1]) + offset)
    moved = plane_mover.move(linear)
    torch.testing.assert_close(moved.monitor_before, torch.ones(mesh.n_points, dtype=torch.float64))
    torch.testing.assert_close(moved.mesh.points, mesh.points, atol=1e-6, rtol=0)
    bent = plane_mover.move(linear.with_point_data(u=linear.point_data["u"] + 1e3 * mesh.points[:, 0] ** 3))
    assert float(bent.monitor_before.max()) > 2


def test_the_field_of_a_fit_is_learned_state_and_no_argument(tmp_path):
    mesh = with_field(ml.shapes.square(n=5), 0)
    mesh = mesh.with_point_data(v=mesh.point_data["u"].flip(0))
    mover = ml.DataFreeMeshMover(rounds=1, hidden=4).fit(mesh, field="v", epochs=1, progress=False)
    assert (mover.get_params()["field"], mover.field_) == ("u", "v")
    points = mover.move(mesh).mesh.points
    again = ml.load(mover.save(tmp_path / "model"))
    assert torch.equal(again.move(mesh.replace(point_data={"v": mesh.point_data["v"]})).mesh.points, points)
    with pytest.raises(ml.FieldError, match="'w'"):
        mover.fit(mesh, field="w", epochs=1, progress=False)
    assert torch.equal(mover.move(mesh).mesh.points, points)
    with pytest.raises(ml.ParameterError, match="field=3: expected the name"):
        mover.fit(mesh, field=3)


def test_points_slide_along_walls_and_around_holes(plane_mover):
    mesh = with_field(DOMAINS["annulus"]().double(), 5)
    result = plane_mover.move(mesh)
    rim = mesh.boundary_points
    radius = [points[rim].norm(dim=1) for points in (mesh.points, result.mesh.points)]
    torch.testing.assert_close(radius[1], radius[0], atol=2e-2, rtol=0)
    assert float(moved(result)[rim].norm(dim=1).max()) > 1e-3
    square = plane_mover.move(with_field(DOMAINS["square"]().double(), 5))
    start, after = square.start.points, square.mesh.points
    walls = (start < 1e-9) | (start > 1 - 1e-9)
    torch.testing.assert_close(after[walls], start[walls], atol=1e-9, rtol=0)
    fixed = wild(fitted([with_field(DOMAINS["square"](), 5)], boundary="fixed"), 0.1)
    held = fixed.move(with_field(DOMAINS["square"]().double(), 5))
    assert torch.equal(held.mesh.points[walls.any(1)], start[walls.any(1)])
    assert float(moved(held).abs().max()) > 1e-3


def test_a_batch_of_unlike_meshes_is_moved_as_one_by_one(plane_mover):
    meshes = [with_field(DOMAINS[name](), seed) for seed in range(3) for name in PLANE]
    together = plane_mover.move(meshes)
    for mesh, result in zip(meshes, together, strict=True):
        alone = plane_mover.move(mesh)
        torch.testing.assert_close(result.mesh.points, alone.mesh.points, atol=1e-6, rtol=0)
        assert result.raw_inverted == alone.raw_inverted
    batch = plane_mover.move(ml.MeshBatch.from_meshes(meshes[:3]))
    torch.testing.assert_close(batch[2].mesh.points, together[2].mesh.points, atol=1e-6, rtol=0)


def test_frames_of_a_trajectory_are_moved_and_learned_from():
    mesh = DOMAINS["square"]()
    frames = [mesh.with_point_data(u=torch.tanh(9 * (mesh.points[:, 0] - c))) for c in (0.3, 0.5, 0.7)]
    trajectory = ml.Trajectory.from_meshes(frames, times=range(3))
    model = fitted(trajectory)
    for result, frame in zip(model.move(trajectory), model.move(frames), strict=True):
        torch.testing.assert_close(result.mesh.points, frame.mesh.points)
    assert len(model.move(trajectory)) == 3


def test_a_result_is_that_of_a_classical_mover_with_the_same_measures(plane_mover):
    mesh = with_field(DOMAINS["square"]().double(), 6)
    result = plane_mover.move(mesh)
    monitor = HessianMonitor(mesh, "u", amplitude=5.0, smoothing=0.02)
    classical = ml.MongeAmpereMover("newton", strict=False, max_iterations=3).move(mesh, monitor)
    assert isinstance(result, MoveResult)
    torch.testing.assert_close(result.monitor_before, classical.monitor_before, atol=1e-9, rtol=0)
    assert result.before.cv == pytest.approx(classical.before.cv)
    assert result.residual_history[0] == pytest.approx(classical.residual_history[0])
    assert result.quality_before == pytest.approx(classical.quality_before)
    expected = monitor(result.mesh.points)
    torch.testing.assert_close(result.monitor, expected, atol=1e-9, rtol=0)
    assert "LearnedMoveResult(cv" in repr(result)
    carried = ml.models.movers.transfer(mesh, result.mesh, "u")
    assert carried.n_points == mesh.n_points


def test_save_load_and_predict(plane_mover, tmp_path):
    mesh = with_field(DOMAINS["l_shape"](), 7)
    plane_mover.save(tmp_path / "model")
    again = ml.load(tmp_path / "model")
    a, b = plane_mover.move(mesh), again.move(mesh)
    assert torch.equal(a.mesh.points, b.mesh.points)
    potential = again.predict(mesh).point_data["monge_ampere_potential"]
    torch.testing.assert_close(potential.double(), a.potential, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("loss", ["residual", "equidistribution", "supervised"])
def test_every_loss_falls(loss):
    meshes = [with_field(ml.shapes.square(n=6), seed) for seed in range(2)]
    model = fitted(meshes, epochs=15, loss=loss, hidden=16)
    first, last = model.history_[0]["train_loss"], model.history_[-1]["train_loss"]
    assert last < 0.6 * first
    result = model.move(meshes[0])
    assert result.equidistribution.cv < 0.6 * result.before.cv


def test_one_and_three_dimensions():
    for name in ("interval", "box"):
        meshes = [with_field(DOMAINS[name](), seed) for seed in range(2)]
        result = fitted(meshes, epochs=6).move(meshes[0])
        assert result.residual_history[1] < 0.8 * result.residual_history[0]
        assert result.n_inverted == 0


def test_repeated_fits_are_equal_bit_for_bit():
    meshes = [with_field(ml.shapes.square(n=5), seed) for seed in range(3)]
    a, b = (fitted(meshes, epochs=2) for _ in range(2))
    assert torch.equal(a.move(meshes[1]).mesh.points, b.move(meshes[1]).mesh.points)


def test_wrong_fields_and_meshes_are_told(plane_mover):
    mesh = with_field(DOMAINS["square"](), 0)
    u = mesh.point_data["u"]
    with pytest.raises(NotFittedError, match="call fit"):
        ml.DataFreeMeshMover().move(mesh)
    with pytest.raises(FieldError, match="no field 'u'"):
        plane_mover.move(mesh.without_data())
    with pytest.raises(FieldError, match=r"mesh 1.*no field 'u'"):
        plane_mover.move([mesh, mesh.without_data()])
    with pytest.raises(FieldError, match="NaN"):
        plane_mover.move(mesh.with_point_data(u=torch.where(u == u.max(), torch.nan, u)))
    with pytest.raises(MeshError, match="3-dimensional"):
        plane_mover.move(with_field(DOMAINS["box"](), 0))
    with pytest.raises(TopologyError, match="triangle"):
        plane_mover.move(with_field(ml.shapes.square(n=3, cells="quad"), 0))
    with pytest.raises(FieldError, match="no field 'v'"):
        ml.DataFreeMeshMover().fit([mesh], field="v", epochs=1)
    with pytest.raises(FieldError, match="no field 'v'"):
        ml.DataFreeMeshMover(loss="supervised").fit([mesh], field="v", epochs=1)
    with pytest.raises(FieldError, match="one number"):
        ml.DataFreeMeshMover().fit([mesh.with_point_data(u=mesh.points)], epochs=1, progress=False)
    with pytest.raises(FieldError, match="not positive"):
        ml.DataFreeMeshMover(monitor="field").fit([mesh.with_point_data(u=u - u.max())], epochs=1, progress=False)
    with pytest.raises(FieldError, match="not positive"):
        plane_mover.move(mesh, monitor=-torch.ones(mesh.n_points))
    with pytest.raises(ParameterError, match="one for each of the 2 meshes"):
        plane_mover.move([mesh, mesh], monitor=[torch.ones(mesh.n_points)])
    with pytest.raises(ParameterError, match="empty"):
        plane_mover.move([])
    with pytest.raises(ParameterError, match="did you mean 'epochs'"):
        ml.DataFreeMeshMover().fit([mesh], epoch=1)
    with pytest.raises(ConvergenceError, match="loss='residual'"):
        fitted([with_field(ml.shapes.l_shape(n=6), 1)], loss="supervised")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"loss": "ma"}, "loss='ma'"),
        ({"monitor": 3}, "monitor=3"),
        ({"boundary": "free"}, "boundary='free'"),
        ({"rounds": 0}, "rounds=0"),
        ({"hidden": 2.5}, "hidden=2.5"),
        ({"amplitude": -1.0}, "amplitude=-1.0"),
        ({"smoothing": "no"}, "smoothing='no'"),
        ({"min_area_fraction": 1.0}, "min_area_fraction=1.0"),
    ],
)
def test_wrong_arguments_are_told(options, match):
    with pytest.raises(ParameterError, match=match):
        ml.DataFreeMeshMover(**options).fit([with_field(DOMAINS["square"](), 0)], epochs=1)


def interpolation_error(mesh: ml.Mesh, u) -> float:
    """L2 error of the P1 interpolant of a function."""
    space = ml.fem.FESpace(mesh, "P1")
    nodal = space.function(u(mesh.points.T))
    return float(space.assemble(lambda x: (x.u - u(x)) ** 2, u=nodal, order=6).sqrt())


@pytest.mark.slow
def test_a_trained_mover_lowers_the_error_of_unseen_fields_as_the_classical_one_does():
    def bumps(seed):
        generator = torch.Generator().manual_seed(seed)
        centres = torch.rand(3, 2, generator=generator).double()
        widths = 0.07 + 0.1 * torch.rand(3, generator=generator).double()
        heights = torch.randn(3, generator=generator).double()

        def u(x):
            parts = zip(centres, widths, heights, strict=True)
            return sum(a * torch.exp(-((x[0] - c[0]) ** 2 + (x[1] - c[1]) ** 2) / (2 * w**2)) for c, w, a in parts)

        return u

    mesh = ml.shapes.square(n=12).double()
    train = [mesh.with_point_data(u=bumps(seed)(mesh.points.T)) for seed in range(24)]
    model = ml.DataFreeMeshMover(rounds=2, hidden=24).fit(train, epochs=30, progress=False)
    functions = [bumps(seed) for seed in range(100, 108)]
    test = [mesh.with_point_data(u=u(mesh.points.T)) for u in functions]
    results = model.move(test)
    assert sum(result.raw_inverted for result in results) == 0
    before, learned, classical = [], [], []
    for start, result, u in zip(test, results, functions, strict=True):
        monitor = HessianMonitor(start, "u", amplitude=5.0, smoothing=0.02)
        before.append(interpolation_error(start, u))
        learned.append(interpolation_error(result.mesh, u))
        classical.append(interpolation_error(ml.MongeAmpereMover().move(start, monitor).mesh, u))
    reductions = [1 - sum(errors) / sum(before) for errors in (learned, classical)]
    assert reductions[1] > 0.2
    assert reductions[0] > 0.9 * reductions[1]


def test_gradients_that_are_asked_for_are_not_lost_without_a_word(plane_mover):
    mesh = with_field(ml.shapes.square(n=4), 0)
    asked = mesh.with_point_data(u=mesh.point_data["u"].clone().requires_grad_())
    with pytest.raises(ParameterError, match="point field 'u' requires a gradient, which does not pass"):
        plane_mover.move(asked)
    height = torch.tensor(2.0, requires_grad=True)
    with pytest.raises(ParameterError, match="monitor requires a gradient, which does not pass"):
        plane_mover.move(mesh, monitor=lambda x: 1 + height * x[:, 0])


def test_what_is_missing_is_told_in_the_words_of_the_user():
    with pytest.raises(FieldError, match="mesh 0 has no field 'w'") as caught:
        ml.DataFreeMeshMover(field="w").fit([with_field(ml.shapes.square(n=3), 0)], epochs=1, progress=False)
    assert "monge_ampere" not in str(caught.value)
