"""Files and other libraries <-> `Mesh`.

`read`, `write`, `read_many`, `read_series`, `split` and `MeshDataset` are also in the top-level namespace.
`supported_formats()` lists what can be read and written; `register_format` adds to it. `CFDBench`, `PDEBench` and
`TheWell` are published collections of simulations on grids, read one by one.
"""

from meshlearn.io import catalogue as _catalogue
from meshlearn.io.dataset import MeshDataset, read_many, split
from meshlearn.io.grid_files import CFDBench, PDEBench, TheWell
from meshlearn.io.read import read
from meshlearn.io.registry import Format, register_format, supported_formats
from meshlearn.io.series import read_series
from meshlearn.io.write import write

__all__ = [
    "CFDBench",
    "Format",
    "MeshDataset",
    "PDEBench",
    "TheWell",
    "read",
    "read_many",
    "read_series",
    "register_format",
    "split",
    "supported_formats",
    "write",
]

del _catalogue
