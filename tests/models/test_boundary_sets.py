"""Patterns of `boundary_sets`: each must match a set of some training mesh."""

import pytest

import meshlearn as ml


def squares():
    """One with a tag, one without."""
    meshes = [ml.shapes.square(n=2), ml.shapes.square(n=3).replace(point_sets={"pin": [0]})]
    return [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]


def fit(kind, patterns):
    if kind is ml.RidgeRegression:
        return kind([], ["u"], boundary_sets=patterns).fit(squares())
    model = kind([], ["u"], hidden=8, steps=1, levels=1, boundary_sets=patterns)
    return model.fit(squares(), epochs=1, progress=False)


@pytest.mark.parametrize("kind", [ml.MeshGraphNet, ml.RidgeRegression])
def test_a_pattern_that_matches_nothing_anywhere_is_an_error(kind):
    with pytest.raises(ml.FieldError, match=r"matches 'zz\*'") as caught:
        fit(kind, ["left", "zz*"])
    assert "pin" in str(caught.value)
    assert fit(kind, ["left", "pi*"]).is_fitted, "one mesh with the set is enough"
