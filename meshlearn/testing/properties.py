"""Properties of models: batch = loop, equivariance under renumbering and rigid motions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.testing.permutation import permute_mesh
from meshlearn.testing.rigid import RigidMotion

Model = Any  # an estimator (its `predict` is used), or a function from a Mesh to a Mesh


def assert_batch_equals_loop(model: Model, meshes: Sequence[Mesh], rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Predicting a list of unlike meshes at once equals predicting them one by one.

    `atol` is relative to the largest value of each field. Raises AssertionError naming mesh, field and error.
    """
    together = model.predict(list(meshes))
    for i, (mesh, found) in enumerate(zip(meshes, together, strict=True)):
        assert_same_fields(found, model.predict(mesh), rtol, atol, f"mesh {i} in a batch and alone")


def assert_permutation_equivariant(
    model: Model, mesh: Mesh, seed: int = 0, rtol: float = 1e-4, atol: float = 1e-5
) -> None:
    """Renumbering points and shuffling cells renumbers and shuffles the prediction, and changes nothing else."""
    predict = _predict(model)
    permuted = permute_mesh(mesh, seed)
    found, plain = predict(permuted.mesh), predict(mesh)
    expected = plain.replace(
        points=permuted.mesh.points,
        cells=permuted.mesh.cells,
        point_data={name: values[permuted.points] for name, values in plain.point_data.items()},
        cell_data={
            name: {kind: values[permuted.cells[kind]] for kind, values in by_type.items()}
            for name, by_type in plain.cell_data.items()
        },
        point_sets={},
        cell_sets={},
    )
    assert_same_fields(found, expected, rtol, atol, "the renumbered mesh and the renumbered prediction")


def assert_rigid_equivariant(
    model: Model,
    mesh: Mesh,
    vectors: Iterable[str] = (),
    motion: RigidMotion | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Moving the mesh rigidly moves the prediction with it: fields named in `vectors` turn, all others stay.

    The default motion is a random rotation and shift. A motion without rotation checks translations only.
    """
    predict = _predict(model)
    vectors = list(vectors)
    motion = motion or RigidMotion.random(mesh.dim)
    found = predict(motion.mesh(mesh, vectors))
    expected = motion.mesh(predict(mesh), vectors)
    assert_same_fields(found, expected, rtol, atol, "the moved mesh and the moved prediction")


def assert_same_fields(found: Mesh, expected: Mesh, rtol: float, atol: float, what: str) -> None:
    """The same fields with the same values; `atol` is relative to the largest value of each field."""
    a, b = _flat(found), _flat(expected)
    assert a.keys() == b.keys(), f"{what}: fields {sorted(set(a) ^ set(b))} are on one side only"
    for name, values in b.items():
        assert a[name].shape == values.shape, f"{what}: {name} is {tuple(a[name].shape)}, not {tuple(values.shape)}"
        if not values.is_floating_point():
            assert torch.equal(a[name], values), f"{what}: {name} differs"
            continue
        scale = float(values.abs().max()) if values.numel() else 0.0
        error = (a[name].double() - values.double()).abs()
        allowed = atol * scale + rtol * values.double().abs()
        bad = ~(error <= allowed) & ~(a[name].isnan() & values.isnan())
        assert not bool(bad.any()), (
            f"{what}: {name} differs by up to {float(error.nan_to_num(torch.inf).max()):.3e} "
            f"(largest value {scale:.3e}) in {int(bad.sum())} of {bad.numel()} entries"
        )


def _predict(model: Model) -> Callable[[Mesh], Mesh]:
    return model.predict if hasattr(model, "predict") else model


def _flat(mesh: Mesh) -> dict[str, Tensor]:
    fields = {f"point field {name!r}": values for name, values in mesh.point_data.items()}
    fields |= {f"global field {name!r}": values for name, values in mesh.global_data.items()}
    for name, by_type in mesh.cell_data.items():
        fields |= {f"cell field {name!r} on {kind}": values for kind, values in by_type.items()}
    return fields
