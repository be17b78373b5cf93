"""Points without cells are left out, everything else stays where it was."""

import pytest
import torch

import meshlearn as ml


def test_cells_fields_and_sets_follow_their_points():
    square = ml.shapes.square(n=3, dtype=torch.float64)
    extra = torch.full((2, 2), 7.0, dtype=torch.float64)
    shifted = {kind: nodes + 2 for kind, nodes in square.cells.items()}
    shifted["line"] = torch.cat([torch.tensor([[0, 1]]), shifted["line"]])
    sets = {name: {kind: rows + 1 for kind, rows in by.items()} for name, by in square.cell_sets.items()}
    sets["lost"] = {"line": torch.tensor([0])}
    mesh = ml.Mesh(
        torch.cat([extra, square.points]),
        shifted,
        point_data={"u": torch.arange(square.n_points + 2)},
        cell_data={"k": {"triangle": torch.arange(square.n_cells), "line": torch.arange(len(shifted["line"]))}},
        point_sets={"corner": torch.tensor([0, 2])},
        cell_sets=sets,
    )
    made = mesh.without_unused_points()
    assert torch.equal(made.points, square.points)
    assert all(torch.equal(made.cells[kind], nodes) for kind, nodes in square.cells.items())
    assert torch.equal(made.point_data["u"], torch.arange(2, square.n_points + 2))
    assert torch.equal(made.cell_data["k"]["line"], torch.arange(1, len(shifted["line"])))
    assert made.point_sets["corner"].tolist() == [0]
    assert len(made.cell_sets["lost"]["line"]) == 0
    for name, by in square.cell_sets.items():
        assert torch.equal(made.cell_sets[name]["line"], by["line"])


def test_nothing_to_do_gives_the_mesh_itself():
    mesh = ml.shapes.square(n=2)
    assert mesh.without_unused_points() is mesh


def test_a_cloud_of_points_is_refused():
    with pytest.raises(ml.TopologyError, match="unused points"):
        ml.Mesh(torch.rand(4, 3)).without_unused_points()
