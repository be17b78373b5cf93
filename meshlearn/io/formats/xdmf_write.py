"""Writing XDMF 3: XML that describes, an .h5 file beside it that holds the numbers.

NAME.xdmf has its numbers in NAME.h5, or in NAME_1.h5 ... if that is taken; the numbers of the version that is replaced
are removed at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from meshlearn.errors import require
from meshlearn.io import beside
from meshlearn.io.formats.xdmf_topology import KINDS, TO_NUMBER
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.io.write import atomic
from meshlearn.mesh.mesh import Mesh

_SINGLE = {
    "triangle": "Triangle", "quad": "Quadrilateral", "tetra": "Tetrahedron", "pyramid": "Pyramid", "wedge": "Wedge",
    "hexahedron": "Hexahedron", "line3": "Edge_3", "triangle6": "Triangle_6", "quad8": "Quadrilateral_8",
    "quad9": "Quadrilateral_9", "tetra10": "Tetrahedron_10", "pyramid13": "Pyramid_13", "wedge15": "Wedge_15",
    "wedge18": "Wedge_18", "hexahedron20": "Hexahedron_20", "hexahedron24": "Hexahedron_24",
    "hexahedron27": "Hexahedron_27",
}  # fmt: skip
_COUNTED = {"vertex": (1, 1), "line": (2, 2)}
_PARTS = ("point_data", "cell_data", "global_data", "point_sets", "cell_sets")


class _Heavy:
    """Puts arrays into the .h5 file and gives back the XML that points to them."""

    def __init__(self, file: Any, name: str):
        self.file, self.name, self.count = file, name, 0

    def item(self, array: np.ndarray) -> str:
        key = f"data{self.count}"
        self.count += 1
        self.file.create_dataset(key, data=array)
        kind = {"f": "Float", "i": "Int", "u": "UInt"}[array.dtype.kind]
        shape = " ".join(map(str, array.shape))
        return (
            f'<DataItem DataType="{kind}" Precision="{array.dtype.itemsize}" Dimensions="{shape}" '
            f'Format="HDF">{self.name}:/{key}</DataItem>'
        )


def write_xdmf(given: Any, path: Path) -> list[str]:
    """Write a Mesh, or a Trajectory as a temporal collection."""
    h5py = require("h5py", "formats", "writing XDMF files")
    series = None if isinstance(given, Mesh) else given
    mesh: Mesh = given if series is None else series.mesh
    losses = unheld(mesh, "XDMF", {*_SINGLE, *_COUNTED}, _PARTS)
    kinds = [kind for kind in mesh.cells if kind in _SINGLE or kind in _COUNTED]
    old = beside.previous(path)
    with beside.claimed(path.with_suffix(""), ".h5", beside.new_file, Path.unlink) as heavy_path:
        with h5py.File(heavy_path, "w") as file:
            heavy = _Heavy(file, heavy_path.name)
            frame = _topology(mesh, kinds, heavy) + _sets(mesh, kinds, heavy)
            still = _geometry(to_numpy(mesh.points), heavy)
            if series is None:
                fields = _fields(mesh.point_data, mesh.cell_data, mesh.global_data, mesh, kinds, heavy, losses)
                body = _grid("mesh", frame + still + fields)
            else:
                body = _collection(series, mesh, kinds, frame, still, heavy, losses)
        with atomic(path) as text:
            head = f'<?xml version="1.0"?>\n{beside.mark(heavy_path)}\n<Xdmf Version="3.0">\n<Domain>\n'
            text.write_text(f"{head}{body}</Domain>\n</Xdmf>\n", "utf-8")
    if old is not None and old.suffix == ".h5" and old.stem.startswith(path.stem):
        old.unlink(missing_ok=True)
    return list(dict.fromkeys(losses))


def _grid(name: str, body: str) -> str:
    return f'<Grid Name="{name}" GridType="Uniform">\n{body}</Grid>\n'


def _collection(
    series: Any, mesh: Mesh, kinds: list[str], frame: str, still: str, heavy: _Heavy, losses: list[str]
) -> str:
    constant = _fields(
        {n: v for n, v in mesh.point_data.items() if n not in series.point_data},
        {n: v for n, v in mesh.cell_data.items() if n not in series.cell_data},
        {n: v for n, v in mesh.global_data.items() if n not in (*series.global_data, "time")},
        mesh, kinds, heavy, losses,
    )  # fmt: skip
    steps = []
    for k, time in enumerate(series.times.tolist()):
        points = still if series.moving_points is None else _geometry(to_numpy(series.moving_points[k]), heavy)
        own = _fields(
            {n: v[k] for n, v in series.point_data.items()},
            {n: {kind: v[k] for kind, v in by.items()} for n, by in series.cell_data.items()},
            {n: v[k] for n, v in series.global_data.items()},
            mesh, kinds, heavy, losses,
        )  # fmt: skip
        steps.append(_grid(f"step_{k}", f'{frame}{points}<Time Value="{time!r}"/>\n{constant}{own}'))
    return f'<Grid Name="series" GridType="Collection" CollectionType="Temporal">\n{"".join(steps)}</Grid>\n'


def _geometry(points: np.ndarray, heavy: _Heavy) -> str:
    own = ""
    if points.shape[1] == 1:  # XDMF has no such geometry
        points, own = np.pad(points, ((0, 0), (0, 1))), '<Information Name="meshlearn:dim" Value="1"/>'
    kind = "XY" if points.shape[1] == 2 else "XYZ"
    return f'<Geometry GeometryType="{kind}">{own}{heavy.item(points)}</Geometry>\n'


def _topology(mesh: Mesh, kinds: list[str], heavy: _Heavy) -> str:
    count = sum(len(mesh.cells[kind]) for kind in kinds)
    if not count:
        table = np.arange(mesh.n_points).reshape(-1, 1)
        return f'<Topology TopologyType="Polyvertex" NumberOfElements="{len(table)}" NodesPerElement="1"/>\n'
    filled = [kind for kind in kinds if len(mesh.cells[kind])]
    if len(filled) == 1 and filled[0] in _SINGLE:
        item = heavy.item(to_numpy(mesh.cells[filled[0]]))
        return f'<Topology TopologyType="{_SINGLE[filled[0]]}" NumberOfElements="{count}">{item}</Topology>\n'
    rows = []
    for kind in filled:
        table = to_numpy(mesh.cells[kind])
        head = _COUNTED.get(kind) or (TO_NUMBER[kind],)
        rows.append(np.column_stack([*(np.full(len(table), value) for value in head), table]).ravel())
    return f'<Topology TopologyType="Mixed" NumberOfElements="{count}">{heavy.item(np.concatenate(rows))}</Topology>\n'


def _filler(given: dict[str, np.ndarray], count: int) -> np.ndarray:
    """For cells without a value: NaN, and 0 where numbers are whole."""
    part = next(iter(given.values()))
    return np.full((count, *part.shape[1:]), np.nan if part.dtype.kind == "f" else 0, part.dtype)


def _attribute(name: str, center: str, array: np.ndarray, heavy: _Heavy, kinds: str = "") -> str:
    width = int(np.prod(array.shape[1:]))
    kind = {1: "Scalar", 3: "Vector", 6: "Tensor6", 9: "Tensor"}.get(width, "Matrix")
    own = f' {KINDS}="{kinds}"' if kinds else ""
    head = f'<Attribute Name={quoteattr(name)} AttributeType="{kind}" Center="{center}"{own}>'
    return f"{head}{heavy.item(array)}</Attribute>\n"


def _plain(tensor: Any) -> np.ndarray:
    """Numbers in the tensor's own shape, of a type that XDMF has."""
    values, _, shape = file_array(tensor)
    return values.reshape(len(values), *shape) if values.size == len(values) * int(np.prod(shape)) else values


def _fields(
    points: Any, cells: Any, values: Any, mesh: Mesh, kinds: list[str], heavy: _Heavy, losses: list[str]
) -> str:
    body = "".join(_attribute(name, "Node", _plain(tensor), heavy) for name, tensor in points.items())
    filled = [kind for kind in kinds if len(mesh.cells[kind])]
    for name, by_kind in cells.items():
        given = {kind: _plain(by_kind[kind]) for kind in filled if kind in by_kind}
        if len({(part.dtype, part.shape[1:]) for part in given.values()}) > 1:
            losses.append(f"cell data {name!r}, which has unlike types or shapes")
        elif given:
            parts = [given[kind] if kind in given else _filler(given, len(mesh.cells[kind])) for kind in filled]
            held = " ".join(given) if len(given) < len(filled) else ""
            body += _attribute(name, "Cell", np.concatenate(parts), heavy, held)
    return body + "".join(_attribute(name, "Grid", _plain(tensor), heavy) for name, tensor in values.items())


def _sets(mesh: Mesh, kinds: list[str], heavy: _Heavy) -> str:
    body = "".join(
        f'<Set Name={quoteattr(name)} SetType="Node">{heavy.item(to_numpy(rows))}</Set>\n'
        for name, rows in mesh.point_sets.items()
    )
    first = dict(zip(kinds, np.cumsum([0, *(len(mesh.cells[kind]) for kind in kinds)]).tolist(), strict=False))
    for name, by_kind in mesh.cell_sets.items():
        rows = [to_numpy(rows) + first[kind] for kind, rows in by_kind.items() if kind in first]
        if rows:
            body += f'<Set Name={quoteattr(name)} SetType="Cell">{heavy.item(np.concatenate(rows))}</Set>\n'
    return body
