"""The way from `Mesh.from_...` up to the room that knows other libraries, taken only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshlearn.mesh.mesh import Mesh


def bridge(library: str) -> ModuleType:
    """The module `meshlearn.io.bridges.<library>`; by name, because `mesh` does not import upwards."""
    return import_module(f"meshlearn.io.bridges.{library}")


class Bridges:
    """The methods of `Mesh` that exchange it with other libraries."""

    @staticmethod
    def from_meshio(mesh: Any, dim: str | int = "auto") -> Mesh:
        """From a `meshio.Mesh`; dim=3 keeps the z of a plane mesh, as in `ml.read`."""
        return bridge("meshio").from_meshio(mesh, dim=dim)

    def to_meshio(self) -> Any:
        """To a `meshio.Mesh`."""
        return bridge("meshio").to_meshio(self)

    @staticmethod
    def from_pyvista(dataset: Any, dim: str | int = "auto") -> Mesh:
        """From any pyvista (VTK) data set; dim=3 keeps the z of a plane mesh, as in `ml.read`."""
        return bridge("pyvista").from_pyvista(dataset, dim=dim)

    def to_pyvista(self) -> Any:
        """To a `pyvista.UnstructuredGrid`."""
        return bridge("pyvista").to_pyvista(self)

    @staticmethod
    def from_trimesh(mesh: Any) -> Mesh:
        """From a `trimesh.Trimesh`."""
        return bridge("trimesh").from_trimesh(mesh)

    def to_trimesh(self) -> Any:
        """To a `trimesh.Trimesh`; quads are split into triangles."""
        return bridge("trimesh").to_trimesh(self)

    @staticmethod
    def from_skfem(mesh: Any) -> Mesh:
        """From a `skfem.Mesh`; its boundaries and subdomains become cell sets."""
        return bridge("skfem").from_skfem(mesh)

    def to_skfem(self) -> Any:
        """To a `skfem.Mesh`; cell sets become boundaries and subdomains."""
        return bridge("skfem").to_skfem(self)

    @staticmethod
    def from_pyg(data: Any) -> Mesh:
        """From a `torch_geometric.data.Data` with positions."""
        return bridge("pyg").from_pyg(data)

    def to_pyg(self) -> Any:
        """To a `torch_geometric.data.Data`."""
        return bridge("pyg").to_pyg(self)
