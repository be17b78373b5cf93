"""NetCDF files behind one small face: classic ones through scipy, HDF5-based ones through h5py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, require
from meshlearn.io.texts import decoded


class NetCdf:
    """Variables and dimensions of a file; use as a context manager."""

    def __init__(self, path: Path):
        self.path = path
        with open(path, "rb") as file:
            head = file.read(4)
        self._hdf = None
        self._nc: Any = None
        if head[:3] == b"CDF" and head[3:] in (b"\x01", b"\x02"):
            from scipy.io import netcdf_file

            self._nc = netcdf_file(str(path), "r", mmap=False)
        elif head[:3] == b"CDF":
            netcdf4 = require("netCDF4", "formats", "reading NetCDF files of the 64-bit data kind")
            self._nc = netcdf4.Dataset(str(path))
            self._nc.set_auto_mask(False)
        elif head == b"\x89HDF":
            self._hdf = require("h5py", "formats", "reading HDF5-based Exodus files").File(path, "r")
        else:
            raise MeshReadError(f"{path}: not a NetCDF file (it starts with {head!r})")

    def __enter__(self) -> NetCdf:
        return self

    def __exit__(self, *_: object) -> None:
        (self._hdf if self._hdf is not None else self._nc).close()

    def _variable(self, name: str) -> Any:
        if self._hdf is not None:
            return self._hdf.get(name)
        return self._nc.variables.get(name)

    def get(self, name: str) -> np.ndarray | None:
        """A variable as an array in native byte order, None if it is absent."""
        variable = self._variable(name)
        if variable is None:
            return None
        array = np.array(variable[()] if self._hdf is not None else variable[:])
        return array.astype(array.dtype.newbyteorder("=")) if not array.dtype.isnative else array

    def count(self, name: str) -> int:
        """The length of a dimension, 0 if it is absent."""
        if self._hdf is not None:
            found = self._hdf.get(name)
            return 0 if found is None else int(found.shape[0])
        found = self._nc.dimensions.get(name)
        return 0 if found is None else int(found if isinstance(found, int) else len(found))

    def strings(self, name: str) -> list[str]:
        """Rows of characters as texts; [] if the variable is absent."""
        rows = self.get(name)
        if rows is None:
            return []
        # some writers leave memory garbage behind the name
        return [decoded(re.split(rb"[\x00-\x1f\x7f]", b"".join(np.ravel(row)))[0]).strip() for row in rows]

    def title(self) -> str:
        """The title of the file, "" if it has none."""
        value = self._hdf.attrs.get("title", b"") if self._hdf is not None else getattr(self._nc, "title", b"")
        return decoded(value).strip("\x00 ") if isinstance(value, bytes) else str(value)

    def text_attribute(self, variable: str, name: str) -> str:
        """A text attribute of a variable, "" if it is absent."""
        found = self._variable(variable)
        if found is None:
            return ""
        value = found.attrs.get(name, b"") if self._hdf is not None else getattr(found, name, b"")
        return value.decode("utf-8", "replace").strip("\x00 ") if isinstance(value, bytes) else str(value)
