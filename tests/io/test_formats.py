"""Formats that the corpus lacks, conventions of the others, and what other programs make of our files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from io_meshes import assert_same, decorated

import meshlearn as ml

FILES = Path(__file__).parent / "files"


def plain(mesh):
    return mesh.replace(point_data={}, cell_data={}, global_data={})


@pytest.mark.parametrize("options", [{"encoding": "ascii"}, {"encoding": "base64"}, {"compression": "zlib"},
                                     {"compression": "lzma"},
                                     {"encoding": "base64", "compression": "zlib"}])  # fmt: skip
def test_all_encodings_of_vtu(tmp_path, mixed, options):
    mesh = decorated(mixed)
    ml.write(mesh, tmp_path / "a.vtu", **options)
    assert_same(mesh, ml.read(tmp_path / "a.vtu"))


@pytest.mark.parametrize("suffix", [".vtk", ".msh"])
def test_text_variants(tmp_path, mixed, suffix):
    mesh = decorated(mixed)
    ml.write(mesh, tmp_path / f"a{suffix}", binary=False)
    assert_same(mesh, ml.read(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize(
    "suffix", [".vtu", ".vtk", ".msh", ".xdmf", ".exo", ".med", ".cgns", ".mesh", ".inp", ".bdf", ".avs", ".npz"]
)
@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshWriteWarning")
def test_node_orders_survive(tmp_path, solid, suffix):
    """Volumes stay positive and cells stay the same through every format's own node order."""
    ml.write(solid, tmp_path / f"a{suffix}")
    back = ml.read(tmp_path / f"a{suffix}")
    for kind, table in solid.cells.items():
        assert torch.equal(back.cells[kind], table), (suffix, kind)
    assert all(float(v.min()) > 0 for v in back.cell_measures().values())


@pytest.mark.parametrize("suffix", [".npz", ".vtp", ".xdmf"])
def test_full_round_trips_of_other_formats(tmp_path, mixed, suffix):
    ml.write(mixed, tmp_path / f"a{suffix}")
    assert_same(mixed, ml.read(tmp_path / f"a{suffix}").replace(cells={k: mixed.cells[k] for k in mixed.cells}))


@pytest.mark.parametrize("suffix", [".med", ".cgns"])
def test_groups_of_med_and_cgns(tmp_path, mixed, suffix):
    with pytest.warns(ml.MeshWriteWarning):
        ml.write(mixed, tmp_path / f"a{suffix}")
    back = ml.read(tmp_path / f"a{suffix}")
    assert {n: {k: v.tolist() for k, v in by.items()} for n, by in back.cell_sets.items()} == {
        "bottom": {"line": [0, 1]},
        "left": {"line": [2]},
    }
    assert back.point_sets["corner"].tolist() == [0, 5]
    assert torch.equal(back.point_data["v"], mixed.point_data["v"])
    assert back.dim == 2


def test_su2_markers(tmp_path, mixed):
    with pytest.warns(ml.MeshWriteWarning, match="point data"):
        ml.write(mixed, tmp_path / "a.su2")
    back = ml.read(tmp_path / "a.su2")
    assert {n: by["line"].tolist() for n, by in back.cell_sets.items()} == {"bottom": [0, 1], "left": [2]}


def test_abaqus_sets_instances_and_types(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*Heading\n** a comment\n*Part, name=P\n*Node\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 1., 1., 0.\n4, 0., 1., 0.\n"
        "*Element, type=CPS4R, elset=Plate\n7, 1, 2,\n3, 4\n*Nset, nset=N, generate\n1, 3, 2\n*End Part\n"
        "*Assembly, name=A\n*Instance, name=I-1, part=P\n*End Instance\n*Instance, name=I-2, part=P\n5., 0., 0.\n"
        "*End Instance\n*Nset, nset=Load, instance=I-2\n2\n*Elset, elset=All, instance=I-1\n7\n*End Assembly\n"
        "*Material, name=Steel\n*Elastic\n1., 0.3\n"
    )
    mesh = ml.read(tmp_path / "a.inp")
    assert (mesh.n_points, mesh.cell_counts, mesh.dim) == (8, {"quad": 2}, 2)
    assert mesh.points[4].tolist() == [5.0, 0.0]
    assert mesh.point_sets["I-1:N"].tolist() == [0, 2]
    assert mesh.point_sets["Load"].tolist() == [5]
    assert mesh.cell_sets["All"]["quad"].tolist() == [0]
    assert any("*ELASTIC" in note for note in mesh.report)


def test_abaqus_sets_of_the_assembly_may_name_sets_of_parts(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*Part, name=P\n*Node\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 1., 1., 0.\n*Element, type=CPS3, elset=E\n7, 1, 2, 3\n"
        "*Nset, nset=A\n1, 3\n*End Part\n*Assembly, name=Whole\n*Instance, name=P-1, part=P\n*End Instance\n"
        "*Instance, name=P-2, part=P\n5., 0., 0.\n*End Instance\n"
        "*Nset, nset=TOP, instance=P-2\na\n*Nset, nset=OTHER\nP-1.A, p-2.2\n*Nset, nset=BOTH\nTOP, Other\n"
        "*Elset, elset=CELLS, instance=P-2\nE\n*Nset, nset=LOST, instance=P-2\nB\n*Nset, nset=GONE\nP-1.B\n"
        "*End Assembly\n"
    )
    with pytest.warns(ml.MeshReadWarning) as said:
        mesh = ml.read(tmp_path / "a.inp")
    assert mesh.point_sets["TOP"].tolist() == [3, 5]
    assert mesh.point_sets["OTHER"].tolist() == [0, 2, 4]
    assert mesh.point_sets["BOTH"].tolist() == [3, 5, 0, 2, 4]
    assert mesh.cell_sets["CELLS"]["triangle"].tolist() == [1]
    lost = " ".join(str(warning.message) for warning in said)
    assert "'B' in set 'LOST'" in lost
    assert "'P-1.B' in set 'GONE'" in lost


def test_abaqus_unknown_elements_are_named(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*NODE\n1, 0., 0.\n2, 1., 0.\n3, 0., 1.\n*ELEMENT, TYPE=CPS3\n1, 1, 2, 3\n*ELEMENT, TYPE=U12\n2, 1, 2\n"
    )
    with pytest.warns(ml.MeshReadWarning, match="U12"):
        assert ml.read(tmp_path / "a.inp").cell_counts == {"triangle": 1}


def test_calculix_results():
    """Computed by CalculiX 2.20: a bar of modulus 1000 and area 1 under four forces of 10 N, in two increments."""
    series = ml.read(FILES / "pull.frd")
    assert series.times.tolist() == [0.5, 1.0]
    assert {name: tuple(v.shape[1:]) for name, v in series.point_data.items()} == {
        "DISP": (8, 3),
        "STRESS": (8, 6),
        "ERROR": (8,),
    }
    stretch = series.point_data["DISP"][:, 4:, 2].mean(1)
    assert torch.allclose(stretch, torch.tensor([0.0194, 0.0377], dtype=torch.float64), atol=2e-4)
    assert torch.equal(series.mesh.cells["hexahedron"], ml.read(FILES / "pull.inp").cells["hexahedron"])
    assert any("SXX, SYY" in note for note in series.mesh.report)


def test_calculix_results_in_part(tmp_path):
    text = (FILES / "pull.frd").read_text()
    (tmp_path / "cut.frd").write_text(text[: len(text) // 2])
    with pytest.raises(ml.MeshReadError, match=r"cut\.frd: .*cut off"):
        ml.read(tmp_path / "cut.frd")


def test_medit_mfem_and_freefem_are_told_apart(tmp_path):
    (tmp_path / "a.mesh").write_text(
        "MFEM mesh v1.0\n\ndimension\n2\n\nelements\n2\n1 2 0 1 2\n5 2 0 2 3\n\nboundary\n1\n3 1 0 "
        "1\n\nvertices\n4\n2\n0 0\n1 0\n1 1\n0 1\n"
    )
    mesh = ml.read(tmp_path / "a.mesh")
    assert mesh.cell_counts == {"triangle": 2, "line": 1}
    assert set(mesh.cell_sets) == {"domain_1", "domain_5", "boundary_3"}
    (tmp_path / "b.msh").write_text("4 2 1\n0 0 1\n1 0 1\n1 1 2\n0 1 2\n1 2 3 0\n1 3 4 0\n1 2 9\n")
    mesh = ml.read(tmp_path / "b.msh")
    assert mesh.cell_counts == {"triangle": 2, "line": 1}
    assert mesh.cell_sets["label_9"]["line"].tolist() == [0]
    (tmp_path / "c.mesh").write_text("MFEM NURBS mesh v1.0\n\ndimension\n2\n")
    with pytest.raises(ml.MeshReadError, match="NURBS"):
        ml.read(tmp_path / "c.mesh")


def test_binary_medit_agrees_with_meshio(tmp_path, solid):
    only = ml.Mesh(solid.points, {"tetra": solid.cells["tetra"], "hexahedron": solid.cells["hexahedron"]})
    only.to_meshio().write(tmp_path / "a.meshb")
    assert_same(only, plain(ml.read(tmp_path / "a.meshb")).replace(cell_sets={}))


def test_nastran_fields_of_three_widths(tmp_path):
    small = f"{'GRID':<8}{2:>8}{'':>8}{'1.0':>8}{'0.0':>8}{'0.0':>8}\n"
    large = f"{'GRID*':<8}{3:>16}{'':>16}{'1.0-3':>16}{'1.0':>16}\n{'*':<8}{'0.0':>16}\n"
    cell = f"{'CTRIA3':<8}{9:>8}{4:>8}{1:>8}{2:>8}{3:>8}\n"
    text = "SOL 101\nCEND\nBEGIN BULK\nGRID,1,,0.,0.,0.\n" + small + large + cell + "ENDDATA\n"
    (tmp_path / "a.bdf").write_text(text)
    mesh = ml.read(tmp_path / "a.bdf")
    assert mesh.points.tolist() == [[0.0, 0.0], [1.0, 0.0], [1e-3, 1.0]]
    assert mesh.cell_sets["property_4"]["triangle"].tolist() == [0]


def test_point_clouds(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z,temperature,u:0,u:1,name\n0,1,2,300.5,1,2,a\n3,4,5,301,3,4,b\n")
    with pytest.warns(ml.MeshReadWarning, match="'name'"):
        cloud = ml.read(tmp_path / "a.csv")
    assert cloud.cell_counts == {}
    assert cloud.points.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert cloud.point_data["u"].tolist() == [[1, 2], [3, 4]]
    (tmp_path / "b.xyz").write_text("# cloud\n0 0 0 7\n1 2 3 8\n")
    assert ml.read(tmp_path / "b.xyz").point_data["column_3"].tolist() == [7, 8]
    ml.write(cloud, tmp_path / "c.csv")
    assert_same(cloud, ml.read(tmp_path / "c.csv"))
    (tmp_path / "d.csv").write_text("x,y\n1,2\n3\n")
    with pytest.raises(ml.MeshReadError, match="row 3 has 1 columns, expected 2"):
        ml.read(tmp_path / "d.csv")
    np.savez(tmp_path / "e.npz", pos=np.eye(3), faces=np.array([[0, 1, 2]]), t=np.arange(3))
    assert ml.read(tmp_path / "e.npz").cell_counts == {"triangle": 1}


def test_plaid_sample(tmp_path, mixed):
    (tmp_path / "meshes").mkdir()
    with pytest.warns(ml.MeshWriteWarning):
        ml.write(mixed, tmp_path / "meshes" / "mesh_000000000.cgns")
    (tmp_path / "scalars.csv").write_text("angle,mach\n0.5,0.8\n")
    sample = ml.read(tmp_path)
    assert {name: float(value) for name, value in sample.global_data.items()} == {
        "load": 2.5,
        "angle": 0.5,
        "mach": 0.8,
    }
    assert sample.cell_counts["quad"] == 1


def test_surfaces(tmp_path):
    ball = ml.shapes.sphere(refine=1).float()
    ball = plain(ball).replace(cell_sets={})
    ml.write(ball, tmp_path / "a.stl")
    back = ml.read(tmp_path / "a.stl")
    assert back.is_watertight
    assert (back.n_points, back.n_cells) == (ball.n_points, ball.n_cells)
    for suffix in (".ply", ".obj", ".off"):
        ml.write(ball, tmp_path / f"a{suffix}")
        again = ml.read(tmp_path / f"a{suffix}")
        assert torch.equal(again.cells["triangle"], ball.cells["triangle"])
        assert torch.equal(again.points.float(), ball.points)


def test_a_wedge_of_either_convention_has_positive_volume(tmp_path):
    """VTK's documentation and VTK's own sources disagree on wedges; files of both kinds exist."""
    import pyvista

    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]], float)
    for order in ([0, 1, 2, 3, 4, 5], [0, 2, 1, 3, 5, 4]):
        pyvista.UnstructuredGrid({13: np.array([order])}, points).save(tmp_path / "w.vtu")
        assert float(ml.read(tmp_path / "w.vtu").cell_measures()["wedge"]) == pytest.approx(0.5)


def test_other_programs_read_what_we_write(tmp_path, mixed):
    import meshio
    import pyvista

    for suffix in (".vtu", ".vtk"):
        ml.write(mixed, tmp_path / f"a{suffix}")
        grid = pyvista.read(tmp_path / f"a{suffix}")
        assert (grid.n_points, grid.n_cells) == (6, 6)
        assert np.array_equal(grid.point_data["v"], mixed.point_data["v"].numpy())
        theirs = meshio.read(tmp_path / f"a{suffix}")
        assert {block.type: len(block.data) for block in theirs.cells} == mixed.cell_counts
    # meshio wants every element in a physical group
    whole = {kind: torch.arange(len(table)) for kind, table in mixed.cells.items()}
    ml.write(mixed.replace(cell_sets={**mixed.cell_sets, "all": whole}), tmp_path / "a.msh")
    theirs = meshio.gmsh.read(tmp_path / "a.msh")
    assert {"bottom", "left", "all"} <= set(theirs.cell_sets)
    assert np.array_equal(theirs.point_data["v"][:, :2], mixed.point_data["v"].numpy())


def test_we_read_what_pyvista_writes(tmp_path, mixed):
    """Among them VTK's newer polyhedra and both kinds of base64."""
    import pyvista

    grid = mixed.to_pyvista()
    for binary in (True, False):
        grid.save(tmp_path / "a.vtu", binary=binary)
        assert_same(mixed, ml.read(tmp_path / "a.vtu"))
    grid.save(tmp_path / "a.vtk")  # VTK's ASCII legacy files round the numbers
    assert_same(mixed, ml.read(tmp_path / "a.vtk"))
    ball = pyvista.Sphere(theta_resolution=8, phi_resolution=8)
    ball.save(tmp_path / "b.vtp")
    ball.save(tmp_path / "b.stl")
    assert ml.read(tmp_path / "b.vtp").n_cells == ball.n_cells == ml.read(tmp_path / "b.stl").n_cells


def polyhedra():
    base = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]).double()
    cube = torch.cat([base, base + torch.tensor([0, 0, 1])])
    faces = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    stream = [6, *(value for face in faces for value in (4, *face))]
    return ml.Mesh(torch.cat([cube, cube + 2]), {"polyhedron": [stream], "tetra": [[8, 9, 11, 12]]})


EDGE_CASES = {
    "point cloud": ml.Mesh(torch.randn(10, 3), point_data={"u": torch.randn(10)}),
    "plane point cloud": ml.Mesh(torch.randn(10, 2)),
    "one point": ml.Mesh(torch.zeros(1, 1, dtype=torch.float64)),
    "line": ml.Mesh(torch.linspace(0, 1, 4)[:, None], {"line": [[0, 1], [1, 2], [2, 3]], "vertex": [[0]]}),
    "plane in space": ml.Mesh([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], {"triangle": [[0, 2, 1]]}),
    "kind without cells": ml.Mesh([[0.0, 0], [1, 0], [0, 1]], {"quad": [], "triangle": [[0, 1, 2]]}),
    "degenerate and doubled": ml.Mesh(torch.zeros(4, 3), {"tetra": [[0, 1, 2, 3], [0, 0, 0, 0]]}),
    "inverted": ml.Mesh(torch.eye(4)[:, :3], {"tetra": [[0, 1, 2, 3], [0, 2, 1, 3]]}),
    "nan": ml.Mesh([[0.0, 0], [torch.nan, 0], [0, torch.inf]], {"triangle": [[0, 1, 2]]}),
    "gradient": ml.Mesh(torch.rand(3, 2, requires_grad=True), {"triangle": [[0, 1, 2]]}),
}


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh", ".mesh.safetensors"])
@pytest.mark.parametrize("case", EDGE_CASES)
def test_edge_cases_survive(tmp_path, case, suffix):
    ml.write(EDGE_CASES[case], tmp_path / f"a{suffix}")
    assert_same(EDGE_CASES[case].detach(), ml.read(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".mesh.safetensors", ".npz"])
def test_polyhedra_survive(tmp_path, suffix):
    mesh = polyhedra()
    ml.write(mesh, tmp_path / f"a{suffix}")
    assert_same(mesh, ml.read(tmp_path / f"a{suffix}"))
    assert_same(mesh, ml.Mesh.from_pyvista(mesh.to_pyvista()))
    if suffix in (".vtu", ".vtk"):  # VTK 9.4 and later store polyhedra in arrays of their own
        mesh.to_pyvista().save(tmp_path / f"b{suffix}")
        assert_same(mesh, ml.read(tmp_path / f"b{suffix}"))
