"""Grid models on meshes: transfers between meshes and regular grids, and the networks behind them."""

from meshlearn.grids.adapter import MeshToGrid
from meshlearn.grids.grid import RegularGrid
from meshlearn.grids.transfer import GridTransfer

__all__ = ["GridTransfer", "MeshToGrid", "RegularGrid"]
