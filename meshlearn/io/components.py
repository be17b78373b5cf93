"""Fields as scalar columns and back: names of components, and names that a format can spell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np


def merge_vectors(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """NAME_x, NAME_y(, NAME_z) of one shape as one array with the components last.

    >>> {name: v.shape for name, v in merge_vectors({"u_x": np.zeros((2, 5)), "u_y": np.zeros((2, 5))}).items()}
    {'u': (2, 5, 2)}
    """
    merged: dict[str, np.ndarray] = {}
    done: set[str] = set()
    for name, values in fields.items():
        stem, tail = name[:-2], name[-2:]
        if name in done:
            continue
        parts = [fields.get(f"{stem}_{axis}") for axis in "xyz"] if tail == "_x" and stem else []
        found = [part for part in parts if part is not None]
        if len(found) >= 2 and parts[1] is not None and stem not in fields:
            merged[stem] = np.stack(found, axis=-1)
            done |= {f"{stem}_{axis}" for axis in "xyz"}
        else:
            merged[name] = values
    return merged


def joined_scalars(part: str, names: Collection[str], *endings: str) -> list[str]:
    """Said of scalar fields whose names make them one vector when they are read; endings "_x", "X"."""
    said = []
    for ending in endings:
        for name in names:
            stem = name.removesuffix(ending)
            other = stem + ending.replace("x", "y").replace("X", "Y")
            if stem not in ("", name) and other in names and stem not in names:
                said.append(f"{part} {name!r}, {other!r} as scalars (they are read as the vector {stem!r})")
    return said


def spelled(
    part: str, names: Iterable[str], spell: Callable[[str], str], losses: list[str], taken=()
) -> dict[str, str]:
    """{name: the name in the file}, each once and none of those taken; changed ones are added to the losses.

    >>> spelled("point data", ["a b", "a_b"], lambda name: name.replace(" ", "_"), [])
    {'a b': 'a_b', 'a_b': 'a_b_'}
    """
    used, written = set(taken), {}
    for name in names:
        text = spell(name) or "field"
        while text in used:
            text += "_"
        used.add(text)
        written[name] = text
        if text != name:
            losses.append(f"the name of {part} {name!r} (now {text!r})")
    return written
