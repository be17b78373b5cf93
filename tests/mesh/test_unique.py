"""Keys of rows and grouping, also where a row does not fit into 64 bits."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from meshlearn.mesh.unique import group, row_keys, sort_columns, sorted_unique


@given(st.integers(1, 6), st.integers(0, 40), st.integers(0, 10**6))
def test_sorting_network_equals_sort(k, n, seed):
    rows = torch.randint(0, 9, (n, k), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(sort_columns(rows), rows.sort(1).values)


@given(st.sampled_from([5, 10**6, 2**31, 2**40]), st.integers(0, 10**6))
def test_keys_are_equal_exactly_for_equal_rows(bound, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, 3, (30, 4), generator=generator) * (bound // 4)
    keys = row_keys(rows, bound)
    assert torch.equal(keys[:, None] == keys, (rows[:, None] == rows).all(2))


@given(st.integers(0, 50), st.integers(1, 20), st.integers(0, 10**6))
def test_groups_are_stable(n, bound, seed):
    keys = torch.randint(0, bound, (n,), generator=torch.Generator().manual_seed(seed))
    order, ptr = group(keys)
    assert torch.equal(order, keys.argsort(stable=True))
    assert torch.equal(keys[order][ptr[:-1]], sorted_unique(keys))
