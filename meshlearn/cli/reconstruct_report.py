"""The page that `meshlearn reconstruct --report` writes: one file with numbers and pictures."""

from __future__ import annotations

import base64
import html
import json
import math
import tempfile
from pathlib import Path
from typing import Any

STYLE = (
    "body{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}th{font-weight:600}img{max-width:100%}"
)


def write_report(path: Path, sections: Any, meshes: dict[int, Any], numbers: dict[str, Any]) -> Path:
    """Write `numbers` (of `CrossSectionReconstructor.report`) as .json, or with pictures of all labels as .html."""
    from meshlearn.errors import MeshWriteError
    from meshlearn.io.write import atomic

    try:
        numbers_only = path.suffix.lower() == ".json"
        text = json.dumps(_plain(numbers), indent=1) + "\n" if numbers_only else page(sections, meshes, numbers)
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MeshWriteError(f"{path}: the report cannot be written ({error.strerror or error}).") from error
    return path


def page(sections: Any, meshes: dict[int, Any], numbers: dict[str, Any]) -> str:
    """The page as text."""
    title = html.escape(Path(sections.source or "sections").name)
    parts = [f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>"]
    parts += [f"<h1>{title}</h1><p>{html.escape(repr(sections))}</p>"]
    for label, mesh in meshes.items():
        row = numbers["labels"][label]
        name = row["name"] or f"label {label}"
        parts.append(f"<h2>{html.escape(name)}</h2><img alt='surface' src='data:image/png;base64,{_picture(mesh)}'>")
        facts = {
            "volume": f"{row['volume']:.6g}",
            "area": f"{row['area']:.6g}",
            "closed surfaces": row["surfaces"],
            "Euler characteristic": row["euler"],
            "watertight": "yes" if row["watertight"] else "no",
            "smallest Dice on a plane": f"{row['worst_dice']:.4f}",
        }
        parts.append(_table(["", ""], [list(fact) for fact in facts.items()]))
        planes = [
            [p["plane"], f"{p['dice']:.4f}", _number(p["error_99"]), _number(p["error_max"])] for p in row["planes"]
        ]
        parts.append("<h3>Cut again by the given planes</h3>")
        parts.append(_table(["plane", "Dice", "contour error, 99 %", "largest"], planes))
    parts.append("<h2>How it was made</h2>")
    scores = [[name, f"{score:.4f}"] for name, score in numbers["base_scores"].items()]
    parts.append(f"<p>Base field: {numbers['base']}; share of the network: {numbers['network_share']:.0%}.</p>")
    if numbers["skipped"]:
        parts.append("<p>Not tried:</p>")
        parts.append(_table(["", "why"], [list(pair) for pair in numbers["skipped"].items()]))
    if scores:
        parts.append("<p>Points with the right label on planes that were left out:</p>")
        parts.append(_table(["base", "overlap"], scores))
    notes = [*sections.report, *numbers["conflicts"]]
    if notes:
        parts.append("<h2>Notes</h2><ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>")
    parts.append(_table(["step", "seconds"], [[k, f"{v:.1f}"] for k, v in numbers["seconds"].items()]))
    return "\n".join([*parts, "</html>"]) + "\n"


def _picture(mesh: Any) -> str:
    """A picture of the surface as base64."""
    import matplotlib

    from meshlearn import viz

    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "surface.png"
        viz.plot(mesh, file=file, edges=False)
        return base64.b64encode(file.read_bytes()).decode("ascii")


def _table(head: list[str], rows: list[list[Any]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head) if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _plain(value: Any) -> Any:
    """JSON has no NaN: it becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
