"""Files of a plane mesh with z = 0 are plane meshes, whatever the format says of its space."""

import numpy as np
import pytest
import torch

import meshlearn as ml

FLAT = ml.Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64), {"triangle": [[0, 1, 2]]})


@pytest.mark.parametrize("suffix", [".cgns", ".su2", ".mesh", ".exo", ".stl", ".off", ".inp", ".bdf", ".xdmf"])
def test_written_with_zeros(tmp_path, suffix):
    path = ml.write(FLAT, tmp_path / f"flat{suffix}")
    mesh = ml.read(path)
    assert mesh.dim == 2
    assert any("plane mesh" in line for line in mesh.report)
    assert ml.read(path, dim=3).dim == 3


def test_med_of_another_program(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = ml.write(FLAT, tmp_path / "flat.med")
    assert ml.read(path).dim == 3  # our own files come back as they were
    with h5py.File(path, "a") as file:
        file["ENS_MAA/mesh"].attrs["DES"] = np.bytes_(b"made elsewhere")
    assert ml.read(path).dim == 2


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh", ".npz", ".mesh.safetensors"])
def test_files_that_hold_everything_keep_the_space(tmp_path, suffix):
    assert ml.read(ml.write(FLAT, tmp_path / f"flat{suffix}")).dim == 3


def test_a_curved_surface_stays_in_space(tmp_path):
    bent = FLAT.replace(points=FLAT.points + torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 1]]))
    for suffix in (".cgns", ".su2", ".mesh", ".exo", ".med"):
        assert ml.read(ml.write(bent, tmp_path / f"bent{suffix}")).dim == 3


@pytest.mark.parametrize("suffix", [".inp", ".avs", ".bdf", ".obj", ".off", ".ply", ".frd"])
def test_a_dimension_that_does_not_come_back_is_told_with_how_to_restore_it(tmp_path, suffix):
    chain = ml.Mesh([[0.0], [1.0], [2.0]], {"line": [[0, 1], [1, 2]]})
    for mesh in (chain, ml.Mesh(chain.points), ml.Mesh([[0.0, 1.0], [1.0, 0.5]])):
        path = tmp_path / f"a{suffix}"
        if suffix == ".off" and mesh is chain:
            continue  # holds no lines
        with pytest.warns(ml.MeshWriteWarning, match=f"the dimension {mesh.dim}"):
            ml.write(mesh, path)
        assert ml.read(path).dim > mesh.dim
        back = ml.read(path, dim=mesh.dim)
        assert torch.equal(back.points.float(), mesh.points)


def test_a_plane_mesh_comes_back_plane_without_a_word(tmp_path):
    for suffix in (".inp", ".obj", ".off", ".ply"):
        square = ml.shapes.square(n=2)
        path = ml.write(ml.Mesh(square.points, {"triangle": square.cells["triangle"]}), tmp_path / f"a{suffix}")
        assert ml.read(path).dim == 2
