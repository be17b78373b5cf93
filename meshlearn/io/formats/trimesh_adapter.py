"""Formats that only trimesh reads (glTF, 3MF, COLLADA)."""

from __future__ import annotations

from pathlib import Path

from meshlearn.errors import MissingDependencyError
from meshlearn.io.builder import MeshBuilder


def read(path: Path) -> MeshBuilder:
    """Read the joined surface of a scene; colours, textures and the scene's tree are lost."""
    import trimesh

    builder = MeshBuilder(path, "a format of trimesh")
    try:
        scene = trimesh.load_scene(str(path), process=False)
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: trimesh needs another package for {path.suffix} files ({error}).\n"
            "  Install what it needs with: pip install 'trimesh[easy]'"
        ) from error
    # parsers of several libraries meet a damaged file: any of their errors means that it cannot be read
    except Exception as error:
        kind = path.suffix.lower().removeprefix(".")
        raise builder.fail(f"this is no {kind} file, or it is damaged or lacks a file it names ({error})") from error
    surface = scene.to_mesh()
    if not len(surface.faces):
        raise builder.fail("the scene holds no triangles")
    builder.points = surface.vertices
    builder.add_cells("triangle", surface.faces)
    if len(scene.geometry) > 1:
        builder.lost(f"the names and the tree of {len(scene.geometry)} parts, which were joined")
    builder.note("colours and textures are not part of a mesh")
    return builder
