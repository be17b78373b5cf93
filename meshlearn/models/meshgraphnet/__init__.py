"""Graph networks on meshes: see `meshlearn.models.meshgraphnet.model`."""

from meshlearn.models.meshgraphnet.model import MeshGraphNet

__all__ = ["MeshGraphNet"]
