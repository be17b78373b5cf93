import pytest
import torch

import meshlearn as ml


def decays(n, times=(0.0, 0.1, 0.3, 0.6, 1.0)):
    """u = exp(-rate t) u0 on an interval: one solution operator for all leads."""
    mesh, made = ml.shapes.interval(n=16), []
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        size = torch.rand(3, generator=generator) - 0.5
        waves = torch.stack([torch.sin((k + 1) * torch.pi * mesh.points[:, 0]) for k in range(3)])
        u = torch.stack([torch.exp(torch.tensor(-2.0 * t)) * (size[:, None] * waves).sum(0) for t in times])
        made.append(ml.Trajectory(mesh, list(times), {"u": u}))
    return made


def test_all_pairs_of_all_trajectories_are_there_once():
    data = decays(2)
    pairs = ml.LeadTimePairs(data)
    assert len(pairs) == 2 * 10
    seen = {(round(float(p.times[0]), 3), round(float(p.times[1]), 3)) for p in pairs[:10]}
    assert len(seen) == 10
    for pair in pairs:
        lead = float(pair.global_data["lead_time"][0])
        assert lead == pytest.approx(float(pair.times[1] - pair.times[0]))
    first = next(p for p in pairs if p.times.tolist() == [0.1, 1.0])
    assert torch.equal(first.point_data["u"], data[0].point_data["u"][[1, 4]])


def test_largest_and_number_choose_among_the_pairs():
    data = decays(3)
    assert len(ml.LeadTimePairs(data, largest=1)) == 3 * 4
    assert len(ml.LeadTimePairs(data, largest=99)) == 3 * 10
    drawn = ml.LeadTimePairs(data, number=4, seed=1)
    assert len(drawn) == 12
    again = ml.LeadTimePairs(data, number=4, seed=1)
    assert all(torch.equal(a.times, b.times) for a, b in zip(drawn, again, strict=True))


def test_lazy_trajectories_are_loaded_one_at_a_time():
    class Counting(list):
        loads = 0

        def __getitem__(self, index):
            Counting.loads += 1
            return super().__getitem__(index)

    pairs = ml.LeadTimePairs(Counting(decays(2)))
    Counting.loads = 0
    for pair in pairs:
        assert len(pair) == 2
    assert Counting.loads == 2


@pytest.mark.slow
def test_a_model_of_all_leads_predicts_leads_it_has_not_seen_and_rolls_out_at_them():
    data = decays(12)
    model = ml.MeshGraphNet(["u", "lead_time"], ["u"], hidden=16, steps=2, levels=1)
    model.fit(ml.LeadTimePairs(data[:10]), epochs=25, learning_rate=3e-3, progress=False)
    assert model.time_step_ == "lead_time"
    start = data[11][0]
    for lead in (0.45, 0.8):
        made = model.predict(start.with_global_data(lead_time=torch.tensor(lead))).point_data["u"]
        true = float(torch.exp(torch.tensor(-2.0 * lead))) * start.point_data["u"]
        assert float((made - true).norm() / true.norm()) < 0.15
    rolled = model.rollout(start.with_global_data(lead_time=torch.tensor(0.25)), steps=4)
    assert rolled.times.tolist() == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    true = data[11].point_data["u"][-1]
    assert float((rolled.point_data["u"][-1] - true).norm() / true.norm()) < 0.4


def test_cores_that_take_a_time_get_the_lead():
    class Timed(torch.nn.Module):
        takes_time = True

        def __init__(self, n_in, n_out, periodic):
            super().__init__()
            self.kernel, self.scale, self.seen = torch.nn.Conv1d(n_in, n_out, 1), torch.nn.Linear(1, n_out), []

        def forward(self, x, time=None):
            self.seen.append(time)
            return self.kernel(x) * self.scale(time[:, None])[:, :, None]

    model = ml.GridOperator(["u", "lead_time"], ["u"], core=Timed, shape=17, time="lead_time")
    model.fit(ml.LeadTimePairs(decays(2)), epochs=1, progress=False)
    model.module_.core.seen.clear()
    model.predict([decays(1)[0][0].with_global_data(lead_time=torch.tensor(t)) for t in (0.1, 0.9)])
    (seen,) = model.module_.core.seen
    assert seen.shape == (2,)
    assert seen[1] > seen[0]


@pytest.mark.parametrize(
    ("lead", "told"),
    [(-1.0, "lead_time=-1.0"), (0.0, "one positive"), ([1.0, 2.0], "lead_time=.1.0, 2.0"), (None, "with_global_data")],
)
def test_rollouts_need_one_positive_lead_and_name_it(lead, told):
    start = decays(1)[0][0]
    model = ml.RidgeRegression(["u", "lead_time"], ["u"]).fit(ml.LeadTimePairs(decays(2)))
    if lead is not None:
        start = start.with_global_data(lead_time=torch.tensor(lead))
    with pytest.raises(ml.FieldError, match=told):
        model.rollout(start, steps=2)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ml.LeadTimePairs([ml.shapes.square(n=1)]), "is a Mesh"),
        (lambda: ml.LeadTimePairs([decays(1)[0][:1]]), "1 frame"),
        (lambda: ml.LeadTimePairs(decays(1), largest=0), "largest=0"),
        (lambda: ml.LeadTimePairs(decays(1), number=1.5), "number=1.5"),
        (lambda: ml.LeadTimePairs(ml.LeadTimePairs(decays(1))), "choose another name"),
        (lambda: ml.LeadTimePairs(decays(1), name="u"), "field 'u' in its point_data"),
        (lambda: ml.LeadTimePairs(decays(1), seed="x"), "seed='x'"),
        (lambda: ml.LeadTimePairs([]), "empty"),
    ],
)
def test_wrong_pairs_are_told(make, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        make()
