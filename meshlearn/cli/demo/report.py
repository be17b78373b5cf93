"""What the demo tells: scores of all models, pictures, files, and whether the network won."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meshlearn.cli.common import results_folder
from meshlearn.cli.demo.settings import OUTPUTS, UNITS, Settings

Scores = dict[str, dict[str, dict[str, float]]]
"""{model: {group: {field: relative L2 error, mean over the plates of the group}}}"""

PEAK = "peak stress"


def scores(predictions: dict[str, dict[str, list[Any]]], truth: dict[str, list[Any]]) -> Scores:
    """Relative L2 errors by model, group and field, and the relative error of the largest stress of each plate."""
    from meshlearn.train.metrics import relative_l2

    table: Scores = {}
    for model, groups in predictions.items():
        table[model] = {}
        for name, meshes in groups.items():
            rows = []
            for found, true in zip(meshes, truth[name], strict=True):
                weights = true.point_measures()
                row = {f: relative_l2(found.point_data[f], true.point_data[f], weights) for f in OUTPUTS}
                peak = true.point_data["von_mises"].max()
                row[PEAK] = float((found.point_data["von_mises"].max() - peak).abs() / peak)
                rows.append(row)
            table[model][name] = {field: sum(row[field] for row in rows) / len(rows) for field in rows[0]}
    return table


def verdict(table: Scores) -> bool:
    """True if the network has the smallest error of every field on every group (the peak is for information)."""
    network = table["MeshGraphNet"]
    others = [groups for model, groups in table.items() if model != "MeshGraphNet"]
    return all(network[g][field] < other[g][field] for other in others for g in network for field in OUTPUTS)


def write_predictions(folder: Path, predictions: dict[str, list[Any]], truth: dict[str, list[Any]]) -> None:
    """Test plates as .vtu with `<field>` predicted, `<field>_true`, and `<field>_error` = predicted - true."""
    import meshlearn as ml

    for name, meshes in predictions.items():
        target = results_folder(folder / "predictions" / name)
        for found, true in zip(meshes, truth[name], strict=True):
            extra = {f"{f}_true": true.point_data[f] for f in OUTPUTS}
            extra |= {f"{f}_error": found.point_data[f] - true.point_data[f] for f in OUTPUTS}
            kept = {k: v for k, v in found.point_data.items() if k != "stress"}
            ml.write(found.replace(point_data={**kept, **extra}), target / Path(true.source).name)


def draw(folder: Path, predictions: dict, truth: dict, network: Any, table: Scores, settings: Settings) -> None:
    """Pictures of the first plate of every group, the training curves, and the scores as bars."""
    import matplotlib

    from meshlearn import viz

    matplotlib.use("Agg")
    pictures = results_folder(folder / "pictures")
    for name, meshes in predictions.items():
        for field in OUTPUTS:
            title = f"{field.replace('_', ' ')}, {settings.groups[name].title} (lengths in mm)"
            file = pictures / f"{name}_{field}.png"
            viz.triptych(meshes[0], truth[name][0], field, file=file, title=title, unit=UNITS[field])
    viz.training_curves(network, file=pictures / "training_curves.png", title="MeshGraphNet")
    for name in truth:
        bars = {model: {field: groups[name][field] for field in (*OUTPUTS, PEAK)} for model, groups in table.items()}
        file = pictures / f"scores_{name}.png"
        label = "relative error (fields: L2)"
        viz.score_bars(bars, file=file, title=settings.groups[name].title, label=label)


def write_results(
    folder: Path, table: Scores, seconds: dict[str, float], settings: Settings, seed: int, won: bool
) -> None:
    """results.json for programs, results.md for people."""
    groups = {n: {"title": g.title, "plates": g.n, **g.options} for n, g in settings.groups.items()}
    content = {
        "network_beats_every_baseline": won,
        "relative_l2": table,
        "seconds": {step: round(value, 1) for step, value in seconds.items()},
        "seed": seed,
        "groups": groups,
        "model": settings.model,
        "training": {**settings.training, "time_budget": settings.seconds},
    }
    (folder / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = ["# Relative L2 errors (mean over the plates of a group)", ""]
    fields = [*OUTPUTS, PEAK]
    for name in next(iter(table.values())):
        lines += [f"## {settings.groups[name].title} ({settings.groups[name].n} plates)", ""]
        lines += ["| model | " + " | ".join(fields) + " |", "|---|" + "---|" * len(fields)]
        for model, of_group in table.items():
            lines.append(f"| {model} | " + " | ".join(f"{of_group[name][f]:.3f}" for f in fields) + " |")
        lines.append("")
    lines.append(f"Times in seconds: {', '.join(f'{step} {value:.0f}' for step, value in seconds.items())}.")
    (folder / "results.md").write_text("\n".join(lines) + "\n")


def show(table: Scores, settings: Settings) -> None:
    """Print the scores as one table."""
    from rich.console import Console
    from rich.table import Table

    fields = [*OUTPUTS, PEAK]
    text = Table(title="relative L2 error (0 is perfect; mean over the plates of a group)", title_justify="left")
    text.add_column("test plates")
    text.add_column("model")
    for field in fields:
        text.add_column(field.replace("_", " "), justify="right")
    names = list(next(iter(table.values())))
    for name in names:
        for i, (model, groups) in enumerate(table.items()):
            last = i == len(table) - 1
            row = [f"{groups[name][field]:.3f}" for field in fields]
            label = settings.groups[name].title if i == 0 else ""
            text.add_row(label, model, *row, style="bold" if last else None, end_section=last)
    Console(width=100).print(text)
