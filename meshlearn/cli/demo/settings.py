"""The numbers of the demo: how many plates of which kind, and how long to train."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INPUTS = ("load", "young", "poisson", "hole_distance", "edge_distance", "traction", "fixed")
OUTPUTS = ("displacement", "von_mises")
UNITS = {"displacement": "mm", "von_mises": "MPa"}


@dataclass(frozen=True)
class Group:
    """A set of plates.

    title   what distinguishes it, for the table
    n       number of plates
    shift   added to the demo's seed, so that no two groups share a plate
    options for `sim.make_plates`
    """

    title: str
    n: int
    shift: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """One demo.

    groups    training and test sets by folder name; "train" is the only one a model sees
    seconds   longest training time of the network; on a machine that needs less, results repeat bit for bit
    model     arguments of MeshGraphNet
    training  arguments of its fit
    """

    groups: dict[str, Group]
    seconds: float
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def _groups(n_train: int, n_test: int, coarse: tuple[float, float], fine: tuple[float, float]) -> dict[str, Group]:
    return {
        "train": Group("training plates: 1 to 3 holes", n_train, 0, {"holes": (1, 3), "size": coarse}),
        "test_same": Group("unseen plates of the same kind", n_test, 1, {"holes": (1, 3), "size": coarse}),
        "test_holes": Group("4 or 5 holes", n_test, 2, {"holes": (4, 5), "size": coarse}),
        "test_fine": Group("finer meshes", n_test, 3, {"holes": (1, 3), "size": fine}),
    }


TRAINING = {"batch_points": 1000, "learning_rate": 3e-3, "ema": 0.99, "validation": 0.1}

FULL = Settings(
    groups=_groups(240, 20, (5.0, 7.0), (3.0, 4.0)),
    seconds=190.0,
    model={"hidden": 32, "steps": 3, "levels": 3},
    training={"epochs": 45, **TRAINING},
)
QUICK = Settings(
    groups=_groups(100, 6, (6.0, 8.0), (4.0, 5.0)),
    seconds=80.0,
    model={"hidden": 32, "steps": 2, "levels": 3},
    training={"epochs": 40, **TRAINING},
)
