"""Monitors: functions of points (n, dim) that give the wanted density of cells (n,), positive."""

from meshlearn.models.movers.monitors.carried import CarriedField
from meshlearn.models.movers.monitors.gradient import GradientMonitor
from meshlearn.models.movers.monitors.hessian import HessianMonitor, SquaredHessianMonitor
from meshlearn.models.movers.monitors.limits import limited
from meshlearn.models.movers.monitors.ring import Ring

__all__ = ["CarriedField", "GradientMonitor", "HessianMonitor", "Ring", "SquaredHessianMonitor", "limited"]
