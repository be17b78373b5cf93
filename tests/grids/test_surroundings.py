"""Learned kernels: the same channels on all meshes of a field, no empty neighbourhood, and their place in a model."""

import itertools

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.grids.surroundings import KernelEncoder, surroundings
from meshlearn.testing import check_estimator
from tests.grids.adapter_cases import wave

EDGE = 0.05  # nodes whose kernels are not of another radius on one of the meshes


def graded(n, power=1.5, dim=2):
    """A box whose points crowd towards its low corner."""
    mesh = (ml.shapes.square(n=n) if dim == 2 else ml.shapes.box(n=n)).double()
    return mesh.replace(points=mesh.points**power)


def channels(mesh, encoder, shape=9, **options):
    pair = ml.MeshToGrid(shape, radius=2.0, neighbors=1, **options).transfer(mesh)
    with torch.no_grad():
        return encoder(surroundings(pair, wave(mesh.points)[:, None]))


@pytest.mark.parametrize("dim", [2, 3])
def test_channels_do_not_depend_on_the_grading_of_the_mesh_to_second_order(dim):
    torch.manual_seed(0)
    encoder = KernelEncoder(1, dim, 3).double()
    sizes, gaps = ((16, 32, 64), []) if dim == 2 else ((8, 16, 32), [])
    shape = 9 if dim == 2 else 5
    for n in sizes:
        uniform = graded(n, 1.0, dim)
        gap = channels(graded(n, 1.5, dim), encoder, shape) - channels(uniform, encoder, shape)
        gaps.append(float(gap.norm() / channels(uniform, encoder, shape).norm()))
    rates = np.log2([a / b for a, b in itertools.pairwise(gaps)])
    assert rates[-1] > 1.6, (gaps, rates)
    assert gaps[-1] < 5e-3, gaps


def test_shares_are_means_over_what_lies_within_the_radius():
    pair = ml.MeshToGrid(6).transfer(graded(6))
    around = surroundings(pair, wave(graded(6).points)[:, None])
    sums = torch.zeros(36, dtype=torch.float64).index_add_(0, around.edges.receivers, around.shares)
    assert torch.allclose(sums, torch.ones(36, dtype=torch.float64))
    assert (around.shares >= 0).all()
    assert (around.offsets.norm(dim=1) <= 1.0 + 1e-12).all()


def test_no_node_is_without_neighbours():
    """A few points far apart, a fine grid: the radius grows until there are enough."""
    cloud = ml.Mesh(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.52]]))
    pair = ml.MeshToGrid(20, radius=0.5, neighbors=2).transfer(cloud)
    around = surroundings(pair, torch.arange(5.0)[:, None])
    assert int(around.edges.ptr.diff().min()) >= 2
    assert torch.isfinite(KernelEncoder(1, 2, 4)(around)).all()


def test_gradients_reach_the_kernel_and_the_values():
    pair = ml.MeshToGrid(4).transfer(graded(3))
    encoder = KernelEncoder(2, 2, 2).double()

    def apply(values):
        return encoder(surroundings(pair, values))

    assert torch.autograd.gradcheck(apply, torch.rand(16, 2, dtype=torch.float64, requires_grad=True))
    apply(torch.rand(16, 2, dtype=torch.float64)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())


def holed(n):
    made = []
    for k in range(n):
        mesh = ml.shapes.plate_with_holes([(0.35 + 0.1 * k, 0.5, 0.15)], size=0.12, seed=k, boundary=False)
        mesh = mesh.with_point_data(f=wave(mesh.points), u=wave(mesh.points) * mesh.points[:, 0])
        made.append(mesh.with_cell_data(k=mesh.join_cells(mesh.cell_centroids())[:, 0]))
    return made


@pytest.mark.parametrize("core", ["unet", "deeponet"])
def test_models_see_learned_channels_of_points_and_cells(core, tmp_path):
    meshes = holed(3)
    model = ml.GridOperator(["f", "k"], ["u"], core=core, core_options={"hidden": 8}, shape=8, learned=5)
    model.fit(meshes, epochs=2, progress=False).save(tmp_path / "model")
    assert set(model.module_.encoders) == {"point", "cell"}
    together = model.predict(meshes)
    for mesh, pred in zip(meshes, together, strict=True):
        assert torch.allclose(model.predict(mesh).point_data["u"], pred.point_data["u"], atol=1e-5)
    again = ml.load(tmp_path / "model").predict(meshes[0])
    assert torch.equal(again.point_data["u"], model.predict(meshes[0]).point_data["u"])
    kernel = next(iter(model.module_.encoders["point"].parameters()))
    with torch.no_grad():
        kernel.add_(1.0)
    assert not torch.allclose(model.predict(meshes[0]).point_data["u"], together[0].point_data["u"], atol=1e-4)


def test_new_values_are_written_into_learned_channels_too():
    from meshlearn.train.writer import writer_of

    mesh = holed(1)[0]
    model = ml.GridOperator(["f", "k"], ["u"], core="unet", core_options={"hidden": 8}, shape=8, learned=2)
    model.fit([mesh], epochs=1, progress=False)
    writer = writer_of(model)
    other = mesh.with_point_data(f=mesh.points[:, 1]).with_cell_data(k=-mesh.cell_data["k"]["triangle"])
    normal = [model.normalizers_.normalise(model.prepare(m).to("cpu", torch.float32)) for m in (mesh, other)]
    tables = {"f": other.point_data["f"][:, None], "k": other.cell_data["k"]["triangle"][:, None]}
    written = writer.write(normal[0], tables, writer.carriers(mesh))
    for name, values in normal[1].feature_tensors().items():
        assert torch.allclose(written.feature_tensors()[name], values, atol=1e-4), name


def test_a_wrong_number_of_learned_channels_is_told():
    model = ml.GridOperator(["f"], ["u"], core="unet", shape=8, learned=-1)
    with pytest.raises(ml.ParameterError, match="learned=-1 is not allowed"):
        model.fit(holed(1), epochs=1, progress=False)


@pytest.mark.slow
def test_operators_with_learned_kernels_keep_the_contract():
    def make(inputs, outputs):
        return ml.GridOperator(inputs, outputs, core="unet", core_options={"hidden": 8}, shape=8, learned=3)

    assert len(check_estimator(make, inputs=("f", "q", "a"), outputs=("u",))) > 10
