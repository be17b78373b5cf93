"""SPONMultigrid: levels from refinement and from aggregation, transfers, properties of all estimators."""

from functools import partial

import pytest
import torch
from spon_cases import meshes, poisson

import meshlearn as ml
from meshlearn.fem.mesh_prolongation import prolongation
from meshlearn.models.spon.discretisation import Discretisation
from meshlearn.models.spon.levels import coarse_levels, coarse_mesh
from meshlearn.testing import check_estimator
from meshlearn.testing.permutation import permute_mesh

SMALL = {"hidden": 8, "steps": 1, "coarse_hidden": 8, "coarse_steps": 1}


@pytest.mark.parametrize(("element", "output"), [("P1", "u"), pytest.param("P0", "q", marks=pytest.mark.slow)])
def test_estimator(element, output):
    make = partial(ml.SPONMultigrid, **SMALL, coarse_dofs=8, output_element=element)
    check_estimator(make, meshes(4), ("f", "a"), (output,))


@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron"])
def test_a_refined_mesh_shows_what_it_was_made_from(kind):
    if kind == "line":
        mesh = ml.shapes.interval(n=3)
    elif kind in ("triangle", "quad"):
        mesh = ml.shapes.rectangle(n=(2, 3), cells=kind)
    else:
        mesh = ml.shapes.box(n=(1, 2, 2), cells=kind)
    found = coarse_mesh(ml.refine(mesh))
    assert found is not None
    assert torch.equal(found[0].points, mesh.points)
    assert torch.equal(found[0].cells[kind], mesh.cells[kind])
    assert coarse_mesh(mesh) is None
    assert coarse_mesh(permute_mesh(ml.refine(mesh)).mesh) is None


def test_nested_levels_are_the_coarse_spaces():
    coarse = ml.shapes.square(n=2, dtype=torch.float64)
    middle = ml.refine(coarse)
    fine = ml.refine(middle)
    levels = coarse_levels(Discretisation(fine, "P1"), 3, 10, "nested")
    for level, (a, b) in zip(levels, ((middle, fine), (coarse, middle)), strict=True):
        torch.testing.assert_close(level.prolongation.to_dense(), prolongation(a, b).to_dense())
        own = Discretisation(a, "P1")
        torch.testing.assert_close(level.graph.mass_diagonal, own.mass.diagonal())
        torch.testing.assert_close(level.graph.stiffness_diagonal, own.stiffness.diagonal())
    assert torch.equal(levels[1].picked, torch.arange(9))


def test_a_finer_mesh_has_the_same_coarse_levels():
    mesh = ml.refine(ml.shapes.square(n=2, dtype=torch.float64))
    own, finer = (coarse_levels(Discretisation(m, "P1"), 2, 10, "auto") for m in (mesh, ml.refine(mesh)))
    torch.testing.assert_close(own[0].graph.features, finer[0].graph.features)
    ramp = lambda m: m.points[:, 0]  # noqa: E731
    torch.testing.assert_close(finer[0].prolongation @ ramp(mesh)[:9], ramp(ml.refine(mesh)))


@pytest.mark.parametrize("element", ["P0", "P1", "P2", "CR"])
def test_aggregates_keep_constants_and_do_not_know_the_numbering(element):
    mesh = ml.shapes.disc(size=0.3, dtype=torch.float64)
    found = []
    for m in (mesh, permute_mesh(mesh).mesh):
        disc = Discretisation(m, element)
        level = coarse_levels(disc, 2, 20, "aggregation")[0]
        n = level.prolongation.n_cols
        assert n <= 20
        for transfer in (level.prolongation, level.restriction):
            ones = torch.ones(transfer.n_cols, dtype=torch.float64)
            torch.testing.assert_close(transfer @ ones, torch.ones(transfer.n_rows, dtype=torch.float64))
        x, y = disc.points.T
        smooth = level.prolongation @ (level.restriction @ (x + 2 * y))
        found.append((n, smooth[torch.argsort(x + 0.618 * y)]))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1])


def test_small_meshes_repeat_the_coarsest_level():
    mesh = ml.shapes.square(n=1)
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 1])
    model = ml.SPONMultigrid(["f"], ["u"], **SMALL, levels=4).fit(mesh, epochs=1, progress=False)
    assert bool(torch.isfinite(model.predict(mesh).point_data["u"]).all())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 1}, "levels=1"),
        ({"coarse_dofs": 0}, "coarse_dofs=0"),
        ({"coarsening": "magic"}, "magic"),
        ({"coarse_steps": 0}, "coarse_steps=0"),
        ({"output_element": "RT0"}, "no coarse spaces"),
    ],
)
def test_what_cannot_be_is_said(options, words):
    data = meshes(2)
    with pytest.raises(ml.ParameterError, match=words):
        ml.SPONMultigrid(["f"], ["v"], **{**SMALL, **options}).fit(data, epochs=1, progress=False)


@pytest.mark.slow
def test_learns_poisson():
    mesh = ml.refine(ml.shapes.square(n=2), 2)
    train, test = poisson(mesh, 80, 1), poisson(mesh, 10, 2)
    model = ml.SPONMultigrid(
        ["f"], ["u"], hidden=16, coarse_hidden=32, coarse_steps=3, coarse_dofs=30, dirichlet={"boundary": 0.0}
    )
    model.fit(train, epochs=30, learning_rate=4e-3, progress=False)
    assert model.score(test)["u"] < 0.2
