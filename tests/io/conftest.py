"""Small meshes for the tests of files."""

import pytest
import torch

import meshlearn as ml


@pytest.fixture
def mixed() -> ml.Mesh:
    """A small plane mesh of triangles, quads and tagged lines."""
    points = [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1.5]]
    return ml.Mesh(
        torch.tensor(points, dtype=torch.float64),
        {"triangle": [[0, 1, 4], [0, 4, 3]], "quad": [[1, 2, 5, 4]], "line": [[0, 1], [1, 2], [0, 3]]},
        point_data={"u": torch.arange(6.0), "v": torch.randn(6, 2, dtype=torch.float64)},
        cell_data={"k": {"triangle": torch.tensor([1.0, 2.0]), "quad": torch.tensor([3.0]), "line": torch.zeros(3)}},
        global_data={"load": torch.tensor(2.5)},
        point_sets={"corner": torch.tensor([0, 5])},
        cell_sets={"bottom": {"line": torch.tensor([0, 1])}, "left": {"line": torch.tensor([2])}},
    )


@pytest.fixture
def solid() -> ml.Mesh:
    """One cell of each linear solid, apart from each other, and a tagged face."""
    cube = torch.tensor(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    ).double()
    points = torch.cat([cube + torch.tensor([3.0 * k, 0, 0]) for k in range(4)])
    cells = {
        "tetra": [[0, 1, 3, 4]],
        "pyramid": [[8, 9, 10, 11, 12]],
        "wedge": [[16, 17, 19, 20, 21, 23]],
        "hexahedron": [[24, 25, 26, 27, 28, 29, 30, 31]],
        "triangle": [[0, 3, 1]],
    }
    return ml.Mesh(points, cells, cell_sets={"base": {"triangle": torch.tensor([0])}})
