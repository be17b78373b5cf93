"""When a loss is not finite: which fields are behind it, and how the normalisers saw them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.train.sample import Sample


@torch.no_grad()
def describe_targets(model: Any, batch: Sample, outputs: dict[str, Tensor]) -> str:
    """A line per output field, that with the most extreme values first.

    batch    with targets in physical units
    outputs  {location: (rows, width)} what the network put out, normalised
    """
    lines = []
    for location, target in batch.targets.items():
        normalizer = model.normalizers_.targets[location]
        specs = model.fields_.at("outputs", location)
        sizes = [spec.size for spec in specs]
        tables = (target, normalizer(target), outputs[location], normalizer.mean[None], normalizer.scale[None])
        for spec, *parts in zip(specs, *(table.split(sizes, 1) for table in tables), strict=True):
            true, normal, found, mean, scale = (part.double() for part in parts)
            bad = int((~torch.isfinite(found)).any(1).sum())
            extreme = float(normal.abs().nan_to_num(torch.inf).max())
            put = f"NaN or infinite in {bad} of {len(found)} rows" if bad else f"up to {float(found.abs().max()):.3g}"
            text = (
                f"    {spec.name!r} ({location}): values up to {float(true.abs().max()):.3g}; training mean up to "
                f"{float(mean.abs().max()):.3g}, spread {float(scale.min()):.3g} to {float(scale.max()):.3g}; "
                f"normalised up to {extreme:.3g}; network output {put}"
            )
            lines.append((-extreme, text))
    return "\n".join(text for _, text in sorted(lines))
