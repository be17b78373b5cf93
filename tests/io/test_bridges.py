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
