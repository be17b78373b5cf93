"""Exodus: element blocks, side sets, and what float64 variables cannot hold."""

import numpy as np
import pytest
import torch
from io_meshes import assert_same

import meshlearn as ml

netcdf_file = pytest.importorskip("scipy.io").netcdf_file
POINTS = torch.tensor([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [0, 2], [1, 2]], dtype=torch.float64)


def domains(**sets):
    cells = {
        "triangle": [[0, 1, 4], [0, 4, 3], [3, 4, 7], [3, 7, 6]],
        "quad": [[1, 2, 5, 4]],
        "line": [[0, 1], [1, 2], [2, 5], [0, 3]],
    }
    mesh = ml.Mesh(POINTS, cells, cell_sets=sets)
    return mesh.with_cell_data(k=torch.arange(5.0).double())


def test_disjoint_cell_sets_come_back(tmp_path):
    """One set runs over two kinds, one is not a run of rows, one covers a kind of boundary cells."""
    rows = torch.tensor
    mesh = domains(
        steel={"triangle": rows([0, 2]), "quad": rows([0])}, rubber={"triangle": rows([1])}, wall={"line": rows([1, 3])}
    )
    path = ml.write(mesh, tmp_path / "a.exo")
    read = ml.read(path)
    assert {kind: table.tolist() for kind, table in read.cells.items()} == {
        kind: table.tolist() for kind, table in mesh.cells.items()
    }
    for name, by_kind in mesh.cell_sets.items():
        assert {k: v.tolist() for k, v in read.cell_sets[name].items()} == {k: v.tolist() for k, v in by_kind.items()}
    for kind, values in mesh.cell_data["k"].items():
        assert torch.equal(read.cell_data["k"][kind], values)
    again = ml.read(ml.write(read, tmp_path / "b.exo"))
    assert_same(read.replace(report=(), source=None), again.replace(report=(), source=None))


def test_overlapping_sets_are_named(tmp_path):
    mesh = domains(all={"triangle": torch.arange(4)}, some={"triangle": torch.tensor([1])})
    with pytest.warns(
        ml.MeshWriteWarning, match=r"not written: cell set 'some' \(Exodus has disjoint element blocks\)$"
    ):
        path = ml.write(mesh, tmp_path / "a.exo")
    assert ml.read(path).cell_sets["all"]["triangle"].tolist() == [0, 1, 2, 3]


def interleaved(path):
    """Blocks of triangles, quads, triangles; the side set holds sides of the quad and of the last triangle."""
    nc = netcdf_file(str(path), "w", version=2)
    for name, size in (("num_dim", 2), ("num_nodes", 8), ("num_elem", 3), ("num_el_blk", 3), ("num_side_sets", 1),
                       ("num_side_ss1", 2)):  # fmt: skip
        nc.createDimension(name, size)
    for k, axis in enumerate("xy"):
        nc.createVariable(f"coord{axis}", "d", ("num_nodes",))[:] = POINTS[:, k].numpy()
    for k, (kind, row) in enumerate((("TRI3", [1, 2, 5]), ("QUAD4", [2, 3, 6, 5]), ("TRI3", [4, 5, 8])), start=1):
        nc.createDimension(f"num_el_in_blk{k}", 1)
        nc.createDimension(f"num_nod_per_el{k}", len(row))
        variable = nc.createVariable(f"connect{k}", "i", (f"num_el_in_blk{k}", f"num_nod_per_el{k}"))
        variable[:] = np.array([row])
        variable.elem_type = kind.encode()
    nc.createVariable("elem_ss1", "i", ("num_side_ss1",))[:] = np.array([2, 3])
    nc.createVariable("side_ss1", "i", ("num_side_ss1",))[:] = np.array([1, 2])
    nc.close()


def test_side_sets_survive_blocks_that_alternate(tmp_path):
    interleaved(tmp_path / "a.e")
    read = ml.read(tmp_path / "a.e")
    assert read.cells["triangle"].tolist() == [[0, 1, 4], [3, 4, 7]]
    assert read.global_data["side_set:side_set_1"].tolist() == [[2, 0], [1, 1]]  # the triangles are 0 and 1
    assert read.point_sets["side_set_1"].tolist() == [1, 2, 4, 7]
    again = ml.read(ml.write(read, tmp_path / "b.e"))
    assert_same(read.replace(report=(), source=None), again.replace(report=(), source=None))


def test_what_float64_cannot_hold_is_named(tmp_path):
    mesh = ml.Mesh(POINTS, {}, {"id": torch.arange(8) + 2**60, "t": torch.zeros(8, 3, 3).double()})
    mesh = mesh.with_global_data(n=torch.tensor(3))
    said = (
        r"the shape \(3, 3\) of point data 't'(.|\n)*type int64 of point data 'id'(.|\n)*type int64 of global data 'n'"
    )
    with pytest.warns(ml.MeshWriteWarning, match=r"digits of point data 'id'(.|\n)*" + said):
        ml.write(mesh, tmp_path / "a.e")


def test_long_names_are_cut_at_a_character_and_named(tmp_path):
    name = "é" * 40
    with pytest.warns(ml.MeshWriteWarning, match="beyond 64 bytes"):
        path = ml.write(ml.Mesh(POINTS, {}, {name: torch.zeros(8).double()}), tmp_path / "a.e")
    assert list(ml.read(path).point_data) == ["é" * 32]


def test_writing_does_not_touch_the_filters_of_warnings(tmp_path, monkeypatch):
    import warnings

    def forbidden(*args, **options):
        raise AssertionError("warning filters belong to the process, not to a thread")

    with monkeypatch.context() as patch:
        patch.setattr(warnings, "catch_warnings", forbidden)
        ml.write(domains(), tmp_path / "a.e")


def test_a_field_named_like_a_component_of_another_is_named(tmp_path):
    mesh = ml.Mesh(POINTS, {}, {"u": torch.zeros(8, 2).double(), "u_x": torch.ones(8).double()})
    with pytest.warns(ml.MeshWriteWarning, match=r"point data 'u_x' \(the variable 'u_x' is another field's\)"):
        path = ml.write(mesh, tmp_path / "a.e")
    assert torch.equal(ml.read(path).point_data["u"], mesh.point_data["u"])


def test_scalars_that_read_as_a_vector_are_named(tmp_path):
    mesh = ml.Mesh(POINTS, {}, {"s_x": torch.zeros(8).double(), "s_y": torch.ones(8).double()})
    with pytest.warns(ml.MeshWriteWarning, match=r"'s_x', 's_y' as scalars \(they are read as the vector 's'\)"):
        ml.write(mesh, tmp_path / "a.e")
