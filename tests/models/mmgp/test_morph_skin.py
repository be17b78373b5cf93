"""The skin of surfaces and tagged solids: rims are curves, faces are surfaces, whatever their points also hold."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.morphing import ElasticMorpher, RadialMorpher
from meshlearn.models.mmgp.morphing.controls import SkinControls
from meshlearn.models.mmgp.morphing.skin import skin_of
from meshlearn.testing.permutation import permute_mesh


def sheet(length, n, cells="triangle", order=1):
    """Structured, tilted in space; of triangles, two corners have a cell with all points on the rim."""
    flat = ml.shapes.rectangle(length, 1.0, n=(n, 6), cells=cells, order=order, dtype=torch.float64)
    points = torch.cat([flat.points, 0.3 * flat.points[:, :1]], 1)
    kind = flat.domain_types[0]
    sides = {name: rows for name, rows in flat.cell_sets.items() if name in ("left", "right")}
    return ml.Mesh(points, dict(flat.cells), cell_sets=sides, point_data={"u": flat.points[:, 0]}), kind


def box(sizes, n, cells="tetra", tags=("top", "bottom", "sides")):
    mesh = ml.shapes.box(n=n, cells=cells, dtype=torch.float64)
    facet = next(iter(mesh.cell_sets["top"]))
    around = torch.cat([mesh.cell_sets[name][facet] for name in ("left", "right", "front", "back")])
    sets = {"top": mesh.cell_sets["top"], "bottom": mesh.cell_sets["bottom"], "sides": {facet: around}}
    points = mesh.points * torch.tensor(sizes, dtype=torch.float64)
    fields = {"u": points @ torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)}
    return mesh.replace(points=points, cell_sets={name: sets[name] for name in tags}, point_data=fields)


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_the_skin_of_a_sheet_goes_to_itself(cells, order, tags):
    mesh = sheet(1.0, 4, cells, order)[0].oriented()
    ways = list(SkinControls(mesh, [], tags).candidates(mesh))
    assert len(ways) == 2  # by faces, and by tags alone
    for way in ways:
        assert len(way.nodes) == mesh.n_points
        assert (torch.from_numpy(way.targets) - mesh.points[torch.from_numpy(way.nodes)]).abs().max() < 1e-12


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("cells", ["triangle", "quad"])
def test_affine_sheets_come_back(cells, n):
    reference, mesh = sheet(1.0, 8, cells)[0], sheet(1.4, n, cells)[0]
    morph = RadialMorpher(reference).morph(mesh)
    expected = mesh.points / torch.tensor([1.4, 1.0, 1.4], dtype=torch.float64)
    assert (morph.points - expected).abs().max() < 1e-12
    assert morph.flipped == 0


def test_the_rim_of_a_sheet_is_its_boundary_edges():
    mesh, kind = sheet(1.0, 4)
    on_rim = mesh.topology.is_boundary
    assert on_rim[mesh.cells[kind]].all(1).any()  # a corner cell: else this shows nothing
    rim = skin_of(mesh.oriented(), []).place((True,)).search.elements
    assert {k: set(map(frozenset, v.tolist())) for k, v in rim.items()} == {
        k: set(map(frozenset, v.tolist())) for k, v in mesh.topology.boundary_facets.items()
    }


def test_parts_of_a_tagged_box_have_their_dimension():
    skin = skin_of(box((1.0, 1.0, 1.0), 3).oriented(), ["bottom", "sides", "top"])
    area = {
        label: skin.place(label).search.elements for label in [(True, False, False), (True, True, False), (False,) * 3]
    }
    assert {kind: len(nodes) for kind, nodes in area[True, False, False].items()} == {"triangle": 18}
    assert {kind: len(nodes) for kind, nodes in area[True, True, False].items()} == {"line": 12}
    assert {kind: len(nodes) for kind, nodes in area[False, False, False].items()} == {"triangle": 108}


def test_three_faces_meet_in_a_point():
    mesh = ml.shapes.box(n=1, dtype=torch.float64)  # every point of this box lies on three faces
    skin = skin_of(mesh.oriented(), ["bottom", "front", "left"])
    corner = skin.place((True, True, True)).search.elements["vertex"]
    assert torch.equal(mesh.points[corner.reshape(-1)], torch.zeros(1, 3, dtype=torch.float64))
    edge = skin.place((True, False, True)).search.elements["line"]
    assert (mesh.points[edge.reshape(-1)][:, [0, 2]] == 0).all()
    assert len(edge) == 1


@pytest.mark.parametrize("tags", [("top", "bottom", "sides"), ("top",), ()])
@pytest.mark.parametrize("morpher", [RadialMorpher, ElasticMorpher])
@pytest.mark.parametrize("cells", ["tetra", "hexahedron"])
def test_affine_tagged_boxes_come_back(cells, morpher, tags):
    sizes = (1.5, 0.8, 1.2)
    reference, mesh = box((1.0, 1.0, 1.0), 3, cells, tags), box(sizes, 4, cells, tags)
    morph = morpher(reference).morph(mesh)
    assert (morph.points - mesh.points / torch.tensor(sizes, dtype=torch.float64)).abs().max() < 1e-12
    assert morph.flipped == 0


def test_tags_on_first_order_facets_of_a_second_order_mesh():
    mesh = ml.shapes.box(n=2, order=2, dtype=torch.float64)
    corners = {kind: c[:, :3] if kind == "triangle6" else c for kind, c in mesh.cells.items()}
    renamed = {"triangle" if kind == "triangle6" else kind: c for kind, c in corners.items()}
    sets = {name: {"triangle": rows["triangle6"]} for name, rows in mesh.cell_sets.items()}
    skin = skin_of(ml.Mesh(mesh.points, renamed, cell_sets=sets).oriented(), ["top"])
    top = skin.place((True,)).search.elements
    assert list(top) == ["triangle6"]
    assert (mesh.points[top["triangle6"].reshape(-1)][:, 2] == 1).all()


def family(kind):
    if kind == "tagged boxes":
        return [box((1 + 0.1 * i, 1.0, 1 + 0.05 * (i % 3)), 2 + i % 2) for i in range(8)]
    return [sheet(1 + 0.1 * i, 8 + i % 2, kind)[0] for i in range(8)]


@pytest.mark.parametrize("kind", ["triangle", "quad", "tagged boxes"])
def test_families_with_other_counts_are_learned_in_any_numbering(kind):
    meshes = family(kind)
    new = meshes.pop(3)
    model = ml.MMGP([], ["u"], morphing="rbf").fit(meshes)
    assert model.morph_quality_["flipped"] == 0
    assert model.floors_["u"]["round_trip"] < 1e-12  # the field is linear
    assert model.score([new])["u"] < 1e-3
    renumbered = permute_mesh(new, 1)
    expected, found = (model.predict(mesh, return_std=True).point_data for mesh in (new, renumbered.mesh))
    for name in ("u", "u_std"):
        assert (found[name] - expected[name][renumbered.points]).abs().max() < 1e-10
