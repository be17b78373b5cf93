"""Cell fields of the domain alone come back in files that give every cell a value."""

import pytest
import torch

import meshlearn as ml


@pytest.mark.parametrize("suffix", [".xdmf", ".avs", ".vtu", ".vtk", ".msh", ".exo", ".med", ".cgns"])
@pytest.mark.filterwarnings("ignore:.*cell set")
def test_fields_of_the_domain_beside_tagged_lines(tmp_path, suffix):
    mesh = ml.shapes.rectangle(n=(3, 2), cells="mixed").double()
    assert "line" in mesh.cells
    mesh = mesh.with_cell_data(k=torch.randn(mesh.n_cells).double(), v=torch.randn(mesh.n_cells, 2).double())
    read = ml.read(ml.write(mesh, tmp_path / f"a{suffix}"))
    for name, by_kind in mesh.cell_data.items():
        assert set(read.cell_data[name]) == set(by_kind)
        for kind, values in by_kind.items():
            assert torch.equal(read.cell_data[name][kind], values)


def test_whole_numbers_of_the_domain_in_xdmf(tmp_path):
    mesh = ml.shapes.square(n=2)
    mesh = mesh.with_cell_data(part=torch.arange(8))
    with_lines = mesh.with_cell_data(tag={"line": torch.arange(len(mesh.cells["line"]))})
    read = ml.read(ml.write(with_lines, tmp_path / "a.xdmf"))
    assert list(read.cell_data["part"]) == ["triangle"]
    assert read.cell_data["part"]["triangle"].tolist() == list(range(8))
    assert list(read.cell_data["tag"]) == ["line"]


def test_other_programs_see_nan_in_xdmf(tmp_path):
    meshio = pytest.importorskip("meshio")
    mesh = ml.shapes.square(n=2).double()
    mesh = mesh.replace(cell_sets={}).with_cell_data(k=torch.ones(8).double())  # meshio knows no sets in XDMF
    ml.write(mesh, tmp_path / "a.xdmf")
    seen = meshio.xdmf.read(tmp_path / "a.xdmf")
    for block, values in zip(seen.cells, seen.cell_data["k"], strict=True):
        assert (values == 1).all() if block.type == "triangle" else (values != values).all()


def test_trajectories_keep_fields_of_the_domain_in_xdmf(tmp_path):
    mesh = ml.shapes.square(n=2).double()
    film = ml.Trajectory(mesh, [0.0, 1.0], cell_data={"k": {"triangle": torch.randn(2, 8).double()}})
    read = ml.read(ml.write(film, tmp_path / "a.xdmf"))
    assert list(read.cell_data["k"]) == ["triangle"]
    assert torch.equal(read.cell_data["k"]["triangle"], film.cell_data["k"]["triangle"])
