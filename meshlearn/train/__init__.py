"""Estimators: fit, predict, score, save and load; the fit loop that all networks share."""

from meshlearn.train.callbacks import Callback, FitContext
from meshlearn.train.estimator import Estimator, load
from meshlearn.train.fields import FieldSet, FieldSpec, resolve_fields
from meshlearn.train.graph import graph_sample, measure_weights
from meshlearn.train.interrupt import FitInterruptedWarning
from meshlearn.train.metrics import max_error, relative_l2, rmse
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.normalizer import Normalizer
from meshlearn.train.registry import register_estimator
from meshlearn.train.sample import GraphSample, Sample, collate
from meshlearn.train.steps import steps_in_time, time_pairs
from meshlearn.train.survey import FitWarning

__all__ = [
    "Callback",
    "Estimator",
    "FieldSet",
    "FieldSpec",
    "FitContext",
    "FitInterruptedWarning",
    "FitWarning",
    "GraphSample",
    "NetworkEstimator",
    "Normalizer",
    "Sample",
    "collate",
    "graph_sample",
    "load",
    "max_error",
    "measure_weights",
    "register_estimator",
    "relative_l2",
    "resolve_fields",
    "rmse",
    "steps_in_time",
    "time_pairs",
]
