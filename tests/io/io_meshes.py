"""Meshes that carry everything a file could be asked to hold."""

import csv
from pathlib import Path

import torch

import meshlearn as ml


def load_manifest(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv") as file:
        return list(csv.DictReader(file))


def decorated(mesh: ml.Mesh) -> ml.Mesh:
    """The mesh with fields of all shapes and types, and with tags."""
    n, kinds = mesh.n_points, list(mesh.cells)
    rows = torch.arange(n)
    return mesh.replace(
        point_data={
            "u": torch.randn(n, dtype=torch.float64),
            "two words": torch.randn(n, 2),
            't/<3&"': torch.randn(n, 3, 3, dtype=torch.float64),
            "flag": rows % 2 == 0,
            "small": (rows % 100).to(torch.int8),
            "large": rows + 2**60,
            "one": torch.randn(n, 1),
            "half": torch.randn(n).half(),
            "brain": torch.randn(n).bfloat16(),
            "complex": torch.randn(n, dtype=torch.complex64),
            "wide": torch.randn(n, 12),
            "hole": torch.where(rows == 0, torch.nan, 1.0),
        },
        cell_data={
            "p": {kind: torch.randn(len(table)) for kind, table in mesh.cells.items()},
            "part": {kinds[0]: torch.arange(len(mesh.cells[kinds[0]]))} if kinds else {},
            "unlike": {kind: torch.randn(len(table), k + 1) for k, (kind, table) in enumerate(mesh.cells.items())},
        },
        global_data={
            "load": torch.tensor(1.1),
            "list": torch.tensor([3]),
            "matrix": torch.randn(2, 2),
            "true": torch.tensor(True),
            "meshlearn": torch.tensor(4.0, dtype=torch.float64),
            "nan": torch.tensor(torch.nan),
            "empty": torch.zeros(0, 3),
        },
        point_sets={"a b": torch.tensor([2, 1, 0])[:n], "none": torch.zeros(0, dtype=torch.int64)},
        cell_sets={
            "some": {kind: torch.arange(len(table)).flip(0)[:5] for kind, table in mesh.cells.items()},
            "é": {kinds[0]: torch.zeros(0, dtype=torch.int64)} if kinds else {},
        },
    )


def assert_same(first: ml.Mesh, second: ml.Mesh) -> None:
    """Bit for bit, the order of the kinds of cells included."""
    from meshlearn.mesh.compare import difference

    assert difference(first, second) is None
    assert list(first.cells) == list(second.cells)
