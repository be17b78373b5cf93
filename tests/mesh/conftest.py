"""Meshes shared by the tests of this room."""

import pytest
import torch

import meshlearn as ml


@pytest.fixture
def mixed() -> ml.Mesh:
    """A quad, two triangles and a tagged boundary line, with data of every sort."""
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [2.0, 0.0], [2.0, 1.0]])
    mesh = ml.Mesh(
        points,
        {"quad": [[0, 1, 2, 3]], "triangle": [[1, 4, 5], [1, 5, 2]], "line": [[0, 1]]},
        point_data={"u": torch.arange(6), "v": torch.ones(6, 2, dtype=torch.float64)},
        global_data={"load": 1.5, "name_id": 3},
        point_sets={"corner": [0]},
        cell_sets={"bottom": {"line": [0]}},
        source="mixed.vtu",
    )
    return mesh.with_cell_data(k=torch.arange(3.0))
