"""Meshes that are given twice count once, and what has the same inputs is left out together."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.copies import same_items, same_rows
from meshlearn.train.survey import FitWarning


def test_same_rows_are_found_up_to_rounding():
    g = torch.Generator().manual_seed(0)
    table = 1e3 + torch.randn(40, 7, generator=g, dtype=torch.float64)
    other = torch.arange(40, dtype=torch.float64)[:, None] % 2
    order = torch.randperm(80, generator=g)
    noise = 1e-8 * torch.randn(80, 7, generator=g, dtype=torch.float64)
    twice = (torch.cat([table, table]) + noise)[order]
    labels = same_rows([twice, torch.cat([other, other])[order]])
    assert len(labels.unique()) == 40
    assert bool((labels[order.argsort()][:40] == labels[order.argsort()][40:]).all())
    apart = torch.cat([other, 1 - other])[order]  # the same in one table only
    assert len(same_rows([twice, apart]).unique()) == 80
    assert len(same_rows([torch.full((5, 2), 0.3).double(), torch.zeros(5, 1).double()]).unique()) == 1
    items = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    assert same_items(torch.tensor([4, 5, 5, 4, 4, 5, 4]), items).tolist() == [0, 1, 0, 3]


def loaded(size, load, noise=0.0):
    mesh = ml.shapes.rectangle(size, 1.0, n=(5, 4)).double()
    u = (load + noise) * torch.sin(mesh.points[:, 0]) * torch.exp(-mesh.points[:, 1])
    return mesh.with_point_data(u=u).with_global_data(load=torch.tensor(load).double())


def draws(count, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (1 + torch.rand(count, 2, generator=g, dtype=torch.float64)).tolist()


def moved(mesh):
    """The same, numbered in another way and moved by rounding."""
    order = torch.randperm(mesh.n_points, generator=torch.Generator().manual_seed(3))
    cells = {kind: order.argsort()[table] for kind, table in mesh.cells.items()}
    fields = {"u": mesh.point_data["u"][order]}
    sets = dict(mesh.cell_sets)
    return ml.Mesh(mesh.points[order] + 1e-9, cells, fields, cell_sets=sets, global_data=dict(mesh.global_data))


def test_copies_count_once():
    meshes = [loaded(*draw) for draw in draws(12)]
    once = ml.MMGP(["load"], ["u"], restarts=1).fit(meshes)
    for copies in (meshes, [moved(mesh) for mesh in meshes]):
        with pytest.warns(FitWarning, match="12 of 24 training meshes or trajectories repeat others"):
            twice = ml.MMGP(["load"], ["u"], restarts=1).fit(meshes + copies)
        assert twice.cv_score_["u"] == pytest.approx(once.cv_score_["u"], rel=1e-9)
        here, there = (m.predict(loaded(1.5, 1.2), return_std=True).point_data for m in (once, twice))
        torch.testing.assert_close(here["u_std"], there["u_std"])
    with pytest.warns(FitWarning, match="repeat others"), pytest.raises(ml.ParameterError, match="there are 12"):
        ml.MMGP(["load"], ["u"], restarts=1, calibrate="conformal").fit(meshes + meshes)


def test_repeated_inputs_are_left_out_together():
    g = torch.Generator().manual_seed(1)
    meshes = []
    for size, load in draws(12):  # what is added to the load is not among the inputs, but the same for three meshes
        hidden = float(torch.randn((), generator=g))
        meshes += [loaded(size, load, hidden + 1e-3 * k) for k in range(3)]
    assert ml.MMGP(["load"], ["u"], restarts=1).fit(meshes).cv_score_["u"] > 0.1
