"""Every error meshlearn raises on purpose, so that one `except ml.MeshlearnError` catches them all.

A message says what was wrong, the value or shape seen, what was expected, and what to do.
"""

from collections.abc import Iterable


class MeshlearnError(Exception):
    """Base of all errors raised on purpose by meshlearn."""


class MeshError(MeshlearnError, ValueError):
    """A mesh that cannot be: indices out of range, wrong shapes, mixed devices, non-finite points."""


class TopologyError(MeshError):
    """An operation that this mesh's cells do not allow (unknown cell type, non-manifold, a different topology)."""


class FieldError(MeshlearnError, ValueError):
    """A field that is missing, ambiguous, non-finite, or of the wrong shape."""


class MeshReadError(MeshlearnError, ValueError):
    """A file that cannot be read as a mesh; the message names the file, what was found and what is supported."""


class MeshWriteError(MeshlearnError, ValueError):
    """A mesh that cannot be written as asked; nothing is left half-written."""


class MeshReadWarning(UserWarning):
    """Something in a file that could not be kept as it was (also listed in `mesh.report`)."""


class MeshWriteWarning(UserWarning):
    """Something in a mesh that the chosen file format cannot hold."""


class NotFittedError(MeshlearnError, ValueError, AttributeError):
    """A method that needs a fitted model was called before `fit`."""


class ParameterError(MeshlearnError, ValueError):
    """An argument or constructor parameter outside what is allowed."""


class ConvergenceError(MeshlearnError, RuntimeError):
    """An iteration that did not reach its tolerance; the message carries the residual history's end.

    `residuals` is the whole history, one number per iteration (empty where none was kept).
    """

    def __init__(self, message: str, residuals: Iterable[float] = ()):
        super().__init__(message)
        self.residuals = tuple(residuals)


class SingularMatrixError(ConvergenceError):
    """A linear system without a unique solution: missing Dirichlet data, or a null space that was not named."""


class SimulationError(MeshlearnError, RuntimeError):
    """A simulation that went wrong on its way: a state that is not finite, bodies that left their box, cells or
    particles turned inside out. The message names the step and the cause."""


class ConstraintError(MeshlearnError, ValueError):
    """Constraints that contradict or repeat each other; the message names a degree of freedom."""


class CheckpointError(MeshlearnError, ValueError):
    """A model folder that is incomplete, from a newer schema, or names an unknown estimator."""


class CheckpointWarning(UserWarning):
    """A model folder that could be read, but not checked as one written by this version is."""


class ScoreWarning(UserWarning):
    """A score that leaves something out: meshes whose truth is zero have no relative error."""


class MissingDependencyError(MeshlearnError, ImportError):
    """An optional package is needed; the message carries the install line."""


def require(module: str, extra: str, purpose: str):
    """Import an optional module, or raise `MissingDependencyError` with the install line.

    >>> require("math", "viz", "counting").pi > 3
    True
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs the package {package!r}, which is not installed.\n"
            f"  Install it with: pip install 'meshlearn[{extra}]'"
        ) from error
