"""Dirichlet values given as tensors have one meaning, or are refused."""

import numpy as np
import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import AffineConstraint, Dofs, FESpace
from meshlearn.mesh.elevation import second_order

DOUBLE = torch.float64


def _shuffled(mesh):
    """The same mesh with its points numbered in another order."""
    order = torch.randperm(mesh.n_points, generator=torch.Generator().manual_seed(0))
    number = torch.argsort(order)
    return mesh.replace(points=mesh.points[order], cells={k: number[table] for k, table in mesh.cells.items()})


def _wave(x):
    return torch.sin(3 * x[0]) + x[1] ** 2


@pytest.mark.parametrize("element", ["P1", "P2", "P3", "CR"])
def test_values_of_dofs_of_selected_dofs_and_of_points_mean_the_same(element):
    space = FESpace(uneven("triangle"), element)
    linear = lambda x: 1 + 2 * x[0] - x[1]  # noqa: E731
    wanted = space.dirichlet("left", linear)
    all_dofs = space.interpolate(linear)
    at_points = linear(space.mesh.points.t())
    for values in (all_dofs, all_dofs[space.dofs("left")], at_points):
        for given in (values, values.numpy()):
            made = space.dirichlet("left", given)
            assert torch.equal(made.constrained, wanted.constrained)
            assert torch.allclose(made.g, wanted.g, rtol=1e-13, atol=1e-15)


def test_dofs_and_selected_dofs_come_back_to_the_last_bit():
    space = FESpace(uneven("triangle"), "P2")
    values = torch.rand(space.n_dofs, dtype=DOUBLE)
    dofs = space.dofs("boundary")
    for given in (values, values[dofs], values.numpy(), space.function(values)):
        assert torch.equal(space.dirichlet("boundary", given).g[dofs], values[dofs])


def test_on_second_order_meshes_points_and_dofs_are_told_apart():
    space = FESpace(_shuffled(second_order(plain("triangle"))), "P2")
    assert space.n_dofs == space.mesh.n_points
    dofs, points = space.interpolate(_wave), _wave(space.mesh.points.t())
    left = space.dofs("left")
    for values in (dofs, points):
        with pytest.raises(ml.FieldError, match="one per dof of the space or one per point of the mesh, which differ"):
            space.dirichlet("left", values)
    named = FESpace(space.mesh.with_point_data(g=points), "P2").dirichlet("left", "g")
    for made in (space.dirichlet("left", space.function(dofs)), named):
        assert torch.allclose(made.g[left], _wave(space.dof_points.t())[left], rtol=1e-13)
    assert torch.equal(
        space.dirichlet("left", 2 * torch.ones(space.n_dofs)).g[left], torch.full((len(left),), 2.0).double()
    )


def test_a_length_that_fits_twice_is_refused_only_where_it_matters():
    space = FESpace(plain("triangle", 2), "P2")  # as many points as dofs on two sides
    where = space.dofs("boundary")[: space.mesh.n_points]
    with pytest.raises(ml.FieldError, match=r"selected dof or one per point of the mesh.*\n.*space.function"):
        space.dirichlet(where, torch.arange(space.mesh.n_points).double())
    assert space.dirichlet(where, torch.ones(space.mesh.n_points)).g[where].eq(1).all()


def test_values_follow_the_order_in_which_dofs_are_listed():
    space = FESpace(plain("triangle", 3), "P1")
    made = space.dirichlet(Dofs([7, 2, 5]), torch.tensor([70.0, 20.0, 50.0]))
    assert torch.equal(made.g, space.dirichlet([7, 2, 5], torch.tensor([70.0, 20.0, 50.0])).g)
    assert made.g[[2, 5, 7]].tolist() == [20.0, 50.0, 70.0]
    assert torch.equal(
        made.g, AffineConstraint.dirichlet(16, torch.tensor([7, 2, 5]), torch.tensor([70.0, 20.0, 50.0])).g
    )


def test_gradients_flow_to_every_kind_of_tensor():
    space = FESpace(uneven("triangle"), "P2")
    for n in (space.n_dofs, len(space.dofs("left")), space.mesh.n_points):
        values = torch.rand(n, dtype=DOUBLE, requires_grad=True)
        (slope,) = torch.autograd.grad(space.dirichlet("left", values).g.sum(), values)
        assert slope.sum().item() == pytest.approx(len(space.dofs("left")))


def test_vectors_and_parts():
    space = FESpace(uneven("triangle"), "P2^d")
    points = space.mesh.points
    made = space.dirichlet("left", torch.stack([1 + points[:, 1], points[:, 1]], 1).numpy())
    wanted = space.dirichlet("left", lambda x: [1 + x[1], x[1]])
    assert torch.allclose(made.g, wanted.g, rtol=1e-13)
    pair = FESpace(space.mesh, ("P2^d", "P1"))
    dofs = pair.interpolate((lambda x: [x[0], x[1]], lambda x: 3 * x[0]))
    for component in (0, 1, None):
        where = pair.dofs("left", component)
        assert torch.equal(pair.dirichlet("left", dofs, component).g[where], dofs[where])
    assert torch.allclose(pair.dirichlet("top", 3 * points[:, 0], 1).g, pair.dirichlet("top", dofs, 1).g, rtol=1e-13)


@pytest.mark.parametrize("values", [0.0, 0, 1.0, np.float64(0.0)])
def test_a_number_for_all_parts_of_a_composite_space_is_refused(values):
    """0.0 on the boundary is meant for the velocity; it would fix the pressure, too."""
    pair = FESpace(plain("triangle"), ("P2^d", "P1"))
    for where, given in (("boundary", values), ({"left": values}, 0.0), (lambda x: x[0] == 0, values)):
        with pytest.raises(ml.ParameterError, match=r"all 2 parts of .*say which part .*component=0"):
            pair.dirichlet(where, given)
    held = pair.dirichlet("boundary", values, component=1)
    assert torch.equal(held.constrained, pair.dofs("boundary", 1))
    some = pair.dofs("boundary")  # dofs say for themselves what they are
    assert torch.equal(pair.dirichlet(some, 0.0).constrained, some)


def test_dofs_of_another_space_are_refused():
    mesh = uneven("triangle")
    p2, p1 = FESpace(mesh, "P2"), FESpace(mesh, "P1")
    with pytest.raises(ml.ParameterError, match=r"dofs of FESpace\(TriP1.*for FESpace\(TriP2"):
        p2.dirichlet(p1.dofs("boundary"), 0.0)
    with pytest.raises(ml.ParameterError, match="dofs of FESpace"):
        p2.dofs(torch.cat([p1.dofs("left")[1:], p1.dofs("top")]))
    with pytest.raises(ml.ParameterError, match="two spaces"):
        torch.cat([p1.dofs("left"), p2.dofs("left")])
    again = FESpace(mesh.replace(points=2 * mesh.points), "P2")  # the same dofs elsewhere
    both = torch.cat([p2.dofs("left"), p2.dofs("top")]).unique()
    assert again.dirichlet(both, 0.0).n_free == p2.dirichlet(["left", "top"], 0.0).n_free
    numbers = Dofs(p1.dofs("boundary").tolist())  # of no space: numbers are taken as they are
    assert torch.equal(p2.dirichlet(numbers, 0.0).constrained, numbers)


def test_shapes_that_fit_nothing_and_arrays_of_words_are_refused():
    space = FESpace(plain("triangle"), "P2")
    with pytest.raises(ml.FieldError, match=r"one per dof of the space .*selected dof .*point of the mesh"):
        space.dirichlet("left", np.zeros(3))
    with pytest.raises(ml.FieldError, match="values is an array of <U1"):
        space.dirichlet("left", np.array(["a"] * space.n_dofs))
    assert space.dirichlet("left", np.float32(2.0)).g.max() == 2.0


@pytest.mark.parametrize("where", [lambda x: x[0] > 99, torch.zeros(9, dtype=torch.bool), {"left": 0.0, "nobody": 1.0}])
def test_a_condition_on_nothing_is_refused(where):
    mesh = plain("triangle")
    space = FESpace(mesh.replace(point_sets={"nobody": torch.zeros(0, dtype=torch.int64)}), "P2")
    with pytest.raises(ml.ParameterError, match=r"selects no dof of .*\n.*lie in \[0, 1\] x \[0, 1\]"):
        space.dirichlet(where, 0.0)


def test_elements_without_dofs_on_facets_have_nothing_to_prescribe():
    space = FESpace(plain("triangle"), "P0")
    assert len(space.dofs("boundary")) == 0
    with pytest.raises(ml.ParameterError, match="if the element has some"):
        space.dirichlet("boundary", 0.0)
    assert space.dirichlet([], 0.0).is_identity
    assert space.dirichlet(Dofs([]), 0.0).is_identity


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_bubbles_take_boundary_values_as_the_nodes_do(kind):
    """Alone and as a part: what a function does elsewhere plays no part on the boundary, and the bubble follows."""
    mesh = uneven(kind, 2)
    stream = lambda x: [torch.sin(3 * x[0]), x[-1] ** 2, x[0] * x[1]][: len(x.points)]  # noqa: E731
    alone, pair, plain_p1 = (FESpace(mesh, element) for element in ("MINI^d", ("MINI^d", "P1"), "P1^d"))
    left = alone.dofs("left")
    made, wanted = alone.dirichlet("left", stream), plain_p1.dirichlet("left", stream)
    assert torch.allclose(made.g[left], wanted.g[plain_p1.dofs("left")], rtol=0, atol=1e-14)
    part = pair.dirichlet("left", stream, component=0)
    assert torch.allclose(pair.split(part.g)[0], made.g, rtol=0, atol=1e-14)
    dofs = alone.interpolate(stream)
    gap = alone.evaluate(dofs, mesh.cell_centroids()[kind]) - torch.stack(stream(_Columns(mesh, kind)), 1)
    assert gap.abs().max() < 1e-13
    assert alone.dirichlet("left", [1.0, 2.0, 3.0][: mesh.dim]).g[left].max() == mesh.dim


class _Columns(list):
    """Centroids as a function of the place sees them."""

    def __init__(self, mesh, kind):
        self.points = mesh.cell_centroids()[kind].t()
        super().__init__(self.points)


def test_elements_without_interpolation_take_zero_or_dofs():
    space = FESpace(plain("triangle"), "N3")
    dofs = torch.rand(space.n_dofs, dtype=DOUBLE)
    left = space.dofs("left")
    assert torch.equal(space.dirichlet("left", space.function(dofs)).g[left], dofs[left])
    assert space.dirichlet("left", 0.0).g.abs().max() == 0
    with pytest.raises(ml.ParameterError, match="boundary values of a function are not known"):
        space.dirichlet("left", lambda x: [x[1], x[0]])


@pytest.mark.parametrize("element", ["P1", "P2", "P1^d", "RT0"])
@pytest.mark.parametrize("kind", ["triangle", "tetra", "triangle6"])
def test_tensors_are_points_of_the_mesh_on_every_element(element, kind):
    space = FESpace(plain(kind, 3), element)
    mesh, left = space.mesh, space.mesh.points[:, 0] == 0
    numbers = torch.nonzero(left)[:, 0]
    for where in (left, numbers, numbers.flip(0), numbers.numpy(), numbers.tolist(), left.numpy()):
        assert torch.equal(space.dofs(where), space.dofs("left"))
        assert torch.equal(space.dirichlet(where, 0.0).constrained, space.dofs("left"))
    assert torch.equal(space.dirichlet(mesh.boundary_points, 0.0).constrained, space.dofs("boundary"))


def test_points_of_periodic_sides_are_told_from_dofs():
    space = FESpace(plain("triangle", 3), "P2")
    left, right = (torch.nonzero(space.mesh.points[:, 0] == x)[:, 0] for x in (0, 1))
    wanted, made = space.periodic("left", "right"), space.periodic(left, right)
    assert torch.equal(made.independent, wanted.independent)
    assert torch.equal(space.periodic(space.dofs("left"), space.dofs("right")).independent, wanted.independent)


def test_values_of_points_come_in_the_order_in_which_they_are_listed():
    mesh = uneven("triangle", 3)
    left = torch.nonzero(mesh.points[:, 0] == 0)[:, 0].flip(0)
    for element, components in (("P1", 1), ("P2", 1), ("P2^d", 2)):
        space = FESpace(mesh, element)
        linear = (lambda x: 1 + 2 * x[1]) if components == 1 else (lambda x: [1 + 2 * x[1], x[1]])
        values = linear(mesh.points[left].t())
        values = values if components == 1 else torch.stack(values, 1)
        assert torch.allclose(space.dirichlet(left, values).g, space.dirichlet("left", linear).g, rtol=1e-14)


def test_lists_leave_components_free():
    space = FESpace(uneven("triangle"), "P2^d")
    wanted = space.dirichlet("left", lambda x: 1 + x[1], component=1)
    made = space.dirichlet("left", [None, lambda x: 1 + x[1]])
    assert torch.equal(made.constrained, wanted.constrained)
    assert torch.equal(made.g, wanted.g)
    rollers = space.dirichlet({"left": [0.0, None], "bottom": [None, 0.0]})
    assert rollers.n - rollers.n_free == 2 * 5
    with pytest.raises(ml.ParameterError, match=r"\[None, None\] leaves all 2 components free"):
        space.dirichlet("left", [None, None])
    with pytest.raises(ml.ParameterError, match="one entry for each of the 2 components"):
        space.dirichlet("left", [None, 0.0, 0.0])
    with pytest.raises(ml.ParameterError, match="no composite space"):
        FESpace(space.mesh, ("P2^d", "P1")).dirichlet("left", [None, 0.0], component=0)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (torch.ones(25, dtype=torch.bool), r"a mask \(25,\) with 25 True.*\n.*ml.fem.Dofs"),
        (torch.arange(25), r"point numbers lie in 0 … 8; got 0 … 24.*\n.*ml.fem.Dofs"),
        (torch.rand(9), r"a tensor \(9,\) of float32: expected the name"),
        (["left", 3], r"\['left', 3\]: expected the name"),
        (Dofs([25]), "dof numbers lie in 0 … 24"),
    ],
)
def test_other_numbers_and_masks_say_how_dofs_are_given(where, words):
    with pytest.raises(ml.ParameterError, match=words):
        FESpace(plain("triangle"), "P2").dirichlet(where, 0.0)
