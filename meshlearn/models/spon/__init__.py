"""Operator networks on finite-element spaces: `SPON`, `SPONMultigrid`, `MgNO`, each in a module of its own."""

from meshlearn.models.spon.mgno import MgNO
from meshlearn.models.spon.model import SPON
from meshlearn.models.spon.multigrid import SPONMultigrid

__all__ = ["SPON", "MgNO", "SPONMultigrid"]
