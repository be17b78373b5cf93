"""What `meshlearn fit` lets one set: kinds of models, their settings and those of their training."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import typer

from meshlearn import _PUBLIC
from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean

_ROOMS = ("models.", "grids.")
_IN_PYTHON = ("models.neural_fields.field", "models.neural_fields.modulated")
_NOT_OF_FIELDS = (  # these move meshes or points, hold laws, wrap models, make bodies, hold or carry fields
    "models.movers",
    "models.giorom",
    "models.constitutive",
    "models.around",
    "models.cross_sections",
    *_IN_PYTHON,
    "models.neural_fields.reach",
    "grids.adapter",
)
KINDS = tuple(
    name for name, module in _PUBLIC.items() if module.startswith(_ROOMS) and not module.startswith(_NOT_OF_FIELDS)
)
"""Models that learn fields on meshes from fields on meshes: from `inputs` to `outputs`."""


def model_class(name: str) -> Any:
    """The estimator class of a public name; raises ParameterError with the names there are."""
    import meshlearn as ml

    if name not in KINDS:
        if name in _PUBLIC and _PUBLIC[name].startswith(_IN_PYTHON):
            raise ParameterError(
                f"{name} represents fields and is fitted in Python; predict and score take folders of saved ones.\n"
                f"  the models of fields from fields are: {', '.join(KINDS)}."
            )
        raise ParameterError(
            f"there is no model {name!r}{did_you_mean(name, KINDS)}\n  the models are: {', '.join(KINDS)}."
        )
    return getattr(ml, name)


def settings_of(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """{name: default} of the constructor and of `fit`, without those that have options of their own."""
    of_model, of_fit = (inspect.signature(function).parameters for function in (kind.__init__, kind.fit))
    return (
        {name: entry.default for name, entry in of_model.items() if name not in ("self", "inputs", "outputs")},
        {name: entry.default for name, entry in of_fit.items() if name not in ("self", "meshes", "callbacks")},
    )


def show_settings(name: str | None) -> str | None:
    """Print the settings of a kind of model, as `--set` takes them."""
    if name is None:
        return None
    kind = model_class(name)
    for title, entries in zip((f"of {name}", "of its training"), settings_of(kind), strict=True):
        typer.secho(title, bold=True)
        for key, default in entries.items():
            typer.echo(f"  {key}={json.dumps(default)}")
        if not entries:
            typer.echo("  none")
    typer.echo(f"What they mean: {kind.__module__.partition('.')[0]}'s guide, or in Python help({kind.__name__}.fit).")
    raise typer.Exit


def sort_settings(kind: Any, chosen: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings for the constructor and for `fit`; raises ParameterError for names that neither knows."""
    of_model, of_fit = settings_of(kind)
    unknown = [name for name in chosen if name not in of_model and name not in of_fit]
    if unknown:
        raise ParameterError(
            f"{kind.__name__} has no setting {unknown[0]!r}{did_you_mean(unknown[0], [*of_model, *of_fit])}\n"
            f"  of the model: {', '.join(of_model) or 'none'}\n  of its training: {', '.join(of_fit) or 'none'}"
        )
    constructor = {name: chosen[name] for name in chosen if name in of_model}
    return constructor, {name: chosen[name] for name in chosen if name not in of_model}


def checkpoint_folder(training: dict[str, Any]) -> Path | None:
    """The folder for checkpoints; raises ParameterError when it holds a model, or none, against what `resume` says."""
    from meshlearn.train.checkpoint import exists

    if not isinstance(training.get("checkpoint"), str):
        return None
    folder, resume = Path(training["checkpoint"]).expanduser(), training.get("resume", False)
    if resume is False and exists(folder):
        raise ParameterError(
            f"{folder} holds a checkpoint or a model, which a new fit would overwrite.\n"
            "  --set resume=true continues an interrupted fit; to begin anew, name another folder or remove this one."
        )
    if resume is True and not exists(folder):
        raise ParameterError(
            f"there is no checkpoint in {folder} to resume from.\n"
            "  Name the folder of the interrupted fit, or --set resume=auto to begin where there is none."
        )
    return folder
