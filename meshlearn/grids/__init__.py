"""Grid models on meshes: transfers between meshes and regular grids, and the networks behind them."""

from meshlearn.grids.adapter import MeshToGrid
from meshlearn.grids.cores import register_core
from meshlearn.grids.floor import GridWarning
from meshlearn.grids.grid import RegularGrid
from meshlearn.grids.operator import GridOperator
from meshlearn.grids.stagger import NeuralStagger
from meshlearn.grids.transfer import GridTransfer
from meshlearn.grids.writer import GridWriter
from meshlearn.train.writer import register_writer

__all__ = ["GridOperator", "GridTransfer", "GridWarning", "MeshToGrid", "NeuralStagger", "RegularGrid", "register_core"]

register_writer(GridOperator, GridWriter)
