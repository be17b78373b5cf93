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
    data = ml.shapes.square(n=2).with_point_data(u=torch.randn(9, 2)).with_global_data(load=torch.tensor(3.0)).to_pyg()
    assert data.validate()
    assert data.is_undirected()
    assert (data.face.shape, data.edge_index.shape, data.load.shape) == ((3, 8), (2, 32), (1,))
    back = ml.Mesh.from_pyg(data)
    assert back.n_cells == 8
    assert torch.equal(back.point_data["u"], data.u)
    data.face = None
    assert ml.Mesh.from_pyg(data).cell_counts == {"line": 16}
