"""Training curves, and scores of several models side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.viz.style import finish, style

_NOT_CURVES = ("epoch", "step", "steps", "time", "seconds", "learning_rate", "lr")


def training_curves(
    history: Any,
    *,
    ax: Any = None,
    file: str | os.PathLike | None = None,
    title: str | None = None,
    show: bool = False,
) -> Any:
    """Draw losses and scores over the epochs, logarithmically. Returns the matplotlib axes.

    history  a fitted estimator, its `history_` (a list with one dictionary per epoch), or {name: values}

    Entries that are not numbers, the learning rate and times are left out. Raises ParameterError for an empty history.

    >>> ax = ml.viz.training_curves([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.1}])
    >>> ax.get_yscale()
    'log'
    """
    import matplotlib.pyplot as plt

    curves = _curves(getattr(history, "history_", history))
    owned = ax is None
    with style():
        if owned:
            _, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
        for name, (epochs, values) in curves.items():
            ax.plot(
                epochs, values, label=name.replace("_", " "), linewidth=1.5, linestyle="-" if len(values) > 1 else ""
            )
            if len(values) == 1:
                ax.plot(epochs, values, ".", color=ax.lines[-1].get_color())
        if all(value > 0 for _, values in curves.values() for value in values):
            ax.set_yscale("log")
        ax.set_xlabel("epoch")
        ax.grid(True, which="major", linewidth=0.4, color="0.88")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend()
        if title:
            ax.set_title(title)
        finish(ax.figure, file, show, owned)
    return ax


def _curves(history: Any) -> dict[str, tuple[list[float], list[float]]]:
    if isinstance(history, Mapping):
        rows = [dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)]
    elif isinstance(history, Sequence) and not isinstance(history, str):
        rows = [dict(row) for row in history]
    else:
        raise ParameterError(f"a history is a list of dictionaries, one per epoch, not {type(history).__name__}.")
    first = 1.0 if not rows or rows[0].get("epoch", 0) == 0 else 0.0
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for number, row in enumerate(rows, 1):
        for name, value in row.items():
            if name in _NOT_CURVES or isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
                continue
            epochs, values = curves.setdefault(name, ([], []))
            epochs.append(float(row.get("epoch", number - 1)) + first)
            values.append(float(value))
    if not curves:
        raise ParameterError("the history is empty: fit a model first, for at least one epoch.")
    return curves


def score_bars(
    scores: Mapping[str, Mapping[str, float]],
    *,
    file: str | os.PathLike | None = None,
    title: str | None = None,
    label: str = "relative L2 error",
    show: bool = False,
) -> Any:
    """Draw relative errors of several models as bars, one group per field. Returns the matplotlib axes.

    scores  {model: {field: relative L2 error}}; every model needs the same fields
    label   of the vertical axis

    >>> ax = ml.viz.score_bars({"mean": {"u": 1.0}, "network": {"u": 0.05}})
    >>> len(ax.patches)
    2
    """
    import matplotlib.pyplot as plt

    if not scores:
        raise ParameterError("scores is empty: give at least one {model: {field: error}}.")
    fields = list(next(iter(scores.values())))
    width = 0.8 / len(scores)
    with style():
        figure, ax = plt.subplots(figsize=(1.6 + 2.0 * len(fields), 3.0), layout="constrained")
        colors = plt.get_cmap("viridis")
        for i, (model, errors) in enumerate(scores.items()):
            places = [k + (i - (len(scores) - 1) / 2) * width for k in range(len(fields))]
            heights = [float(errors[field]) for field in fields]
            color = colors(0.15 + 0.7 * i / max(len(scores) - 1, 1))
            bars = ax.bar(places, heights, 0.92 * width, label=model, color=color)
            ax.bar_label(bars, fmt="%.2g", fontsize=7, padding=1)
        ax.set_xticks(range(len(fields)), [field.replace("_", " ") for field in fields])
        ax.set_ylabel(label)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if title:
            ax.set_title(title)
        finish(figure, file, show, owned=True)
    return ax
