"""Meshes without points and fields without components: said, never written as a file that cannot be read."""

import pytest
import torch

import meshlearn as ml
from meshlearn.io import registry

WRITABLE = sorted({f.suffixes[0] for f in registry.supported_formats() if f.writes})


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_mesh_without_points(tmp_path, suffix):
    mesh = ml.Mesh(torch.zeros(0, 3, dtype=torch.float64), {"triangle": torch.zeros(0, 3, dtype=torch.int64)})
    path = tmp_path / f"empty{suffix}"
    if suffix == ".mesh.safetensors":
        assert ml.read(ml.write(mesh, path)).n_points == 0
    else:
        with pytest.raises(ml.MeshWriteError, match="no points"):
            ml.write(mesh, path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", sorted(set(WRITABLE) - {".stl", ".csv"}))
def test_fields_without_components(tmp_path, suffix):
    mesh = ml.Mesh(
        torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=torch.float64),
        {"triangle": [[0, 1, 2]]},
        point_data={"u": torch.zeros(3, 0, dtype=torch.float64)},
        cell_data={"k": {"triangle": torch.zeros(1, 0, dtype=torch.float64)}},
    )
    path = tmp_path / f"fields{suffix}"
    if suffix in (".mesh.safetensors", ".msh", ".vtk", ".npz", ".xdmf"):
        back = ml.read(ml.write(mesh, path))
        assert back.point_data["u"].shape == (3, 0)
        assert back.cell_data["k"]["triangle"].shape == (1, 0)
    else:
        with pytest.warns(ml.MeshWriteWarning, match=r"'u' \(no components\).*'k' \(no components\)"):
            ml.write(mesh, path)
        assert ml.read(path).n_cells == 1


def test_a_series_of_a_field_without_components(tmp_path):
    mesh = ml.shapes.square(n=2).replace(cell_sets={})
    series = ml.Trajectory(
        mesh, [0.0, 1.0], point_data={"u": torch.zeros(2, mesh.n_points, 0), "v": torch.ones(2, mesh.n_points)}
    )
    with pytest.warns(ml.MeshWriteWarning, match="'u' .no components"):
        ml.write(series, tmp_path / "series.pvd")
    assert list(ml.read(tmp_path / "series.pvd").point_data) == ["v"]


def test_points_alone_are_no_stl(tmp_path):
    with pytest.raises(ml.MeshWriteError, match="triangles"):
        ml.write(ml.Mesh(torch.rand(3, 3)), tmp_path / "cloud.stl")
