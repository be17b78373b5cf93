"""Property checks that ship with the library: for models and layers of your own as much as for meshlearn's.

`meshes` and `rigid_motions` are hypothesis strategies and need `pip install 'meshlearn[test]'`.
"""

from __future__ import annotations

from typing import Any

from meshlearn.testing.estimator import check_estimator
from meshlearn.testing.layer import LayerContract
from meshlearn.testing.permutation import permute_mesh
from meshlearn.testing.properties import (
    assert_batch_equals_loop,
    assert_permutation_equivariant,
    assert_rigid_equivariant,
    assert_same_fields,
)
from meshlearn.testing.rigid import RigidMotion

__all__ = [
    "LayerContract",
    "RigidMotion",
    "assert_batch_equals_loop",
    "assert_permutation_equivariant",
    "assert_rigid_equivariant",
    "assert_same_fields",
    "check_estimator",
    "meshes",
    "permute_mesh",
    "rigid_motions",
]


def __getattr__(name: str) -> Any:
    if name in ("meshes", "rigid_motions"):
        from meshlearn.errors import require

        require("hypothesis", "test", f"meshlearn.testing.{name}")
        from meshlearn.testing import strategies

        return getattr(strategies, name)
    raise AttributeError(f"module 'meshlearn.testing' has no attribute {name!r}")
