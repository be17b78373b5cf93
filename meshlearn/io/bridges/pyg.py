"""torch_geometric.data.Data <-> Mesh."""

from __future__ import annotations

from typing import Any

import torch

from meshlearn.errors import MeshError
from meshlearn.io.bridges.lost import not_a, warn_of
from meshlearn.io.counts import counted
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.owned import owned
from meshlearn.quiet import quietly_imported

_RESERVED = {"pos", "face", "tetra", "edge_index", "adj", "adj_t", "batch", "ptr", "num_nodes"}


def from_pyg(data: Any, source: str | None = None) -> Mesh:
    """From a `Data` with positions `pos`: `face` (3, n) or `tetra` (4, n) become cells, else `edge_index` becomes
    lines.

    `x` and every other tensor with one row per node become point data, tensors with one row per face cell data, the
    rest global data. Edges in both directions give one line.
    """
    if not hasattr(data, "to_dict"):
        raise not_a("a torch_geometric.data.Data", data)
    if getattr(data, "pos", None) is None:
        raise MeshError(f"the Data has no positions 'pos'; it has {list(data.keys())}.")
    points = data.pos if data.pos.is_floating_point() else data.pos.to(torch.get_default_dtype())
    cells: dict[str, torch.Tensor] = {}
    for key, kind in (("face", "triangle"), ("tetra", "tetra")):
        table = getattr(data, key, None)
        if table is not None:
            cells[kind] = table.t().contiguous()
    used = {"pos", "face", "tetra", "edge_index", "ptr", "batch"}
    point_data, cell_data, global_data, report = {}, {}, {}, []
    edges = getattr(data, "edge_index", None)
    if not cells and edges is not None and edges.shape[1]:
        lines = torch.sort(edges.t(), dim=1).values
        cells["line"] = torch.unique(lines[lines[:, 0] != lines[:, 1]], dim=0)
    n_cells = {len(table): kind for kind, table in cells.items()}
    for name, value in data.to_dict().items():
        if name in used or value is None:
            continue
        if not isinstance(value, torch.Tensor):
            if isinstance(value, int | float | bool):
                global_data[name] = torch.tensor(value)
            else:
                report.append(f"attribute {name!r} of type {type(value).__name__} was left out")
        elif name.startswith("edge_") and edges is not None and value.ndim and len(value) == edges.shape[1]:
            report.append(f"attribute {name!r} of edges was left out")
        elif value.ndim and len(value) == len(points):
            point_data[name] = value
        elif value.ndim and len(value) in n_cells:
            cell_data[name] = {n_cells[len(value)]: value}
        else:
            global_data[name] = value
    return Mesh(points, cells, point_data, cell_data, global_data, source=source, report=report)


def to_pyg(mesh: Mesh) -> Any:
    """To a `Data` with `pos`, `edge_index` (2, n_edges) in both directions, `face` or `tetra`, and all point data by
    name.

    Global data are kept by name with a leading axis of 1, as PyG's batches want it. Cells of other kinds (their edges
    are in `edge_index`), cell data and sets are named in a MeshWriteWarning. Raises MeshError for fields whose names
    have a meaning of their own in PyG (pos, face, batch ...) and for names that points and the mesh share.
    """
    taken = sorted({*mesh.point_data, *mesh.global_data} & _RESERVED)
    twice = sorted({*mesh.point_data} & {*mesh.global_data})
    if taken or twice:
        reason = "have a meaning of their own in PyG" if taken else "are both point data and global data"
        raise MeshError(f"the fields {taken or twice} {reason}: rename them, e.g. with mesh.replace(point_data=...).")
    # PyG's import uses a deprecated decorator of torch
    data = quietly_imported("torch_geometric.data", DeprecationWarning).Data(pos=owned(mesh.points))
    if mesh.cell_dim:
        data.edge_index = mesh.point_adjacency.edge_index()
    if "triangle" in mesh.domain_types:
        data.face = mesh.cells["triangle"].t().clone(memory_format=torch.contiguous_format)
    if "tetra" in mesh.domain_types:
        data.tetra = mesh.cells["tetra"].t().clone(memory_format=torch.contiguous_format)
    held = {"triangle", "tetra"} & {*mesh.domain_types}
    if mesh.domain_types == ["line"]:
        held.add("line")
    for name, value in mesh.point_data.items():
        data[name] = owned(value)
    for name, value in mesh.global_data.items():
        data[name] = owned(value).unsqueeze(0)
    losses = [
        f"{counted(len(table), f'{kind} cell')} as cells"
        for kind, table in mesh.cells.items()
        if kind not in held and len(table)
    ]
    for part in ("cell_data", "point_sets", "cell_sets"):
        if getattr(mesh, part):
            losses.append(f"{part.replace('_', ' ')} {', '.join(map(repr, getattr(mesh, part)))}")
    warn_of("PyG's Data", losses)
    return data
