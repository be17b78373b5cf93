"""Scatter and gather on plain tensors: segment reductions, sparse products, neighbours, sampling.

This room knows tensors only. Everything that indexes, reduces or searches in meshlearn goes through it, so that a
faster back end helps every model at once (see `ops.registry`).
"""

from meshlearn.ops import registry
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.gather import gather, gather_receivers, gather_senders
from meshlearn.ops.graph import degree, graph_gradient, laplacian
from meshlearn.ops.memory import tune_allocator
from meshlearn.ops.neighbors import knn, radius_neighbors
from meshlearn.ops.pointers import check_ptr, counts_to_ptr, ptr_to_rows
from meshlearn.ops.sampling import farthest_point_sampling
from meshlearn.ops.segment import segment_max, segment_mean, segment_min, segment_softmax, segment_sum
from meshlearn.ops.sparse import SparseOperator
from meshlearn.ops.spmm import neighbor_sum, sampled_product, spmm

__all__ = [
    "Adjacency",
    "SparseOperator",
    "check_ptr",
    "counts_to_ptr",
    "degree",
    "farthest_point_sampling",
    "gather",
    "gather_receivers",
    "gather_senders",
    "graph_gradient",
    "knn",
    "laplacian",
    "neighbor_sum",
    "ptr_to_rows",
    "radius_neighbors",
    "registry",
    "sampled_product",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_softmax",
    "segment_sum",
    "spmm",
    "tune_allocator",
]
