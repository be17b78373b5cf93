"""Reading a large tetrahedral .vtu: meshlearn against meshio and pyvista, and the native store. Ratios of medians in
one run.

python benchmarks/io.py [--cells 300000] [--repeat 5] [--name io]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch
from common import in_turns, write_results

import meshlearn as ml


def tetrahedra(n_cells: int) -> ml.Mesh:
    """A box of about n_cells tetrahedra with two fields."""
    edge = max(2, round((n_cells / 6) ** (1 / 3)))
    mesh = ml.shapes.box(n=(edge, edge, edge), cells="tetra").double()
    mesh = ml.Mesh(mesh.points, {"tetra": mesh.cells["tetra"]})
    u = torch.sin(3 * mesh.points)
    return mesh.with_point_data(u=u, p=u[:, 0] * u[:, 1]).with_cell_data(k=torch.rand(mesh.n_cells))


def touch(mesh: ml.Mesh) -> float:
    """Read every byte, so that a mapped file is really loaded."""
    tensors = [mesh.points, *mesh.cells.values(), *mesh.point_data.values()]
    tensors += [values for by_kind in mesh.cell_data.values() for values in by_kind.values()]
    return float(sum(tensor.numpy().sum() for tensor in tensors))


def medians(functions: dict, repeat: int) -> dict[str, float]:
    """Median wall times in seconds, the functions in turns."""
    return {name: times["median_s"] for name, times in in_turns(functions, repeat).items()}


def measure(path: Path, readers: dict, repeat: int) -> dict[str, float]:
    return medians({name: partial(reader, path) for name, reader in readers.items()}, repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--name", default="io", help="of the file in benchmarks/results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import meshio
    import pyvista

    mesh = tetrahedra(options.cells)
    readers = {"meshlearn": ml.read, "meshio": meshio.read, "pyvista": pyvista.read}
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mesh.to_meshio().write(folder / "meshio_zlib.vtu")
        rows["vtu, base64, zlib (meshio's default)"] = measure(folder / "meshio_zlib.vtu", readers, options.repeat)
        mesh.to_pyvista().save(folder / "pyvista.vtu")
        rows["vtu, appended base64, zlib (pyvista's default)"] = measure(
            folder / "pyvista.vtu", readers, options.repeat
        )
        ml.write(mesh, folder / "ours.vtu")
        rows["vtu, appended raw (meshlearn's default)"] = measure(folder / "ours.vtu", readers, options.repeat)
        ml.write(mesh, folder / "ours.mesh.safetensors")
        store = folder / "ours.mesh.safetensors"
        native = medians(
            {"open": lambda: ml.read(store), "open and read every byte": lambda: touch(ml.read(store))}, options.repeat
        )
        sizes = {entry.name: entry.stat().st_size for entry in sorted(folder.iterdir())}
    result = {
        "mesh": {"points": mesh.n_points, "tetra": mesh.n_cells},
        "seconds": rows,
        "native store, seconds": native,
        "faster of meshio and pyvista / meshlearn": {
            row: round(min(times["meshio"], times["pyvista"]) / times["meshlearn"], 2) for row, times in rows.items()
        },
        "faster of meshio and pyvista / native store": {
            row: {how: round(min(times["meshio"], times["pyvista"]) / value, 1) for how, value in native.items()}
            for row, times in rows.items()
        },
        "bytes": sizes,
        "limits": "zlib is bound by inflating (in threads), raw by copying the file into memory, "
        "the store by page faults",
    }
    print(json.dumps(result, indent=2))
    write_results(options.name, result)


if __name__ == "__main__":
    main()
