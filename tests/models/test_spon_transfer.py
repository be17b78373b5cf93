"""Encoder, decoder, directions of dofs, conservation: what operator networks do without weights."""

import numpy as np
import pytest
import torch
from spon_cases import meshes

import meshlearn as ml
from meshlearn.fem import FESpace, div, dof_directions
from meshlearn.models.spon.discretisation import NODAL, Discretisation, discretise
from meshlearn.models.spon.mixing import PartitionMixing
from meshlearn.models.spon.transfer import decode, encode
from meshlearn.testing.permutation import permute_mesh

KINDS = ("triangle", "quad", "tetra", "hexahedron")


def shape(kind):
    solid = kind in ("tetra", "hexahedron")
    make = ml.shapes.box if solid else ml.shapes.rectangle
    return make(n=(2, 3, 2) if solid else (3, 4), cells=kind, dtype=torch.float64)


def available(element, kind):
    from meshlearn.fem.elements import ELEMENTS

    return kind in ELEMENTS[element]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", [name for name in NODAL if name != "P0"])
def test_linear_fields_survive(element, kind):
    if not available(element, kind):
        pytest.skip(f"no {element} on {kind} cells")
    mesh = shape(kind)
    disc = Discretisation(mesh, element)
    values = torch.stack([mesh.points.sum(1), 1 - mesh.points[:, 0]], dim=1)
    dofs = encode(disc, values, "point")
    torch.testing.assert_close(dofs[:, 0], disc.points.sum(1))
    torch.testing.assert_close(decode(disc, dofs, "point"), values)
    centres = torch.cat([mesh.cell_centroids()[name] for name in mesh.domain_types])
    torch.testing.assert_close(decode(disc, dofs, "cell")[:, 1], 1 - centres[:, 0])
    torch.testing.assert_close(encode(disc, values, "point", "project"), dofs)


def test_values_at_points_are_kept_to_the_last_bit():
    mesh = shape("triangle")
    values = torch.rand(mesh.n_points, 2, dtype=torch.float64)
    disc = Discretisation(mesh, "P1")
    assert torch.equal(decode(disc, encode(disc, values, "point"), "point"), values)
    cells = Discretisation(mesh, "P0")
    values = torch.rand(mesh.n_cells, 2, dtype=torch.float64)
    assert torch.equal(decode(cells, encode(cells, values, "cell"), "cell"), values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", ["RT0", "N1"])
def test_constant_vectors_survive_in_directed_spaces(element, kind):
    if not available(element, kind):
        pytest.skip(f"no {element} on {kind} cells")
    mesh = shape(kind)
    disc = Discretisation(mesh, element)
    vector = torch.arange(1.0, mesh.dim + 1, dtype=torch.float64)
    for location, n in (("point", mesh.n_points), ("cell", mesh.n_cells), ("global", 1)):
        dofs = encode(disc, vector.expand(n, -1), location)
        if location != "global":
            torch.testing.assert_close(decode(disc, dofs, location), vector.expand(n, -1))
        torch.testing.assert_close(disc.collect(disc.spread(dofs)), dofs)
    direction, _ = disc.functionals
    torch.testing.assert_close(disc.spread(dofs), (direction @ vector)[:, None] * direction)
    aligned = (direction * dof_directions(disc.space)).sum(1)
    torch.testing.assert_close(aligned if element == "RT0" else aligned.abs(), torch.ones(disc.n, dtype=torch.float64))


def test_spread_dofs_do_not_know_the_orientation():
    mesh = shape("triangle")
    field = torch.stack([mesh.points[:, 0] ** 2, mesh.points[:, 1] + 1], dim=1)
    other = permute_mesh(mesh, seed=3)
    tables = []
    for m, values in ((mesh, field), (other.mesh, field[other.points])):
        disc = Discretisation(m, "RT0")
        dofs = encode(disc, values, "point")
        order = np.lexsort(disc.points.round(decimals=9).T.numpy())
        tables.append((disc.spread(dofs)[order], dofs[order]))
    torch.testing.assert_close(tables[0][0], tables[1][0])
    assert not torch.allclose(tables[0][1], tables[1][1])  # the dofs themselves have other signs


def test_an_integral_is_conserved_and_boundary_values_stay():
    data = meshes(3, ("triangle",))
    data = [mesh.with_global_data(mean=torch.tensor(0.25 + k)) for k, mesh in enumerate(data)]
    options = {"hidden": 8, "steps": 1, "parts": 0, "output_element": "P2"}
    model = ml.SPON(["f"], ["u"], dirichlet={"left": 0.5}, conserve={"u": "mean"}, **options)
    model.fit(data, epochs=1, progress=False)
    for k, mesh in enumerate(data):
        space = FESpace(mesh, "P2")
        dofs = model.predict_dofs(mesh)["u"]
        assert float(space.integrate(dofs)) == pytest.approx(0.25 + k, abs=1e-12)
        assert bool((dofs[space.dofs("left")] == 0.5).all())


@pytest.mark.parametrize("closed", [False, True])
def test_the_divergence_of_every_cell_is_conserved_and_the_error_does_not_grow(closed):
    mesh = shape("triangle")
    space, cells = FESpace(mesh, "RT0"), FESpace(mesh, "P0")
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(space.n_dofs, generator=generator, dtype=torch.float64)
    if closed:
        truth[space.dofs("boundary")] = 0.0
    q = _divergence(space, cells, truth)
    mesh = mesh.with_cell_data(q=q[cells.element_dofs[:, 0]])
    disc = discretise(mesh, "RT0")
    from meshlearn.models.spon.boundary import prescribe
    from meshlearn.models.spon.conservation import conserve_field
    from meshlearn.train.fields import FieldSpec

    spec = FieldSpec("v", "point", (2,))
    given = prescribe(mesh, spec, {"boundary": 0.0} if closed else {}, disc)
    guess = given.impose(truth[:, None] + torch.randn(space.n_dofs, 1, generator=generator, dtype=torch.float64))
    found = conserve_field(guess, mesh, spec, "q", disc, given)
    torch.testing.assert_close(_divergence(space, cells, found[:, 0]), q, rtol=0, atol=1e-10)
    error, before = (float(space.norm(dofs[:, 0] - truth)) for dofs in (found, guess))
    moved = float(space.norm((found - guess)[:, 0]))
    assert error**2 + moved**2 == pytest.approx(before**2, rel=1e-9)  # an orthogonal projection
    if closed:
        assert bool((found[space.dofs("boundary"), 0] == 0).all())
        bad = mesh.with_cell_data(q=torch.ones(mesh.n_cells, dtype=torch.float64))
        with pytest.raises(ml.FieldError, match="contradict"):
            conserve_field(guess, bad, spec, "q", disc, given)


def _divergence(space, cells, dofs):
    made = cells.assemble(lambda v, x: div(x.w) * v, w=space.function(dofs))
    return made / cells.assemble(lambda v, x: v)


def test_mixing_takes_means_by_measure():
    """A dof split into two with half its share each changes nothing; meshes of a batch do not mix."""
    layer = PartitionMixing(8, 3).double()
    x, share = torch.randn(5, 8).double(), torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15]).double()
    plain = layer(x, share, [5])
    split = layer(torch.cat([x, x[4:]]), torch.cat([share[:4], share[4:] / 2, share[4:] / 2]), [6])
    torch.testing.assert_close(split[:5], plain)
    other = torch.randn(4, 8).double()
    both = layer(torch.cat([x, other]), torch.cat([share, torch.full((4,), 0.25).double()]), [5, 4])
    torch.testing.assert_close(both[:5], plain)
