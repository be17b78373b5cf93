"""Attention on meshes through a few learned slices of the domain."""

from meshlearn.models.slice_transformer.model import SliceTransformer

__all__ = ["SliceTransformer"]
