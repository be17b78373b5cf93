"""Fields from the mesh before a move to the mesh after it: by interpolation, or conserving the integral."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.remap import ConservativeRemap
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.interpolation import interpolate
from meshlearn.mesh.mesh import Mesh

METHODS = ("interpolate", "conservative", "bounded")


def transfer(old: Mesh, new: Mesh, names: str | Sequence[str] | None = None, method: Any = "interpolate") -> Mesh:
    """`new` with the point fields of `old`, as functions of space: what moved with the points is replaced.

    names   point fields; all with floating-point values if None
    method  "interpolate": P1, no new extrema, integrals change. "conservative": L2 projection over the overlaps of the
            cells, integrals are kept, new extrema are possible. "bounded": the same within the bounds of the source
            cells around each point. The last two are for lines in 1-D, triangles in the plane and tetrahedra

    "interpolate" and "conservative" are differentiable in the fields, not in the points. Raises FieldError for missing
    or non-finite fields, TopologyError for cells without overlaps; where overlaps are needed, MeshError for a mesh that
    folds over itself; with "bounded", ParameterError for a field that requires a gradient.

    >>> mesh = ml.shapes.square(n=8).double()
    >>> mesh = mesh.with_point_data(u=mesh.points[:, 0])
    >>> moved = ml.MongeAmpereMover().move(mesh, lambda x: 1 + x[:, 0])
    >>> carried = ml.models.movers.transfer(mesh, moved.mesh, "u")
    >>> torch.allclose(carried.point_data["u"], moved.mesh.points[:, 0])
    True
    """
    if method not in METHODS:
        raise ParameterError(f"method={method!r}: expected one of {', '.join(map(repr, METHODS))}.")
    chosen = _names(old, names)
    if method == "interpolate":
        return interpolate(old, new, chosen)
    remap = ConservativeRemap(old, new)
    return new.with_point_data(**{name: remap(old.point_data[name], method == "bounded") for name in chosen})


def compare_transfers(old: Mesh, new: Mesh, name: str) -> dict[str, dict[str, float]]:
    """Every method on one field, side by side.

    {method: {"integral": relative change of the integral over the common domain, "overshoot": by how much values leave
    the range of the source, over that range, "distance": L2 norm of the change over that of the field}}
    """
    values = old.point_data[_names(old, name)[0]]
    remap, field = ConservativeRemap(old, new), values.double()
    low, high = field.amin(0), field.amax(0)
    reach = float((high - low).max()) or 1.0
    found = {}
    for method in METHODS:
        made = transfer(old.with_point_data(**{name: field}), new, name, method).point_data[name]
        before, after = remap.integrals(field, made)
        scale = float(remap.integrals(field.abs(), made)[0].abs().max()) or 1.0
        found[method] = {
            "integral": float((after - before).abs().max()) / scale,
            "overshoot": max(float((made - high).max()), float((low - made).max()), 0.0) / reach,
            "distance": remap.distance(field, made) / (remap.distance(field, torch.zeros_like(made)) or 1.0),
        }
    return found


def _names(mesh: Mesh, names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return [name for name, values in mesh.point_data.items() if values.is_floating_point()]
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in mesh.point_data:
            raise FieldError(
                f"the mesh has no point field {name!r}{of_mesh(mesh.source)}.\n"
                f"  point fields: {', '.join(map(repr, mesh.point_data)) or 'none'}"
            )
    return chosen
