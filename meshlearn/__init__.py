"""Geometric learning on unstructured meshes: load meshes, call `fit`, get fields back on your mesh.

>>> mesh = ml.shapes.rectangle(2.0, 1.0, n=(4, 2), boundary=False)
>>> mesh.cell_counts
{'triangle': 16}
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it (loaded at first use, so that `import meshlearn` stays cheap).
# A name that its module does not define is that module itself.
_PUBLIC: dict[str, str] = {
    "Mesh": "mesh.mesh",
    "MeshBatch": "mesh.batch",
    "Trajectory": "mesh.trajectory",
    "meshes_equal": "mesh.compare",
    "PointLocator": "mesh.location",
    "interpolate": "mesh.interpolation",
    "interpolation_operator": "mesh.interpolation",
    "check_mesh": "mesh.validity",
    "quality_summary": "mesh.quality",
    "refine": "mesh.refinement",
    "second_order": "mesh.elevation",
    "shapes": "mesh.shapes",
    "read": "io",
    "write": "io",
    "read_many": "io",
    "read_series": "io",
    "split": "io",
    "MeshDataset": "io",
    "CrossSections": "io.sections",
    "Estimator": "train.estimator",
    "NetworkEstimator": "train.network",
    "load": "train.estimator",
    "register_estimator": "train.estimator",
    "FitWarning": "train.survey",
    "SliceTransformer": "models.slice_transformer",
    "GridOperator": "grids.operator",
    "MeshToGrid": "grids.adapter",
    "NeuralStagger": "grids.stagger",
    "MeshGraphNet": "models.meshgraphnet",
    "SPON": "models.spon",
    "SPONMultigrid": "models.spon",
    "MgNO": "models.spon",
    "PDERefiner": "models.around",
    "Unrolled": "models.around",
    "LeadTimePairs": "train.lead_time",
    "GIOROM": "models.giorom",
    "MMGP": "models.mmgp",
    "Enf2Enf": "models.neural_fields.enf2enf",
    "EquivariantNeuralField": "models.neural_fields.field",
    "ModulatedField": "models.neural_fields.modulated",
    "ExtrapolationWarning": "models.neural_fields.reach",
    "CrossSectionReconstructor": "models.cross_sections",
    "ConstitutiveNet": "models.constitutive",
    "MMPDE": "models.mmpde",
    "MongeAmpereMover": "models.movers",
    "DataFreeMeshMover": "models.movers",
    "MeanField": "models.baselines",
    "NearestNeighbor": "models.baselines",
    "RidgeRegression": "models.baselines",
    "fem": "fem",
    "grids": "grids",
    "io": "io",
    "mesh": "mesh",
    "models": "models",
    "nn": "nn",
    "ops": "ops",
    "sim": "sim",
    "testing": "testing",
    "train": "train",
    "viz": "viz",
    **dict.fromkeys(
        (
            "CheckpointError",
            "CheckpointWarning",
            "ConstraintError",
            "ConvergenceError",
            "FieldError",
            "MeshError",
            "MeshReadError",
            "MeshReadWarning",
            "MeshWriteError",
            "MeshWriteWarning",
            "MeshlearnError",
            "MissingDependencyError",
            "NotFittedError",
            "ParameterError",
            "ScoreWarning",
            "SimulationError",
            "SingularMatrixError",
            "TopologyError",
        ),
        "errors",
    ),
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meshlearn' has no attribute {name!r}")
    path = _PUBLIC[name]
    module = import_module(f"meshlearn.{path}")
    value = module if path.rpartition(".")[2] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
