"""Dof numbers know that they are dof numbers, through all that picks some of them, and nothing else does."""

import copy
import pickle

import numpy as np
import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import Dofs, FESpace


def test_what_picks_dofs_gives_dofs():
    dofs = Dofs([3, 1, 2])
    picks = [
        dofs[1:],
        dofs[dofs > 1],
        dofs.sort().values,
        torch.unique(torch.cat([dofs, dofs])),
        dofs.flip(0),
        dofs.clone(),
        dofs.to("cpu"),
        copy.deepcopy(dofs),
        pickle.loads(pickle.dumps(dofs)),
        FESpace(plain("triangle"), "P2").dofs("left")[:2],
    ]
    assert all(type(one) is Dofs for one in picks)
    assert torch.cat([dofs, dofs]).tolist() == [3, 1, 2, 3, 1, 2]


def test_what_is_computed_with_dofs_is_plain():
    dofs, values = Dofs([3, 1, 2]), torch.rand(5)
    made = [
        values[dofs],
        dofs + 1,
        dofs == 1,
        torch.isin(torch.arange(5), dofs),
        torch.cat([dofs, torch.arange(2)]),
        dofs[0],
    ]
    assert all(type(one) is torch.Tensor for one in made)
    assert torch.equal(values[dofs], values[[3, 1, 2]])


def test_masks_lists_and_arrays_are_dofs():
    wanted = Dofs([0, 3])
    for given in ([0, 3], (0, 3), np.array([0, 3]), torch.tensor([True, False, False, True]), wanted):
        assert torch.equal(Dofs(given), wanted)
    assert Dofs(range(20)).__repr__() == "Dofs(20 numbers)"
    for bad in ([0.5], torch.rand(3), 3, "left", torch.zeros(2, 2, dtype=torch.int64), None):
        with pytest.raises(ml.ParameterError, match="list of numbers"):
            Dofs(bad)
