"""Meshes that are the same but for their numbering."""

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import TopologyError
from meshlearn.models.mmgp.morphing import IdentityMorpher
from meshlearn.models.mmgp.morphing.renumbering import renumbering
from meshlearn.testing.permutation import permute_mesh

MESHES = [
    lambda: ml.shapes.square(n=4),
    lambda: ml.shapes.rectangle(1.0, 2.0, n=(5, 5), cells="quad", order=2, boundary=False),
    lambda: ml.shapes.square(n=3, cells="mixed", order=2),
    lambda: ml.shapes.box(n=3, boundary=False),
    lambda: ml.shapes.box(n=3, cells="hexahedron", boundary=False),
    lambda: ml.shapes.torus(n=(9, 6)),
    lambda: ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.1),
    lambda: ml.shapes.square(n=3).boundary_mesh(),
]


@pytest.mark.parametrize("make", MESHES)
def test_numbering_is_found_in_stretched_meshes(make):
    mesh = make().double()
    other = permute_mesh(mesh, 3).mesh
    stretch = torch.tensor([1.7, 0.9, 2.2])[: mesh.dim].double()
    found = renumbering(other.replace(points=other.points * stretch + 0.3), mesh)
    assert torch.equal(other.points[found.points], mesh.points)
    centres = [m.join_cells(m.cell_centroids()) for m in (other, mesh)]
    torch.testing.assert_close(centres[0][found.cells], centres[1], rtol=0, atol=1e-14)


def test_other_meshes_have_no_numbering():
    square = ml.shapes.square(n=3, boundary=False)
    assert renumbering(ml.shapes.square(n=4), square) is None
    nodes = square.cells["triangle"].clone()
    nodes[:2] = torch.tensor([[0, 1, 4], [1, 5, 4]])  # the other diagonal of one square: equal counts
    assert renumbering(square.replace(cells={"triangle": nodes}), square) is None


def test_identity_of_renumbered_and_turned_cells():
    mesh = ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.2).double()
    other = permute_mesh(mesh, 1).mesh
    turned = other.replace(cells=dict(other.cells) | {"triangle": other.cells["triangle"].flip(1)})
    for case in (other, turned):
        morph = IdentityMorpher(mesh).morph(case)
        torch.testing.assert_close(morph.points, case.points, rtol=0, atol=0)
        assert morph.flipped == 0


def test_landmarks_of_identity_are_its_points():
    mesh = ml.shapes.square(n=2)
    mesh = mesh.replace(point_sets={"tip": torch.tensor([2])})
    morpher = IdentityMorpher(mesh, ["tip"])
    assert morpher.morph(permute_mesh(mesh, 2).mesh).flipped == 0
    with pytest.raises(TopologyError, match=r"'tip' is point 4.*reference's is point 2"):
        morpher.morph(mesh.replace(point_sets={"tip": torch.tensor([4])}))


@pytest.fixture(scope="module")
def model_and_meshes():
    base = ml.shapes.rectangle(1.0, 1.0, n=(6, 5)).double()
    meshes = []
    for k in range(14):
        mesh = base.replace(points=base.points * torch.tensor([1 + 0.07 * k, 1 + 0.05 * ((3 * k) % 7)]).double())
        x, y = mesh.points.T
        centre = mesh.join_cells(mesh.cell_centroids())[:, 0]
        meshes.append(mesh.with_point_data(u=torch.sin(x) * y).with_cell_data(c=centre**2))
    return ml.MMGP([], ["u", "c"], restarts=1).fit(meshes[:12]), meshes


def test_prediction_follows_the_numbering(model_and_meshes):
    model, meshes = model_and_meshes
    assert model.morphing_ == "identity"
    mesh = meshes[13]
    here = model.predict(mesh, return_std=True)
    moved = permute_mesh(mesh, 5)
    there = model.predict(moved.mesh, return_std=True)
    for name in ("u", "u_std"):
        back = permute_mesh(mesh.replace(point_data={name: here.point_data[name]}), 5).mesh.point_data[name]
        torch.testing.assert_close(there.point_data[name], back, rtol=1e-10, atol=1e-12)
    cells = permute_mesh(mesh.replace(cell_data={"c": here.cell_data["c"]}), 5).mesh.cell_data["c"]["triangle"]
    torch.testing.assert_close(there.cell_data["c"]["triangle"], cells, rtol=1e-10, atol=1e-12)


def test_renumbered_training_meshes_share_their_cells(model_and_meshes):
    _, meshes = model_and_meshes
    shuffled = [permute_mesh(mesh, k).mesh for k, mesh in enumerate(meshes)]
    model = ml.MMGP([], ["u", "c"], restarts=1).fit(shuffled[:12])
    assert model.morphing_ == "identity"
    assert model.floors_["u"]["round_trip"] == 0
    assert model.score(shuffled[12:])["u"] < 1e-2


def test_finer_meshes_after_identity(model_and_meshes, tmp_path):
    model, _ = model_and_meshes
    finer = ml.shapes.rectangle(1.33, 1.21, n=(9, 11), boundary=False).double()
    u = model.predict(finer).point_data["u"]
    x, y = finer.points.T
    assert float((u - torch.sin(x) * y).abs().max()) < 0.02  # a twelfth of h^2 / 8 at h = 0.22 is 0.006
    assert model.novelty(finer) < 1.1
    model.save(tmp_path / "m")
    torch.testing.assert_close(ml.load(tmp_path / "m").predict(finer).point_data["u"], u)
    with pytest.raises(TopologyError, match="1 hole"):
        model.predict(ml.shapes.annulus())
    strict = ml.MMGP([], ["u"], morphing="identity", restarts=1).fit(model_and_meshes[1][:4])
    with pytest.raises(TopologyError, match="needs the same cells in every mesh"):
        strict.predict(finer)
