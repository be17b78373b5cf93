"""The property checks themselves: true for what has the property, false for what has not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import meshlearn as ml
from meshlearn.testing import (
    LayerContract,
    RigidMotion,
    assert_permutation_equivariant,
    assert_rigid_equivariant,
    meshes,
    permute_mesh,
    rigid_motions,
)

KINDS = ("triangle", "quad", "mixed", "tetra", "hexahedron", "wedge", "pyramid", "mixed_3d")


def degree(mesh):
    return mesh.with_point_data(degree=mesh.point_adjacency.degree().double())


def number(mesh):
    return mesh.with_point_data(number=torch.arange(mesh.n_points, dtype=torch.float64))


def position(mesh):
    return mesh.with_point_data(p=mesh.points - mesh.points.mean(0))


@settings(deadline=None, max_examples=25)
@given(meshes(fields=True), st.integers(0, 100))
def test_degrees_move_with_the_points_and_numbers_do_not(mesh, seed):
    assert_permutation_equivariant(degree, mesh, seed=seed)
    if mesh.n_points > 8:
        with pytest.raises(AssertionError, match="number"):
            assert_permutation_equivariant(number, mesh, seed=seed)


@settings(deadline=None, max_examples=25)
@given(meshes(fields=True), st.data())
def test_relative_positions_turn_with_the_mesh(mesh, data):
    motion = data.draw(rigid_motions(dim=mesh.dim))
    assert_rigid_equivariant(position, mesh, vectors=["p", "w"], motion=motion)
    assert_rigid_equivariant(degree, mesh, motion=motion)


def test_a_model_that_does_not_turn_is_found():
    with pytest.raises(AssertionError, match="'p'"):
        assert_rigid_equivariant(position, ml.shapes.square(n=3).double())


@settings(deadline=None, max_examples=40)
@given(meshes(cells=KINDS, orders=(1, 2)))
def test_drawn_meshes_are_valid(mesh):
    assert mesh.n_cells > 0
    for kind, values in mesh.cell_measures().items():
        if kind in mesh.domain_types:
            assert (values > 0).all(), kind
    assert mesh.dtype == torch.float64


@given(meshes(cells=["cloud"]))
def test_drawn_clouds_have_no_cells(mesh):
    assert mesh.cells == {}


@given(st.sampled_from([2, 3]).flatmap(lambda dim: rigid_motions(dim=dim)))
def test_drawn_motions_are_proper_rotations(motion):
    dim = len(motion.shift)
    torch.testing.assert_close(motion.rotation @ motion.rotation.T, torch.eye(dim, dtype=torch.float64))
    assert float(torch.linalg.det(motion.rotation)) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(20))
def test_random_motions_are_proper_rotations(seed):
    for dim in (1, 2, 3):
        motion = RigidMotion.random(dim, seed)
        assert float(torch.linalg.det(motion.rotation)) == pytest.approx(1.0)


def test_permuting_keeps_measures_sets_and_fields():
    mesh = ml.shapes.rectangle(n=(4, 3), cells="mixed").double()
    mesh = mesh.with_point_data(x=mesh.points[:, 0]).with_cell_data(c=torch.arange(mesh.n_cells))
    new, points, cells = permute_mesh(mesh)
    assert torch.equal(new.point_data["x"], new.points[:, 0])
    for kind, values in mesh.cell_measures().items():
        torch.testing.assert_close(new.cell_measures()[kind], values[cells[kind]])
    left = new.cell_sets["left"]["line"]
    assert float(new.points[new.cells["line"][left]][..., 0].abs().max()) == 0.0
    assert torch.equal(points.sort()[0], torch.arange(mesh.n_points))


class Averaging(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, 3)

    def forward(self, x, graph):
        return torch.tanh(self.linear(x) + ml.ops.segment_mean(ml.ops.gather_senders(self.linear(x), graph), graph.ptr))


class TestAveraging(LayerContract):
    def make(self):
        return Averaging(self.width)


class Leaking(Averaging):
    def forward(self, x, graph):
        return super().forward(x, graph) + x.mean()


def test_the_contract_finds_a_layer_that_looks_at_other_meshes():
    class Contract(LayerContract):
        def make(self):
            return Leaking(self.width)

    with pytest.raises(AssertionError, match="not close"):
        Contract().test_batch_of_unlike_meshes_equals_a_loop()


def test_the_contract_finds_wrong_gradients():
    class Contract(LayerContract):
        def make(self):
            return Averaging(self.width)

        def apply(self, layer, x, points, graph):
            return layer(x.detach(), graph) + 0 * x.sum()

    with pytest.raises(Exception, match="Jacobian"):
        Contract().test_gradcheck_in_float64()
