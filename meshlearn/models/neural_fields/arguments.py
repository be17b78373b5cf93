"""Checks of the arguments of neural fields: ParameterErrors with the name, the value seen and what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.batch import MeshBatch
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.neural_fields.groups import GROUPS
from meshlearn.train import option_checks as check
from meshlearn.train.fields import FieldSet
from meshlearn.train.items import is_single
from meshlearn.train.loss import POINTWISE

MOVING = ("position", "turn", "window")
PLACEMENTS = ("auto", "shared", "own")
META = ("second", "first")
_positive = check.number("a positive number", lambda x: x > 0)


def one_of(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise ParameterError unless the value is one of some names."""
    if not isinstance(value, str) or value not in list(known):
        raise ParameterError(f"{name}={value!r} is not known; choose one of {list(known)}.")


def check_latents(model: Any) -> None:
    """Arguments that say how many latents there are, and how they are fitted."""
    for name in ("n_latents", "latent_dim", "inner_steps", "points_per_step"):
        check.whole(1)(name, getattr(model, name))
    one_of("placement", model.placement, PLACEMENTS)
    one_of("meta", model.meta, META)
    one_of("loss", model.loss, POINTWISE)


def check_network(name: str, hidden: Any, heads: Any, frequencies: Any, nearest: Any) -> None:
    """Arguments of an attention network; `name` is the prefix of their names."""
    check.whole(2)(f"{name}hidden", hidden)
    check.whole(1)(f"{name}heads", heads)
    if hidden % (2 * heads):
        raise ParameterError(
            f"{name}hidden={hidden} must be a multiple of twice {name}heads={heads}: the heads share the width, and "
            "Fourier features come in pairs."
        )
    good = isinstance(frequencies, Sequence) and not isinstance(frequencies, str) and len(frequencies) == 2
    check.require(good, f"{name}frequencies", frequencies, "a pair of positive numbers, of queries and of values,")
    for value in frequencies:
        _positive(f"{name}frequencies", value)
    check.whole(1, True)(f"{name}nearest", nearest)


def check_modulated(name: str, hidden: Any, layers: Any, frequency: Any) -> None:
    """Arguments of a modulated network; `name` is the prefix of their names."""
    check.whole(2)(f"{name}hidden", hidden)
    check.whole(1)("layers", layers)
    check.require(hidden % 2 == 0, f"{name}hidden", hidden, "an even number (Fourier features come in pairs)")
    _positive("frequency", frequency)


def check_group(group: Any, dim: int, period: Any, moving: Any) -> None:
    """The group, the box of "Tn", and the parts of the poses that are fitted."""
    one_of("group", group, GROUPS)
    wanted = {"SE2": 2, "SE3": 3}.get(group, dim)
    if wanted != dim:
        raise ParameterError(f"group={group!r} lives in {wanted} dimensions; these meshes have {dim}.")
    if group == "Tn":
        good = isinstance(period, Sequence) and not isinstance(period, str) and len(period) == dim and any(period)
        expected = f"{dim} lengths, None for an axis that is not periodic, with group='Tn',"
        check.require(good, "period", period, expected)
        for length in period:
            if length is not None:
                _positive("period", length)
    elif period is not None:
        raise ParameterError(f"period={period!r} is for group='Tn'; leave it out with group={group!r}.")
    good = isinstance(moving, Sequence) and not isinstance(moving, str) and all(part in MOVING for part in moving)
    check.require(good, "moving", moving, f"a list of parts of a pose, among {list(MOVING)},")
    if "turn" in moving and group not in ("SE2", "SE3"):
        raise ParameterError(f"moving={list(moving)!r}: latents of the group {group!r} have no axes that could turn.")


def one_mesh(mesh: Any, what: str) -> Mesh:
    """The mesh itself; ParameterError for anything else."""
    if isinstance(mesh, Mesh):
        return mesh
    several = {Trajectory: ": take its frames, trajectory.frame(i)", MeshBatch: ": take those of batch.unbatch()"}
    hint = several.get(type(mesh), ": take one after the other" if isinstance(mesh, (list, tuple)) else "")
    raise ParameterError(f"{what} is one Mesh, not {type(mesh).__name__}{hint}.")


def mesh_or_points(at: Any, what: str) -> Mesh:
    """A mesh, or (n, dim) points as a cloud; ParameterError for several meshes, MeshError for what are no points."""
    if isinstance(at, (Mesh, Trajectory, MeshBatch)) or (isinstance(at, Sequence) and any(map(is_single, at))):
        return one_mesh(at, what)
    return Mesh(at)


def check_point_outputs(fields: FieldSet, name: str) -> None:
    """Raise FieldError for outputs that do not live at points."""
    others = [spec.name for spec in fields.outputs if spec.location != "point"]
    if others:
        raise FieldError(
            f"{name} represents fields at points; {others} live on cells or belong to the whole mesh.\n"
            "  Average cell fields to the points first; values of whole meshes are outputs of ml.Enf2Enf."
        )
