"""Truth, prediction and error on scales that can be compared."""

import matplotlib.pyplot as plt
import pytest
import torch

import meshlearn as ml


@pytest.fixture
def truth():
    mesh = ml.shapes.square(n=4)
    u = mesh.points[:, 0]
    per_cell = torch.arange(float(mesh.n_cells))
    return mesh.with_point_data(u=u, v=torch.stack([u, 2 * u], 1)).with_cell_data(k=per_cell)


def panels(figure):
    return [(ax.get_title(), ax.collections[0].get_clim()) for ax in figure.axes]


def test_truth_and_prediction_share_a_scale_and_the_error_is_signed(truth, tmp_path):
    prediction = truth.with_point_data(u=1.5 * truth.point_data["u"])
    figure = ml.viz.triptych(prediction, truth, "u", file=tmp_path / "out.png", title="a plate")
    (_, first), (_, second), (head, error) = panels(figure)
    assert first == second == (0.0, 1.5)
    assert error == (-0.5, 0.5)
    assert head.endswith("0.5")
    assert (tmp_path / "out.png").stat().st_size > 5000


def test_the_error_of_a_vector_is_the_length_of_the_difference(truth):
    turned = truth.with_point_data(v=-truth.point_data["v"])
    figure = ml.viz.triptych(turned, truth, "v")
    (_, (low, high)) = panels(figure)[2]
    assert low == 0.0
    assert high == pytest.approx(2 * 5**0.5)
    assert panels(figure)[2][0].endswith("L2 2")
    signed = ml.viz.triptych(turned, truth, "v", component=0)
    assert panels(signed)[2][1] == (-2.0, 2.0)
    plt.close("all")


def test_cell_fields_and_solids(truth, tmp_path):
    prediction = truth.with_cell_data(k=torch.zeros(truth.n_cells))
    assert panels(ml.viz.triptych(prediction, truth, "k"))[2][0].endswith("L2 1")
    solid = ml.shapes.box(n=(2, 2, 2))
    solid = solid.with_point_data(u=solid.points[:, 2])
    ml.viz.triptych(solid, solid, "u", file=tmp_path / "solid.png", backend="matplotlib")
    plt.close("all")


def test_other_meshes_are_refused(truth):
    other = ml.shapes.square(n=3).with_point_data(u=torch.zeros(16))
    with pytest.raises(ml.FieldError, match="interpolate"):
        ml.viz.triptych(other, truth, "u")


def test_units_stand_behind_names(truth):
    figure = ml.viz.triptych(truth, truth, "u", unit="mm")
    heads = [head for head, _ in panels(figure)]
    assert heads[:2] == ["truth: u [mm]", "prediction: u [mm]"]
    assert heads[2].startswith("error [mm]: relative L2")
    assert ml.viz.plot(truth, "v", unit="mm").child_axes[0].get_ylabel() == "|v| [mm]"
    plt.close("all")


@pytest.mark.parametrize("shape", [(8.0, 1.0), (1.0, 1.0)])
def test_the_title_of_the_figure_keeps_clear_of_those_of_the_panels(shape):
    mesh = ml.shapes.rectangle(*shape, n=(4, 4))
    mesh = mesh.with_point_data(u=mesh.points[:, 0])
    figure = ml.viz.triptych(mesh, mesh, "u", title="a long title that says what kind of plate is seen here, and more")
    figure.draw_without_rendering()
    above = figure._suptitle.get_window_extent()
    for ax in figure.axes:
        gap = above.y0 - ax.title.get_window_extent().y1
        assert gap >= 0.3 * above.height
    plt.close("all")
