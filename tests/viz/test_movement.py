import pytest
import torch

import meshlearn as ml


@pytest.mark.parametrize(
    "make", [lambda: ml.shapes.square(n=5), lambda: ml.shapes.box(n=2), lambda: ml.shapes.interval(n=6)]
)
def test_the_move_is_drawn_on_one_scale(make, tmp_path):
    moved = ml.MongeAmpereMover(strict=False, rtol=1e-3).move(make(), lambda x: 1 + 3 * x[:, 0])
    figure = ml.viz.movement(moved, file=tmp_path / "move.png", title="towards the right", backend="matplotlib")
    assert (tmp_path / "move.png").stat().st_size > 10_000
    assert [ax.get_title() for ax in figure.axes[:2]] == ["before", "after"]
    assert "→" in figure.axes[3].get_title()
    assert [len(ax.patches) for ax in figure.axes[2:4]] == [2, 2]


def test_other_objects_are_refused():
    with pytest.raises(ml.ParameterError, match=r"got Mesh without start[\s\S]*MongeAmpereMover"):
        ml.viz.movement(ml.shapes.square(n=2).with_point_data(u=torch.ones(9)))
