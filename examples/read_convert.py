"""A mesh through three file formats and back: every cell, field and tag survives."""

import tempfile
from pathlib import Path

import meshlearn as ml

mesh = ml.shapes.square(n=8, cells="mixed")
mesh = mesh.with_point_data(height=mesh.points[:, 0] * mesh.points[:, 1], velocity=mesh.points.flip(1))
mesh = mesh.with_cell_data(quality=mesh.join_cells(mesh.cell_measures())).with_global_data(load=12.5)
print(mesh)

kept = 0
with tempfile.TemporaryDirectory() as folder:
    for name in ("square.vtu", "square.msh", "square.mesh.safetensors"):
        again = ml.read(ml.write(mesh, Path(folder) / name))
        kept += ml.meshes_equal(again.replace(source=None), mesh)
        print(f"{name:26s} {(Path(folder) / name).stat().st_size:7d} bytes  tags {list(again.cell_sets)}")

assert kept == 3
