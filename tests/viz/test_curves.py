"""Training curves and score bars."""

import matplotlib.pyplot as plt
import pytest

import meshlearn as ml

HISTORY = [{"epoch": i, "loss": 1.0 / i, "validation": 2.0 / i, "learning_rate": 0.1, "best": True} for i in (1, 2, 3)]


def lines(ax):
    return {line.get_label(): list(line.get_ydata()) for line in ax.lines}


def test_one_line_per_number(tmp_path):
    ax = ml.viz.training_curves(HISTORY, file=tmp_path / "curves.png")
    assert lines(ax) == {"loss": [1.0, 0.5, 1 / 3], "validation": [2.0, 1.0, 2 / 3]}
    assert (tmp_path / "curves.png").stat().st_size > 3000


def test_a_fitted_model_and_a_table_of_lists_will_do():
    class Fitted:
        history_ = HISTORY

    by_list = {"loss": [1.0, 0.5, 1 / 3], "validation": [2.0, 1.0, 2 / 3]}
    assert lines(ml.viz.training_curves(Fitted())) == lines(ml.viz.training_curves(by_list))
    plt.close("all")


def test_gaps_and_zeros():
    ax = ml.viz.training_curves([{"loss": 0.0}, {"loss": float("nan")}, {"loss": 2.0, "score": 1.0}])
    assert ax.get_yscale() == "linear"
    assert list(ax.lines[0].get_xdata()) == [1.0, 3.0]
    plt.close("all")


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], 3])
def test_no_history_is_an_error(history):
    with pytest.raises(ml.ParameterError, match="history"):
        ml.viz.training_curves(history)


def test_bars(tmp_path):
    scores = {"mean": {"u": 1.0, "v": 0.5}, "network": {"u": 0.1, "v": 0.2}}
    ax = ml.viz.score_bars(scores, file=tmp_path / "bars.png")
    assert [bar.get_height() for bar in ax.patches] == [1.0, 0.5, 0.1, 0.2]
    assert ax.get_ylabel() == "relative L2 error"
    assert ml.viz.score_bars(scores, label="relative error").get_ylabel() == "relative error"
    plt.close("all")
    with pytest.raises(ml.ParameterError, match="empty"):
        ml.viz.score_bars({})
