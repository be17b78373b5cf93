"""The formats that ship with meshlearn. Order matters where two formats share a mark."""

from __future__ import annotations

from meshlearn.io import recognise as by
from meshlearn.io.registry import Format, register_format

_HERE = "meshlearn.io.formats."


def _add(name: str, title: str, suffixes: str, module: str, **more) -> None:
    register_format(Format(name, title, tuple(suffixes.split()), _HERE + module, **more))


_add(
    "native",
    "meshlearn's store",
    ".mesh.safetensors .safetensors",
    "native",
    series=True,
    recognises=lambda head: b"meshlearn.mesh" in head[:4096] and head[8:9] == b"{",
)
_add("vtu", "VTK XML unstructured grid", ".vtu", "vtu", recognises=by.vtk_xml(b"UnstructuredGrid"))
_add("vtp", "VTK XML polygonal data", ".vtp", "vtp", recognises=by.vtk_xml(b"PolyData"))
_add(
    "pvtu",
    "VTK XML parallel unstructured grid",
    ".pvtu",
    "pvtu",
    writes=False,
    recognises=by.vtk_xml(b"PUnstructuredGrid"),
)
_add("pvd", "ParaView time series", ".pvd", "pvd", series=True, recognises=by.vtk_xml(b"Collection"))
_add("vtk", "VTK legacy", ".vtk", "vtk_legacy", recognises=by.starts(b"# vtk DataFile"))
_add("gmsh", "Gmsh", ".msh .msh2 .msh4", "gmsh", recognises=by.starts(b"$MeshFormat", b"$NOD", b"$Comments"))
_add("freefem", "FreeFem mesh", ".msh", "freefem", writes=False, recognises=by.freefem_msh)
_add(
    "fluent",
    "ANSYS Fluent mesh",
    ".msh .cas",
    "fluent",
    writes=False,
    recognises=by.matches(rb"\A\s*\((0|1|2|10|12|13)\b"),
)
_add(
    "abaqus",
    "Abaqus and CalculiX input",
    ".inp",
    "abaqus",
    recognises=by.matches(rb"^\*(HEADING|NODE|PART|INCLUDE|ASSEMBLY|ELEMENT|PREPRINT|NSET|MATERIAL)\b"),
)
_add("avs-ucd", "AVS unstructured cell data", ".avs .ucd .inp", "avs_ucd", recognises=by.avs_ucd)
_add("frd", "CalculiX results", ".frd", "frd", series=True, recognises=by.matches(rb"\A\s+1C|\A\s+1U|^ +2C +\d+"))
_add(
    "med",
    "MED (Salome, Code_Aster)",
    ".med .rmed .mmed",
    "med",
    recognises=by.hdf5_with(b"ENS_MAA", b"INFOS_GENERALES"),
)
_add("cgns", "CGNS", ".cgns", "cgns", recognises=by.hdf5_with(b"CGNSLibraryVersion", b"CGNSBase_t"))
_add("exodus", "Exodus II", ".e .exo .ex2 .exii .gen .g", "exodus", series=True, recognises=by.netcdf)
_add("stl", "STL", ".stl .stla .stlb", "stl", recognises=None)
_add("ply", "PLY", ".ply", "ply", recognises=by.starts(b"ply\n", b"ply\r", b"ply "))
_add("off", "OFF", ".off", "off", recognises=by.off)
_add("obj", "Wavefront OBJ", ".obj", "obj")
_add("xdmf", "XDMF", ".xdmf .xmf", "xdmf", series=True, recognises=by.contains(b"<Xdmf"))
_add(
    "nastran",
    "Nastran bulk data",
    ".bdf .nas .fem .dat",
    "nastran",
    recognises=by.matches(rb"^\s*BEGIN\s+BULK|^GRID[\s*,]"),
)
_add("tecplot", "Tecplot", ".tec", "tecplot", writes=False, recognises=by.tecplot)
_add("su2", "SU2", ".su2", "su2", recognises=by.matches(rb"^\s*NDIME\s*="))
_add("medit", "Medit (INRIA, FreeFem, MMG)", ".mesh", "medit", recognises=by.contains(b"MeshVersionFormatted"))
_add("meditb", "Medit binary", ".meshb", "meditb", writes=False, recognises=by.meditb)
_add("mfem", "MFEM mesh", ".mesh", "mfem", writes=False, recognises=by.starts(b"MFEM "))
_add("tabular", "points as columns of text", ".csv .xyz .txt .pts", "tabular")
_add("npz", "numpy arrays", ".npz", "npz")
_add(
    "meshio",
    "formats of meshio",
    ".xml .vol .ugrid .h5m .mdpa .f3grid .post .node .ele",
    "meshio_adapter",
    writes=False,
)
_add("trimesh", "formats of trimesh", ".glb .gltf .3mf .dae", "trimesh_adapter", writes=False)
