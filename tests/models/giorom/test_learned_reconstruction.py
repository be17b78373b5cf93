"""Learned reconstruction: what holds whatever the networks say, what they learn, and what is kept."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.giorom import moving_least_squares
from meshlearn.models.giorom.carriers import LearnedCarrier, RestCarrier
from meshlearn.models.giorom.learned_reconstruction import LearnedReconstruction, fit


def wild(seed=0, kernel=1.0, residual=1.0):
    """Networks of random weights, in use."""
    torch.manual_seed(seed)
    learned = LearnedReconstruction()
    for network in (learned.kernel, learned.residual):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    learned.kernel_share, learned.residual_share = kernel, residual
    return learned


def scattered(dim, seed=0, n=60, m=150):
    draw = torch.Generator().manual_seed(seed)
    nodes = torch.rand(n, dim, generator=draw, dtype=torch.float64)
    return nodes, torch.rand(m, dim, generator=draw, dtype=torch.float64)


def turn(dim, seed):
    draw = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(dim, dim, generator=draw, dtype=torch.float64))[0]
    return q * torch.det(q).sign() if dim == 3 else torch.cat([q[:, :1] * torch.det(q), q[:, 1:]], 1)


def bent(x):
    """A motion that is far from affine."""
    shift = 0.3 * torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:2] + 1)
    return x + torch.cat([shift, 0.2 * x[:, :1] ** 2, 0.1 * shift][: x.shape[1]], 1)


@pytest.mark.parametrize("dim", [2, 3])
def test_affine_motions_are_exact_and_weights_sum_to_one_whatever_the_networks_are(dim):
    nodes, queries = scattered(dim)
    slope = turn(dim, 1) * 1.3 + 0.2
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        for seed in range(3):
            carrier = LearnedCarrier(nodes, queries, wild(seed), None, dtype)
            truth = queries @ slope + 0.3
            error = (carrier(nodes @ slope + 0.3) - truth).abs().max() / (truth - queries).abs().max()
            assert float(error) < tolerance
            sums = carrier.operator @ torch.ones(len(nodes), dtype=dtype)
            assert float((sums - 1).abs().max()) < tolerance
    plain = moving_least_squares(nodes, queries) @ bent(nodes)
    made = moving_least_squares(nodes, queries, kernel=wild().kernel) @ bent(nodes)
    assert float((made - plain).abs().max()) > 1e-3  # these weights are others


@pytest.mark.parametrize("dim", [2, 3])
def test_it_turns_with_the_scene_at_present_and_at_rest(dim):
    nodes, queries = scattered(dim)
    learned = wild(4)
    here = LearnedCarrier(nodes, queries, learned, None, torch.float64)(bent(nodes))
    now, rest = turn(dim, 2), turn(dim, 3)
    there = LearnedCarrier(nodes @ rest + 5, queries @ rest + 5, learned, None, torch.float64)(bent(nodes) @ now - 7)
    torch.testing.assert_close(there, here @ now - 7, rtol=0, atol=1e-10)
    plain = RestCarrier(nodes, queries, "least_squares", None, torch.float64)(bent(nodes))
    assert float((here - plain).abs().max()) > 1e-3


def test_motions_do_not_jump_where_neighbours_change_whatever_the_networks_are():
    nodes, _ = scattered(2)
    path = torch.linspace(0.1, 0.9, 20_001, dtype=torch.float64)
    queries = torch.stack([path, torch.full_like(path, 0.437)], 1)
    for seed in range(3):
        moved = LearnedCarrier(nodes, queries, wild(seed), None, torch.float64)(bent(nodes))
        steps = moved.diff(dim=0).norm(dim=1)
        assert float(steps.max()) < 5 * float(steps.median())


def test_a_point_in_the_place_of_a_node_moves_as_it_does():
    nodes, _ = scattered(2)
    moved = LearnedCarrier(nodes, nodes[:20], wild(), None, torch.float64)(bent(nodes))
    torch.testing.assert_close(moved, bent(nodes)[:20], rtol=0, atol=1e-12)


def test_untrained_networks_are_least_squares():
    nodes, queries = scattered(2)
    learned = LearnedReconstruction()
    learned.kernel_share = learned.residual_share = 1.0
    moved = LearnedCarrier(nodes, queries, learned, None, torch.float64)(bent(nodes))
    plain = RestCarrier(nodes, queries, "least_squares", None, torch.float64)(bent(nodes))
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-14)


def swinging(*strengths, frames=9):
    """Bodies that bend in one way, each with its own strength."""
    films = []
    for strength in strengths:
        mesh = ml.shapes.rectangle(1.0, 0.4, n=(16, 7))
        x, y = mesh.points.T
        times = torch.linspace(0, 1, frames)
        places = []
        for t in times.tolist():
            angle = strength * t * x
            places.append(torch.stack([x - y * angle.sin(), y * angle.cos() + 0.5 * t * x**2], 1))
        films.append(ml.Trajectory(mesh, times.double(), moving_points=torch.stack(places)))
    return films


FILMS = swinging(0.5, 0.8, 1.4, 1.1)


def learning(**options):
    settings = {"n_nodes": 14, "hidden": 8, "layers": 1, "grid": 0, "subsets": 2, "reconstruction": "learned"}
    return ml.GIOROM(**{**settings, **options})


@pytest.fixture(scope="module")
def model():
    return learning().fit(FILMS, max_steps=2, progress=False)


def test_points_follow_true_nodes_better_than_by_least_squares(model, tmp_path):
    learned = model.reconstruction_
    assert learned.residual_share == 1.0
    assert learned.scores["residual"] < 0.9 * learned.scores["least_squares"]
    (unseen,) = swinging(0.95)
    better = model.score(unseen)["reconstruction"]
    motion = model.rollout(unseen, 3, query=ml.refine(unseen.mesh))
    again = ml.load(model.save(tmp_path / "model"))
    assert repr(again.reconstruction_) == repr(learned)
    torch.testing.assert_close(
        again.rollout(unseen, 3, query=ml.refine(unseen.mesh)).moving_points, motion.moving_points, rtol=0, atol=0
    )
    again.reconstruction = "least_squares"
    assert better < 0.9 * again.score(unseen)["reconstruction"]


def test_the_same_seed_learns_the_same_and_others_store_nothing_of_it(monkeypatch):
    monkeypatch.setattr(fit, "STEPS", 10)
    tensors, meta = learning().fit(FILMS, max_steps=2, progress=False).get_state()
    again = learning().fit(FILMS, max_steps=2, progress=False).get_state()[0]
    assert all(torch.equal(again[name], value) for name, value in tensors.items())
    plain = learning(reconstruction="least_squares").fit(FILMS, max_steps=2, progress=False)
    others, plain_meta = plain.get_state()
    assert {name for name in tensors if not name.startswith("reconstruction.")} == set(others)
    assert set(meta) - set(plain_meta) == {"reconstruction"}
    plain.reconstruction = "learned"
    with pytest.raises(ml.ParameterError, match="has not learned it: fit it again"):
        plain.rollout(FILMS[0], 2)
    plain.fit(FILMS, max_steps=1, warm_start=True, progress=False)
    assert len(plain.rollout(FILMS[0], 2)) == 3


def test_what_does_not_help_is_not_used(monkeypatch):
    """Where every point is a node there is nothing to learn; and a training that goes wrong is told by its scores."""
    monkeypatch.setattr(fit, "STEPS", 3)
    every = learning(n_nodes="all").fit(FILMS[:2], max_steps=1, progress=False)
    assert (every.reconstruction_.kernel_share, every.reconstruction_.residual_share) == (0.0, 0.0)
    assert every.reconstruction_.scores == {}
    monkeypatch.setattr(fit, "RATE", 100.0)
    model = learning().fit(FILMS[:2], max_steps=1, progress=False)
    learned = model.reconstruction_
    assert learned.scores["kernel"] > learned.scores["least_squares"] < learned.scores["residual"]
    assert (learned.kernel_share, learned.residual_share) == (0.0, 0.0)
    for one in (every, model):
        motion = one.rollout(FILMS[0], 2, n_nodes=12).moving_points
        one.reconstruction = "least_squares"
        assert torch.equal(one.rollout(FILMS[0], 2, n_nodes=12).moving_points, motion)


def test_a_fit_that_was_cut_goes_on_with_the_same_reconstruction(monkeypatch, tmp_path):
    monkeypatch.setattr(fit, "STEPS", 5)
    settings = {"seed": 3, "progress": False, "schedule": "constant", "checkpoint": tmp_path / "cut"}
    first = learning().fit(FILMS[:2], epochs=1, **settings)
    cut = ml.load(tmp_path / "cut")
    assert repr(cut.reconstruction_) == repr(first.reconstruction_)
    resumed = learning().fit(FILMS[:2], epochs=2, resume=True, **settings)
    whole = learning().fit(FILMS[:2], epochs=2, **{**settings, "checkpoint": None})
    there = whole.get_state()[0]
    assert all(torch.equal(there[name], value) for name, value in resumed.get_state()[0].items())


def test_a_fit_with_a_time_budget_that_goes_on_keeps_its_reconstruction(monkeypatch, tmp_path):
    """How far it came within its time is not repeated; and its time is not spent twice."""
    monkeypatch.setattr(fit, "STEPS", 5)
    settings = {"epochs": 1, "progress": False, "checkpoint": tmp_path / "cut"}
    before = learning().fit(FILMS[:2], time_budget=100.0, **settings).get_state()[0]
    monkeypatch.setattr("meshlearn.models.giorom.model.learn_reconstruction", None)  # would fail if it were called
    resumed = learning().fit(FILMS[:2], time_budget=200.0, resume=True, **{**settings, "epochs": 2})
    after = resumed.get_state()[0]
    names = [name for name in after if name.startswith("reconstruction.")]
    assert names
    assert all(torch.equal(after[name], before[name]) for name in names)
    assert len(resumed.history_) == 2
    with pytest.raises(ml.CheckpointError, match="belongs to another fit; different: params"):
        learning(hidden=4).fit(FILMS[:2], resume=True, **settings)
    with pytest.raises(ml.CheckpointError, match="belongs to another fit; different: params"):
        learning(reconstruction="nearest").fit(FILMS[:2], resume=True, **settings)


def test_drawings_of_fewer_nodes_than_neighbors_are_learned_from(monkeypatch):
    monkeypatch.setattr(fit, "STEPS", 2)
    model = learning(neighbors=12, subsets=4).fit(FILMS[:2], max_steps=1, progress=False)
    assert min(model.reconstruction_.scores.values()) > 0
    assert len(model.rollout(FILMS[0], 1, n_nodes=8)) == 2


def test_a_tenth_of_the_time_is_for_it_and_the_progress_tells_of_it(monkeypatch, capsys):
    seen = []
    learn = fit.learn_reconstruction

    def timed(windows, films, seed, seconds, progress):
        seen.append(seconds)
        return learn(windows, films, seed, seconds, progress)

    monkeypatch.setattr("meshlearn.models.giorom.model.learn_reconstruction", timed)
    learning().fit(FILMS[:2], epochs=10**6, time_budget=1.0)
    assert seen == [0.1]
    assert "LearnedReconstruction(" in capsys.readouterr().err
    with pytest.raises(ml.ParameterError, match="time_budget"):
        learning().fit(FILMS[:2], time_budget=-1.0, progress=False)
    with pytest.raises(ml.ParameterError, match="with kind='fluid'"):
        learning(kind="fluid").fit(FILMS[:2], progress=False)
