"""Long thin shapes: pictures that show them, colour bars that can be read."""

import matplotlib.pyplot as plt
import pytest

import meshlearn as ml


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def drawn(width, height):
    mesh = ml.shapes.rectangle(width, height, n=(8, 8))
    return ml.viz.plot(mesh.with_point_data(u=mesh.points.sum(1)), "u")


@pytest.mark.parametrize(
    ("width", "height"), [(1.0, 1.0), (10.0, 1.0), (1.0, 10.0), (1e3, 1.0), (1.0, 1e3), (1e6, 1e-6)]
)
def test_shapes_and_colour_bars_of_any_proportion_can_be_seen(width, height):
    ax = drawn(width, height)
    ax.figure.draw_without_rendering()
    dpi = ax.figure.dpi
    box, bar = (each.get_window_extent() for each in (ax, ax.child_axes[0]))
    assert min(box.width, box.height) > 0.15 * dpi, "inches"
    assert sorted((bar.width / dpi, bar.height / dpi))[0] > 0.1
    assert sorted((bar.width / dpi, bar.height / dpi))[1] > 0.9
    assert not box.overlaps(bar)
    whole = ax.figure.bbox
    assert box.width * box.height > 0.1 * whole.width * whole.height, "not mostly margin"


@pytest.mark.parametrize(("width", "height", "label"), [(100.0, 1.0, "y × 4"), (1.0, 100.0, "x × 4"), (20.0, 1.0, "")])
def test_a_stretched_axis_says_so(width, height, label):
    ax = drawn(width, height)
    assert ax.get_xlabel() + ax.get_ylabel() == label
    assert ax.get_aspect() == pytest.approx({"y × 4": 4.0, "x × 4": 0.25, "": 1.0}[label])


def test_panels_of_wide_shapes_stand_one_above_the_other(tmp_path):
    for size, is_wide in (((9.0, 1.0), True), ((1.0, 1.0), False)):
        mesh = ml.shapes.rectangle(*size, n=(4, 4))
        mesh = mesh.with_point_data(u=mesh.points[:, 0])
        tops = [ax.get_position().y1 for ax in ml.viz.triptych(mesh, mesh, "u").axes]
        assert (len({round(top, 2) for top in tops}) == 3) == is_wide


def test_legends_of_tags_keep_clear_of_bars_and_ticks(tmp_path):
    for size in ((12.0, 1.0), (1.0, 1.0), (1.0, 12.0)):
        mesh = ml.shapes.rectangle(*size, n=(4, 4))
        ax = ml.viz.plot(mesh.with_point_data(u=mesh.points[:, 0]), "u", tags=True)
        ax.figure.draw_without_rendering()
        legend = ax.get_legend().get_window_extent()
        below = min([tick.get_window_extent().y0 for tick in ax.get_xticklabels()])
        if size[0] > size[1]:
            below = min(below, ax.child_axes[0].get_tightbbox().y0)
        assert legend.y1 < below
