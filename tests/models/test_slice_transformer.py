import functools

import pytest
import torch

import meshlearn as ml
from meshlearn.models.slice_transformer.attention import SliceAttention, SliceBlock
from meshlearn.testing import check_estimator

SMALL = {"hidden": 8, "layers": 1, "heads": 2, "slices": 4}


def plates(n):
    generator = torch.Generator().manual_seed(0)
    made = []
    for k in range(n):
        a, b = torch.rand(2, generator=generator).tolist()
        mesh = ml.shapes.plate_with_holes([(0.3 + 0.4 * a, 0.5, 0.15)], size=0.12, seed=k, boundary=False)
        x = mesh.points
        made.append(mesh.with_point_data(f=b * x[:, 0], u=b * x[:, 0] ** 2 + x[:, 1]))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "outputs"), [(("f", "q", "a"), ("u", "total")), (("f",), ("q",))])
def test_slice_transformers_keep_the_contract_of_estimators(inputs, outputs):
    make = functools.partial(ml.SliceTransformer, **SMALL)
    assert len(check_estimator(make, inputs=inputs, outputs=outputs)) > 10


@pytest.mark.slow
def test_a_slice_transformer_learns_a_few_meshes_by_heart():
    meshes = plates(3)
    model = ml.SliceTransformer(["f"], ["u"], hidden=16, layers=2, heads=2, slices=8)
    model.fit(meshes, epochs=150, learning_rate=5e-3, progress=False)
    assert model.score(meshes)["u"] < 0.05


def test_a_point_that_is_two_with_half_the_measure_each_changes_nothing():
    layer = SliceBlock(8, 2, 4, 2).double()
    x, weights = torch.randn(1, 10, 8).double(), torch.rand(1, 10).double()
    weights = weights / weights.sum()
    twice = torch.cat([x, x[:, :3]], dim=1)
    halves = torch.cat([weights, weights[:, :3] / 2], dim=1)
    halves[:, :3] /= 2
    assert torch.allclose(layer(twice, halves)[:, :10], layer(x, weights), atol=1e-12)
    equal = torch.full_like(halves, 1 / 13)
    assert not torch.allclose(layer(twice, equal)[:, :10], layer(x, torch.full_like(weights, 0.1)), atol=1e-4)


def test_padding_has_no_part_in_the_tokens():
    layer = SliceAttention(8, 2, 4)
    x, weights = torch.randn(2, 6, 8), torch.rand(2, 6)
    weights[1, 4:] = 0.0
    alone = layer(x[1:, :4], weights[1:, :4])
    assert torch.allclose(layer(x, weights)[1:, :4], alone, atol=1e-6)
    other = x.clone()
    other[1, 4:] = 100.0
    assert torch.allclose(layer(other, weights)[1:, :4], alone, atol=1e-6)


def test_slices_of_a_field_do_not_depend_on_how_a_mesh_is_graded():
    """Tokens are integrals: on a uniform and a graded mesh of one domain they agree better and better."""
    torch.manual_seed(1)
    layer, gaps = SliceAttention(4, 1, 3).double(), []
    for n in (10, 20):
        outs = []
        for power in (1.0, 2.0):
            mesh = ml.shapes.square(n=n, boundary=False).double()
            mesh = mesh.replace(points=mesh.points**power)
            x = mesh.points
            weights = mesh.point_measures()
            features = torch.stack([x[:, 0], x[:, 1], x[:, 0] * x[:, 1], torch.sin(3 * x[:, 0])], dim=1)
            corners = [int(((x - c).norm(dim=1)).argmin()) for c in (0.0, 1.0)]
            outs.append(layer(features[None], (weights / weights.sum())[None])[0, corners].detach())
        gaps.append(float((outs[0] - outs[1]).abs().max()))
    assert gaps[1] < gaps[0] / 2.5


def test_gradients_of_slice_attention():
    layer = SliceAttention(4, 2, 3).double()
    x, weights = torch.randn(1, 5, 4).double().requires_grad_(), torch.rand(1, 5).double()
    assert torch.autograd.gradcheck(lambda x: layer(x, weights), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 9}, "multiple of heads"),
        ({"slices": 0}, "slices=0"),
        ({"coordinates": "polar"}, "coordinates='polar'"),
        ({"distances": 1}, "distances=1"),
        ({"loss": "mes"}, "loss='mes'"),
        ({"boundary_sets": ["lefft"]}, "named 'lefft'"),
    ],
)
def test_wrong_arguments_of_a_slice_transformer_are_told(options, message):
    with pytest.raises(ml.MeshlearnError, match=message):
        ml.SliceTransformer(["f"], ["u"], **{**SMALL, **options}).fit(plates(1), epochs=1, progress=False)
