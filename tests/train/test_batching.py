"""Batches: every sample once, within the budget, the same whatever the number of processes."""

from hypothesis import given
from hypothesis import strategies as st

from meshlearn.train.batching import Budget, default_budget, epoch_steps, mix, pack

costs = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 300)), min_size=1, max_size=40)


@given(costs, st.integers(1, 100), st.integers(1, 500))
def test_packing_keeps_the_order_and_the_budget(costs, points, edges):
    budget = Budget(points, edges)
    batches = pack(range(len(costs)), costs, budget)
    assert [i for batch in batches for i in batch] == list(range(len(costs)))
    for batch in batches:
        total = tuple(map(sum, zip(*(costs[i] for i in batch), strict=True)))
        assert len(batch) == 1 or budget.fits(total)


@given(costs, st.integers(1, 3), st.integers(1, 4), st.integers(0, 5))
def test_processes_share_what_one_process_accumulates(costs, accumulate, processes, epoch):
    budget = Budget(60, 400)
    many = epoch_steps(costs, budget, accumulate, processes, seed=0, epoch=epoch)
    one = epoch_steps(costs, budget, accumulate * processes, 1, seed=0, epoch=epoch)
    assert len(many) == len(one)
    for a, b in zip(many, one, strict=True):
        dealt = sorted(tuple(batch) for rank in a.batches for batch in rank if batch is not None)
        assert dealt == sorted(tuple(batch) for batch in b.batches[0])
        assert a.n_meshes == b.n_meshes
        assert len({len(rank) for rank in a.batches}) == 1
    seen = sorted(i for step in one for batch in step.batches[0] for i in batch)
    assert seen == list(range(len(costs)))


def test_epochs_and_seeds_have_orders_of_their_own():
    costs = [(10, 10)] * 20
    orders = {str(epoch_steps(costs, Budget(30, 30), 1, 1, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_default_budget():
    assert default_budget([(100, 600)] * 4, None, None, "cpu").points == 100  # few meshes: one per batch
    assert default_budget([(100, 600)] * 320, None, None, "cpu").points == 2000  # 16 steps per epoch
    assert default_budget([(10**6, 6 * 10**6)] * 3, None, None, "cpu").points == 65_536  # memory first
    assert default_budget([(100, 600)] * 4, 7, 8, "cpu") == Budget(7, 8)


def test_mix_spreads():
    assert len({mix(a, b) for a in range(30) for b in range(30)}) == 900
