"""Arguments of models that cannot be: ParameterErrors that name the argument."""

import pytest

import meshlearn as ml

BAD = [
    {"hidden": "a"},
    {"hidden": 0},
    {"steps": None},
    {"levels": 2.5},
    {"levels": 99},
    {"coarse_steps": "x"},
    {"mlp_layers": -1},
    {"activation": 3},
    {"aggregation": "max"},
    {"context": "yes"},
    {"processor": 3},
    {"processor": "Foo"},
    {"processor_options": 3, "processor": "SAGEConv"},
    {"processor_options": {"heads": 0}, "processor": "GATv2Conv"},
    {"boundary_sets": None},
    {"boundary_sets": [3]},
    {"boundary_sets": "left"},
    {"distances": "no"},
    {"coordinates": "polar"},
    {"displacement": "w"},
    {"k": 0},
    {"noise": float("nan")},
    {"noise": True},
    {"fused": "a"},
    {"recompute": "a"},
    {"optimizer": "sgd"},
    {"loss": "foo"},
    {"loss": None},
]
BAD_RIDGE = [
    {"degree": 0},
    {"degree": True},
    {"degree": "a"},
    {"penalties": ()},
    {"penalties": None},
    {"penalties": "abc"},
    {"penalties": (float("nan"),)},
    {"penalties": 3.0},
    {"boundary_sets": "left"},
    {"boundary_sets": None},
]


def mesh():
    square = ml.shapes.square(n=2)
    return square.with_point_data(u=square.points[:, 0])


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_mesh_graph_net(bad):
    model = ml.MeshGraphNet(**{"outputs": ["u"], "hidden": 8, "steps": 1, **bad})
    with pytest.raises(ml.ParameterError, match=next(iter(bad)).split("_")[0]):
        model.fit(mesh(), epochs=1, progress=False)
    assert not model.is_fitted


@pytest.mark.parametrize("bad", BAD_RIDGE, ids=str)
def test_ridge(bad):
    with pytest.raises(ml.ParameterError, match=next(iter(bad))):
        ml.RidgeRegression([], ["u"], **bad).fit(mesh())


@pytest.mark.parametrize("kind", [ml.MeshGraphNet, ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression])
@pytest.mark.parametrize(("role", "names"), [("inputs", None), ("inputs", "u"), ("outputs", 3), ("outputs", [])])
def test_names_of_fields(kind, role, names):
    with pytest.raises(ml.ParameterError, match=f"^{role}"):
        kind(**{"inputs": [], "outputs": ["u"], role: names}).fit(mesh())
