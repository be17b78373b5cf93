"""Sections as tensors and JSON, for saved models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.io.sections import CrossSections, Ring, Section


def sections_state(sections: CrossSections) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """({name: tensor}, JSON-able dictionary) of sections."""
    rings = [(k, ring) for k, plane in enumerate(sections) for ring in plane.rings]
    tensors = {
        "origins": np.array([plane.origin for plane in sections]),
        "axes": np.array([plane.axes for plane in sections]),
        "ring_planes": np.array([k for k, _ in rings], dtype=np.int64),
        "ring_labels": np.array([ring.label for _, ring in rings], dtype=np.int64),
        "ring_sizes": np.array([len(ring.points) for _, ring in rings], dtype=np.int64),
        "ring_points": np.concatenate([ring.points for _, ring in rings]),
    }
    meta = {"names": {str(k): v for k, v in sections.label_names.items()}, "source": sections.source}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}, meta


def sections_from_state(tensors: dict[str, Tensor], meta: dict[str, Any]) -> CrossSections:
    """The inverse of `sections_state`."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    parts = np.split(arrays["ring_points"], np.cumsum(arrays["ring_sizes"])[:-1])
    rings: list[list[Ring]] = [[] for _ in arrays["origins"]]
    for plane, label, points in zip(arrays["ring_planes"], arrays["ring_labels"], parts, strict=True):
        rings[int(plane)].append(Ring(int(label), points))
    planes = [
        Section(origin, axes, tuple(own))
        for origin, axes, own in zip(arrays["origins"], arrays["axes"], rings, strict=True)
    ]
    return CrossSections(planes, {int(k): v for k, v in meta["names"].items()}, meta["source"])
