"""Files that are not read get a line that says how to get a mesh from them."""

import pytest

import meshlearn as ml


def _followed(path):
    """The mesh that the line in the error message gives."""
    pyvista = pytest.importorskip("pyvista")
    with pytest.raises(ml.MeshReadError) as caught:
        ml.read(path)
    text = str(caught.value)
    assert "starts with" not in text  # no dump of bytes
    line = text.split("ml.Mesh.from_pyvista(")[1]
    assert line.startswith(f"pyvista.read({str(path)!r})")
    data = pyvista.read(path)
    return ml.Mesh.from_pyvista(data.combine() if ".combine()" in line else data)


@pytest.mark.parametrize("suffix", [".vti", ".vtr", ".vts", ".vtm", ".vtkhdf"])
def test_other_files_of_vtk(tmp_path, suffix):
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.ImageData(dimensions=(3, 3, 3))
    data = {
        ".vti": lambda: grid,
        ".vtr": lambda: pyvista.RectilinearGrid([0.0, 1, 2], [0.0, 1, 3], [0.0, 2, 3]),
        ".vts": grid.cast_to_structured_grid,
        ".vtm": lambda: pyvista.MultiBlock([grid]),
        ".vtkhdf": grid.cast_to_unstructured_grid,
    }[suffix]()
    data.save(tmp_path / f"a{suffix}")
    assert _followed(tmp_path / f"a{suffix}").n_cells == 8
    if suffix == ".vti":
        (tmp_path / "a.vti").rename(tmp_path / "a.vtu")
        with pytest.raises(ml.MeshReadError, match="this is a VTK image"):
            ml.read(tmp_path / "a.vtu")


@pytest.mark.parametrize(("name", "advice"), [("part.unv", "Gmsh or Salome"), ("PART.STEP", "mesh it first")])
def test_other_programs(tmp_path, name, advice):
    (tmp_path / name).write_text("    -1\n  2411\n")
    with pytest.raises(ml.MeshReadError, match=rf"{name}: this is (.|\n)*{advice}") as caught:
        ml.read(tmp_path / name)
    assert "starts with" not in str(caught.value)
