"""What morphing="auto" takes, and what it tells about it."""

import math
import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import ConvergenceError, MeshError, ParameterError, TopologyError
from meshlearn.models.mmgp.choice import Choice
from meshlearn.models.mmgp.morphing import ElasticMorpher
from meshlearn.models.mmgp.morphing.rbf import RadialMorpher
from meshlearn.train.survey import FitWarning


def rectangles(n, function):
    g = torch.Generator().manual_seed(0)
    meshes = []
    for k in range(n):
        a, b = (1 + torch.rand(2, generator=g)).tolist()
        mesh = ml.shapes.rectangle(a, b, n=(5 + k % 3, 6), dtype=torch.float64, boundary=False)
        meshes.append(mesh.with_point_data(u=function(*mesh.points.T)))
    return meshes


def test_affine_families_are_exact():
    meshes = rectangles(10, lambda x, y: 2 * x - y)
    model = ml.MMGP([], ["u"], restarts=1).fit(meshes[:8])
    assert model.morphing_ == "rbf"
    assert model.floors_["u"]["round_trip"] < 1e-12
    tried = model.morph_quality_["tried"]
    assert set(tried) == {"tutte", "rbf"}
    assert tried["rbf"]["round_trip"] < 1e-2 * tried["tutte"]["round_trip"]
    assert model.morph_quality_["outside"] < 1e-6
    assert model.score(meshes[8:])["u"] < 1e-3


def test_curved_plates_take_the_likeliest():
    stars = ml.sim.make_stars(7, seed=1, size=0.15)
    model = ml.MMGP(["source", "conductivity", "contrast"], ["u"], restarts=1).fit(stars)
    assert model.morphing_ == "tutte"
    assert 0 < model.morph_quality_["outside"] < 1  # cell sizes


def test_options_say_what_may_be_taken():
    meshes = rectangles(4, lambda x, y: x)
    assert ml.MMGP([], ["u"], morphing_options={"weights": "uniform"}, restarts=1).fit(meshes).morphing_ == "tutte"
    with pytest.raises(ParameterError, match="no morphing for these meshes has the options glue"):
        ml.MMGP([], ["u"], morphing_options={"glue": 1}).fit(meshes)
    with pytest.raises(ParameterError, match=r"tags='left'.*True or False"):
        ml.MMGP([], ["u"], morphing="rbf", morphing_options={"tags": "left"}).fit(meshes)


def test_a_mesh_of_another_topology_is_named():
    meshes = rectangles(4, lambda x, y: x)
    odd = ml.shapes.annulus().double()
    with pytest.raises(TopologyError, match=r"mesh 2 and mesh 0.*1 hole, against a plate with no holes"):
        ml.MMGP([], ["u"]).fit([*meshes[:2], odd.with_point_data(u=odd.points[:, 0]), *meshes[2:]])


def solids(n, function=lambda x: x.sum(1)):
    meshes = []
    for k in range(n):
        mesh = ml.shapes.box(1 + 0.1 * k, 1.0, 0.5 + 0.05 * k, n=2 + k % 2, boundary=False).double()
        meshes.append(mesh.with_point_data(u=function(mesh.points)))
    return meshes


def test_what_fails_for_one_mesh_is_left(monkeypatch):
    """A mesh that is not among those looked at makes the choice fall back."""
    meshes = solids(12)
    looked_at = []
    original, radial = Choice._measure, RadialMorpher.morph

    def measure(self, trial, family):
        looked_at.extend(self.looked_at)
        original(self, trial, family)

    def morph(self, mesh):
        odd = next(k for k in range(12) if k not in looked_at and k != 6)
        if mesh.n_points == meshes[odd].n_points and torch.equal(mesh.points, meshes[odd].points.double()):
            raise ConvergenceError("not this one")
        return radial(self, mesh)

    monkeypatch.setattr(Choice, "_measure", measure)
    monkeypatch.setattr(RadialMorpher, "morph", morph)
    model = ml.MMGP([], ["u"], restarts=1).fit(meshes)
    assert model.morphing_ == "elastic"
    assert "not this one" in model.morph_quality_["tried"]["rbf"]["failure"]


def test_all_reasons_are_told(monkeypatch):
    def refuse(self, mesh):
        raise ConvergenceError(f"{self.name} refuses")

    monkeypatch.setattr(RadialMorpher, "morph", refuse)
    monkeypatch.setattr(ElasticMorpher, "morph", refuse)
    with pytest.raises(ConvergenceError, match=r"no morphing does(.|\n)*rbf refuses\n.*elastic: mesh.*elastic"):
        ml.MMGP([], ["u"], restarts=1).fit(solids(4))


def test_a_new_mesh_that_the_morphing_refuses_is_placed_by_another(monkeypatch):
    meshes = solids(8)
    model = ml.MMGP([], ["u"], restarts=1).fit(meshes[:7])
    assert model.morphing_ == "rbf"
    expected = model.predict(meshes[7]).point_data["u"]
    monkeypatch.setattr(RadialMorpher, "morph", lambda self, mesh: (_ for _ in ()).throw(ConvergenceError("no")))
    with pytest.warns(FitWarning, match="'rbf' does not do.*'elastic' was taken"):
        torch.testing.assert_close(model.predict(meshes[7]).point_data["u"], expected, rtol=1e-3, atol=1e-3)


def test_mirrored_meshes_among_others_are_told():
    base = ml.shapes.square(n=3).double()
    meshes = [base.replace(points=base.points * (1 + 0.1 * k)) for k in range(6)]
    meshes[4] = base.replace(points=base.points * torch.tensor([-1.0, 1.0]).double())
    meshes = [m.with_point_data(u=m.points[:, 0]) for m in meshes]
    with pytest.warns(FitWarning, match=r"18 cells inside out on 1 of 6 meshes \(mesh 4\).*mirrored"):
        model = ml.MMGP([], ["u"], restarts=1).fit(meshes)
    assert (model.morphing_, model.morph_quality_["flipped"]) == ("identity", 18)


def boxes(n):
    g = torch.Generator().manual_seed(1)
    meshes = []
    for k in range(n):
        a, b, c = (1 + torch.rand(3, generator=g)).tolist()
        mesh = ml.shapes.box(a, b, c, n=3 + k % 2).double()
        meshes.append(mesh.with_point_data(u=mesh.points[:, 0] ** 2))
    return meshes


def test_tangled_meshes_are_refused():
    meshes = boxes(10)
    model = ml.MMGP([], ["u"], morphing="rbf", restarts=1).fit(meshes[:9])
    sets = dict(meshes[9].cell_sets)
    sets["left"], sets["right"] = sets["right"], sets["left"]
    with pytest.raises(MeshError, match=r"'rbf' turns \d+ of \d+ cells inside out.*of other places"):
        model.predict(meshes[9].replace(cell_sets=sets))
    assert int(model.morph(meshes[9].replace(cell_sets=sets)).global_data["flipped"]) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(meshes[9])


def test_the_morph_shows_where_values_are_clamped():
    discs = []
    for k in range(8):
        mesh = ml.shapes.disc(1 + 0.1 * k, n=3 + k % 3).double()
        discs.append(mesh.with_point_data(u=mesh.points[:, 0]))
    model = ml.MMGP([], ["u"], morphing="tutte", restarts=1).fit(discs)
    shown = model.morph(discs[2])
    clamped, outside = shown.point_data["clamped"], shown.point_data["outside"]
    assert torch.equal(clamped == 1, outside > 1e-6)
    boundary = torch.zeros(shown.n_points, dtype=torch.bool)
    boundary[shown.boundary_points] = True
    assert bool(boundary[clamped == 1].all())
    # a chord of m sides of the unit circle is 1 - cos(pi / m) off the arc
    sides = len(model.family_.common.mesh.boundary_points)
    assert float(outside.max()) <= (1 - math.cos(math.pi / sides)) / model.family_.common.cell_size + 1e-9
    assert float(shown.point_data["outside"].max()) < 0.5
    assert int(shown.global_data["flipped"]) == 0
    assert float(shown.cell_data["jacobian"]["triangle"].min()) > 0
    assert shown.points.norm(dim=1).max() <= 1 + 1e-9


def test_defects_are_named_where_topologies_differ():
    meshes = rectangles(4, lambda x, y: x)
    model = ml.MMGP([], ["u"], morphing="tutte", restarts=1).fit(meshes)
    cells = meshes[0].cells["triangle"]
    with pytest.raises(TopologyError, match=r"ml\.check_mesh"):
        model.predict(meshes[0].replace(cells={"triangle": torch.cat([cells, cells[:3]])}))
    line = meshes[0].replace(points=meshes[0].points * torch.tensor([1.0, 0.0]).double())
    with pytest.raises(MeshError, match="no area"):
        ml.MMGP([], ["u"], morphing="rbf", restarts=1).fit(meshes).predict(line)


def test_landmarks_inside_take_another_morphing_than_tutte():
    meshes = []
    for k, n in enumerate((4, 6, 4, 6)):
        mesh = ml.shapes.rectangle(1 + 0.2 * k, 1.0, n=n, boundary=False).double()
        middle = torch.tensor([(n + 1) * (n // 2) + n // 2])
        meshes.append(mesh.with_point_data(u=mesh.points[:, 0]).replace(point_sets={"tip": middle}))
    model = ml.MMGP([], ["u"], landmarks=["tip"], restarts=1).fit(meshes)
    assert model.morphing_ == "rbf"
    assert "'tip' is not on the boundary" in model.morph_quality_["tried"]["tutte"]["failure"]
    with pytest.raises(ParameterError, match=r"mesh \d: landmark 'tip' must be a point set of one point in every mesh"):
        ml.MMGP([], ["u"], landmarks=["tip"], restarts=1).fit([*meshes[:3], meshes[3].replace(point_sets={})])
    with pytest.raises(ParameterError, match="iterations='x'"):
        ml.MMGP([], ["u"], morphing="elastic", morphing_options={"iterations": "x"}).fit(meshes)
