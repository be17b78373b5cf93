"""Other libraries' meshes and back."""

import pytest
import torch
from io_meshes import assert_same, load_manifest

import meshlearn as ml


@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshReadWarning")
@pytest.mark.parametrize("library", ["meshio", "pyvista"])
def test_the_corpus_through_a_library(shared_data, library):
    for row in load_manifest(shared_data / "io"):
        if row["expected"] == "ok":
            mesh = ml.read(shared_data / "io" / row["file"])
            mesh = mesh if isinstance(mesh, ml.Mesh) else mesh.mesh
            back = getattr(ml.Mesh, f"from_{library}")(getattr(mesh, f"to_{library}")())
            assert_same(mesh, back)


def test_skfem_boundaries_and_subdomains():
    import skfem

    for kind in (skfem.MeshLine, skfem.MeshTri, skfem.MeshQuad, skfem.MeshTet, skfem.MeshHex):
        theirs = (
            kind()
            .refined(1)
            .with_boundaries({"left": lambda x: x[0] == 0})
            .with_subdomains({"low": lambda x: x[0] < 0.5})
        )
        ours = ml.Mesh.from_skfem(theirs)
        assert sum(float(v.sum()) for k, v in ours.cell_measures().items() if k in ours.domain_types) == pytest.approx(
            1
        )
        back = ours.to_skfem()
        assert (back.t == theirs.t).all()
        assert (back.boundaries["left"] == theirs.boundaries["left"]).all()
        assert (back.subdomains["low"] == theirs.subdomains["low"]).all()


def test_skfem_refuses_mixed_meshes(mixed):
    with pytest.raises(ml.MeshError, match="one kind of cell"):
        mixed.to_skfem()


def test_trimesh():
    ball = ml.shapes.sphere(refine=1).double().replace(cell_sets={})
    surface = ball.to_trimesh()
    assert surface.is_watertight
    assert_same(ml.Mesh.from_trimesh(surface), ball)
    with pytest.raises(ml.MeshError, match="boundary_mesh"):
        ml.shapes.box(n=(1, 1, 1)).to_trimesh()


def test_pyg(mixed):
    square = ml.shapes.square(n=2)
    square = ml.Mesh(square.points, {"triangle": square.cells["triangle"]}, {"u": torch.randn(9, 2)})
    data = square.with_global_data(load=torch.tensor(3.0)).to_pyg()
    assert data.validate()
    assert data.is_undirected()
    assert (data.face.shape, data.edge_index.shape, data.load.shape) == ((3, 8), (2, 32), (1,))
    back = ml.Mesh.from_pyg(data)
    assert back.n_cells == 8
    assert torch.equal(back.point_data["u"], data.u)
    data.face = None
    assert ml.Mesh.from_pyg(data).cell_counts == {"line": 16}


def test_pyg_says_what_it_leaves_out(mixed):
    with pytest.warns(
        ml.MeshWriteWarning, match=r"1 quad cell as cells.*cell data 'k'.*point sets 'corner'.*cell sets 'bottom'"
    ):
        mixed.to_pyg()
    for name in ("pos", "face", "edge_index", "batch"):
        with pytest.raises(ml.MeshError, match=rf"\['{name}'\] have a meaning"):
            mixed.replace(point_data={name: torch.zeros(6)}).to_pyg()
    with pytest.raises(ml.MeshError, match=r"\['load'\] are both"):
        mixed.with_point_data(load=torch.zeros(6)).to_pyg()


def test_trimesh_says_what_it_leaves_out(mixed):
    with pytest.warns(ml.MeshWriteWarning, match=r"3 line cells.*point sets 'corner'.*cell sets 'bottom', 'left'"):
        mixed.to_trimesh()


def test_skfem_says_what_it_leaves_out():
    mesh = ml.second_order(ml.shapes.square(n=2))
    with pytest.warns(ml.MeshWriteWarning, match="cell set 'left'"):
        mesh.to_skfem()
    with pytest.warns(ml.MeshWriteWarning, match="point data 'u'"):
        ml.shapes.square(n=2).with_point_data(u=torch.zeros(9)).to_skfem()


def test_meshio_with_a_missing_block_is_a_mesh_error():
    import meshio

    cells = [("line", [[0, 1]]), ("triangle", [[0, 1, 2]])]
    theirs = meshio.Mesh([[0.0, 0], [1, 0], [0, 1]], cells, cell_data={"k": [[1.0], [2.0]]})
    theirs.cell_data["k"].pop()
    with pytest.raises(ml.MeshError, match=r"'k'.* has 1 parts, the mesh has 2 blocks"):
        ml.Mesh.from_meshio(theirs)


def _sets(mesh):
    return {name: {kind: sorted(rows.tolist()) for kind, rows in by.items()} for name, by in mesh.cell_sets.items()}


@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshReadWarning")
def test_gmsh_files_through_meshio_are_as_read_by_us(shared_data):
    """Version 4.1, which has the numbers of bounding entities among its sets, and 2.2, which has no sets."""
    import meshio

    files = ["scikit-fem/oriented_squares.msh", "g-adaptivity/headland1.msh", "scikit-fem/quadratic_sphere_tet.msh",
             "converted/mixedtriquad_gmsh22_binary.msh"]  # fmt: skip
    for name in files:
        ours = ml.read(shared_data / "io" / name)
        theirs = ml.Mesh.from_meshio(meshio.read(shared_data / "io" / name))
        assert (theirs.dim, theirs.cell_counts) == (ours.dim, ours.cell_counts)
        assert _sets(theirs) == _sets(ours), name
        assert not theirs.global_data
        assert any("bounding_entities" in note for note in theirs.report) == ("gmsh22" not in name)


def test_physical_groups_of_a_meshio_mesh():
    import meshio

    theirs = meshio.Mesh(
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 0]],
        [("line", [[0, 1], [1, 2], [2, 0]]), ("triangle", [[0, 1, 2]])],
        cell_data={"gmsh:physical": [[1, 2, 2], [1]]},
        field_data={"left": [1, 1], "plate": [1, 2], "load": 3.0},
    )
    mesh = ml.Mesh.from_meshio(theirs)
    assert _sets(mesh) == {"left": {"line": [0]}, "physical_2": {"line": [1, 2]}, "plate": {"triangle": [0]}}
    assert list(mesh.global_data) == ["load"]
    assert _sets(ml.Mesh.from_meshio(mesh.to_meshio())) == _sets(mesh)


@pytest.mark.parametrize("library", ["meshio", "pyvista"])
def test_a_plane_mesh_of_a_library_is_plane_unless_z_is_asked_for(library):
    if library == "pyvista":
        theirs = pytest.importorskip("pyvista").Plane()
    else:
        flat = ml.shapes.square(n=2)
        theirs = ml.Mesh(torch.nn.functional.pad(flat.points, (0, 1)), {"triangle": flat.cells["triangle"]}).to_meshio()
    convert = getattr(ml.Mesh, f"from_{library}")
    assert (convert(theirs).dim, convert(theirs, dim=3).dim) == (2, 3)


def test_what_is_no_mesh_of_the_library_is_refused():
    for library in ("meshio", "pyvista", "trimesh", "skfem", "pyg"):
        if library == "pyvista":
            pytest.importorskip("pyvista")
        with pytest.raises(ml.MeshError, match="str"):
            getattr(ml.Mesh, f"from_{library}")("a.vtu")


def test_several_data_sets_of_pyvista_are_refused_with_what_to_do():
    pyvista = pytest.importorskip("pyvista")
    blocks = pyvista.MultiBlock({"inlet": pyvista.Plane(), "wall": pyvista.Sphere()})
    with pytest.raises(ml.MeshError, match=r"'inlet', 'wall'(.|\n)*blocks\[0\](.|\n)*blocks\.combine\(\)"):
        ml.Mesh.from_pyvista(blocks)
    assert ml.Mesh.from_pyvista(blocks.combine()).n_points == blocks[0].n_points + blocks[1].n_points


def test_fields_of_some_kinds_of_cells_come_back_from_meshio_as_they_were():
    square = ml.shapes.square(n=2)
    mesh = square.with_cell_data(k=torch.arange(8.0), n=torch.arange(8), z={"line": torch.zeros(8)})
    theirs = mesh.to_meshio()
    assert len(theirs.cell_data["k"]) == 2  # meshio's blocks are all filled
    assert ml.meshes_equal(ml.Mesh.from_meshio(theirs), mesh)
    theirs.cell_data["n"][1][:] = 7  # values that somebody gave since
    assert list(ml.Mesh.from_meshio(theirs).cell_data["n"]) == ["triangle", "line"]
