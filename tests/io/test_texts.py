"""Names in files whose encoding is not stated."""

import pytest
import torch
from test_gmsh_groups import SQUARE

import meshlearn as ml


def test_names_in_latin_1_stay_apart(tmp_path):
    """With every unknown byte replaced by one character these two would become one."""
    path = tmp_path / "square.msh"
    path.write_bytes(
        SQUARE.replace('"edge"', '"Bögen"').replace('"left"', '"Grün"').replace('"all"', '"Gräser"').encode("latin-1")
    )
    mesh = ml.read(path)
    assert set(mesh.cell_sets) == {"Bögen", "Grün", "Gräser"}
    assert any("Latin-1" in line for line in mesh.report)


def test_names_in_utf_8_are_not_reported(tmp_path):
    path = tmp_path / "square.msh"
    path.write_text(SQUARE.replace('"edge"', '"Bögen"'), "utf-8")
    mesh = ml.read(path)
    assert "Bögen" in mesh.cell_sets
    assert not any("Latin-1" in line for line in mesh.report)


def test_cp1252_characters_do_not_break_lines(tmp_path):
    """0x85 is an ellipsis in Windows' code page and a line end for str.splitlines."""
    path = tmp_path / "square.msh"
    path.write_bytes(SQUARE.replace('"edge"', '"on \x85 on"').encode("latin-1"))
    assert "on \x85 on" in ml.read(path).cell_sets


@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshWriteWarning")
@pytest.mark.parametrize("suffix", [".vtk", ".obj", ".stl", ".inp", ".avs", ".su2", ".ply", ".csv"])
def test_names_in_latin_1_in_other_text_formats(tmp_path, suffix):
    mesh = ml.Mesh(torch.eye(3)[:, :2], {"triangle": [[0, 1, 2]], "line": [[0, 1]]})
    if suffix in (".obj", ".inp", ".su2"):
        mesh = mesh.replace(cell_sets={"name": {"line": torch.tensor([0])}})
    elif suffix != ".stl":
        mesh = mesh.with_point_data(name=torch.arange(3.0))
    path = tmp_path / f"a{suffix}"
    mesh = mesh.replace(cells={}) if suffix == ".csv" else mesh
    ml.write(mesh, path, **({"binary": False} if suffix in (".vtk", ".stl", ".ply") else {}))
    text = path.read_bytes()
    path.write_bytes(text.replace(b"solid", b"solid name").replace(b"name", b"Dr\xfcck"))
    read = ml.read(path)
    assert any("Drück" in name for part in (read.point_data, read.cell_sets) for name in part)
    assert any("Latin-1" in line for line in read.report)
