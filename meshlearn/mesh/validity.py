"""What is wrong with a mesh: a list of named defects, from values that are not finite to facets of three cells."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from meshlearn.mesh.cells import CELL_TYPES, cell_dim
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.orientation import facet_agreement
from meshlearn.mesh.quality import degenerate_cells, inverted_cells
from meshlearn.mesh.topology import Topology
from meshlearn.mesh.unique import group, row_keys

_EXAMPLES = 5
_SAME = 1e-9  # points closer than this fraction of the bounding box are one


@dataclass(frozen=True)
class Issue:
    """One kind of defect.

    kind      "no cells", "non-finite points", "non-finite values", "duplicate points", "unused points",
              "missing coordinates", "degenerate cells", "inverted cells", "duplicate cells", "inconsistent winding",
              "non-manifold facets", "non-manifold points", "several components", "open surface", "unchecked cells"
    severity  "error": results will be wrong; "warning": probably not intended; "note": worth knowing
    count     how many
    examples  the first few numbers: of points, of cells (global number), or of components' sizes
    message   one line for people
    """

    kind: str
    severity: str
    count: int
    examples: tuple[int, ...]
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


def check_mesh(mesh: Mesh) -> list[Issue]:
    """All defects found, errors first; an empty list for a sound mesh.

    Points that coincide (within 1e-9 of the extent) are reported, and taken as one in the checks of topology, so that
    a triangle soup (STL) is judged as the surface it describes. Nothing is repaired.

    >>> from meshlearn.mesh.validity import check_mesh
    >>> check_mesh(ml.shapes.square(n=2))
    []
    >>> turned = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 2, 1]]})
    >>> [issue.kind for issue in check_mesh(turned)]
    ['inverted cells']
    """
    mesh = mesh.cpu().detach()
    issues = _values(mesh)
    finite = torch.isfinite(mesh.points).all(1)
    known = {kind: nodes for kind, nodes in mesh.cells.items() if kind in CELL_TYPES and len(nodes)}
    unknown = {kind: len(nodes) for kind, nodes in mesh.cells.items() if kind not in CELL_TYPES and len(nodes)}
    if not known and not unknown:
        text = f"no cells: {mesh.n_points} points without anything between them, a point cloud"
        issues.append(Issue("no cells", "note", mesh.n_points, (), text))
    if unknown:
        names = ", ".join(f"{count} {kind}" for kind, count in unknown.items())
        issues.append(
            Issue("unchecked cells", "note", sum(unknown.values()), (), f"{names}: types that are not checked")
        )
    first_of, duplicates = _merged(mesh.points, finite)
    if len(duplicates):
        text = f"{len(duplicates)} points coincide with an earlier one (merged for the checks below)"
        issues.append(_issue("duplicate points", "warning", duplicates, text))
    issues += _unused(mesh)
    if known and mesh.cell_dim > mesh.dim:
        text = f"{mesh.cell_dim}-dimensional cells with {mesh.dim} coordinates per point: nothing else was checked"
        issues.append(Issue("missing coordinates", "error", mesh.n_cells, (), text))
    elif known:
        numbers = _numbers(mesh)
        issues += _shapes(mesh, known, finite, numbers)
        issues += _topology(mesh, known, first_of, numbers)
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted(issues, key=lambda issue: rank[issue.severity])


def _issue(kind: str, severity: str, where: Tensor, message: str) -> Issue:
    return Issue(kind, severity, len(where), tuple(where[:_EXAMPLES].tolist()), message)


def _list(where: Tensor) -> str:
    more = " …" if len(where) > _EXAMPLES else ""
    return ", ".join(map(str, where[:_EXAMPLES].tolist())) + more


def _values(mesh: Mesh) -> list[Issue]:
    issues = []
    bad = (~torch.isfinite(mesh.points).all(1)).nonzero().squeeze(1)
    if len(bad):
        text = f"{len(bad)} points have a coordinate that is not finite: {_list(bad)}"
        issues.append(_issue("non-finite points", "error", bad, text))
    fields = [(f"point_data[{name!r}]", values) for name, values in mesh.point_data.items()]
    fields += [(f"cell_data[{n!r}][{k!r}]", v) for n, parts in mesh.cell_data.items() for k, v in parts.items()]
    fields += [(f"global_data[{name!r}]", values[None]) for name, values in mesh.global_data.items()]
    for label, values in fields:
        if values.is_floating_point() and len(values):
            wrong = (~torch.isfinite(values.reshape(len(values), -1)).all(1)).nonzero().squeeze(1)
            if len(wrong):
                text = f"{label} is not finite in {len(wrong)} of {len(values)} rows: {_list(wrong)}"
                issues.append(_issue("non-finite values", "error", wrong, text))
    return issues


def _merged(points: Tensor, finite: Tensor) -> tuple[Tensor, Tensor]:
    """(number of the first point at the same place (n,), points that have an earlier one)."""
    first_of = torch.arange(len(points))
    rows = finite.nonzero().squeeze(1)
    if not len(rows):
        return first_of, rows
    x = points.index_select(0, rows).double()
    low = x.amin(0)
    extent = float((x.amax(0) - low).max()) or 1.0
    cells = ((x - low) / (_SAME * extent)).round().long()
    order, ptr = group(row_keys(cells, int(2 / _SAME)))
    head = order.index_select(0, ptr[:-1]).repeat_interleave(ptr.diff())
    first_of[rows[order]] = rows[head]
    return first_of, (first_of != torch.arange(len(points))).nonzero().squeeze(1)


def _unused(mesh: Mesh) -> list[Issue]:
    if not any(cell_dim(kind) and len(nodes) for kind, nodes in mesh.cells.items()):
        return []
    used = torch.zeros(mesh.n_points, dtype=torch.bool)
    for kind, nodes in mesh.cells.items():
        if kind == "polyhedron":
            return []  # the rows mix counts and point numbers
        used[nodes[nodes >= 0]] = True
    rows = (~used).nonzero().squeeze(1)
    return (
        [_issue("unused points", "warning", rows, f"{len(rows)} points belong to no cell: {_list(rows)}")]
        if len(rows)
        else []
    )


def _numbers(mesh: Mesh) -> dict[str, Tensor]:
    """Global cell numbers of the domain's types."""
    result, first = {}, 0
    for kind in mesh.domain_types:
        result[kind] = torch.arange(first, first + len(mesh.cells[kind]))
        first += len(mesh.cells[kind])
    return result


def _shapes(mesh: Mesh, known: dict[str, Tensor], finite: Tensor, numbers: dict[str, Tensor]) -> list[Issue]:
    """Degenerate and inverted cells among those with finite points."""
    sound = {kind: finite[nodes].all(1).nonzero().squeeze(1) for kind, nodes in known.items() if kind in numbers}
    cells = {kind: known[kind].index_select(0, rows) for kind, rows in sound.items() if len(rows)}
    if not cells:
        return []
    part = Mesh(mesh.points.nan_to_num(0.0, 0.0, 0.0), cells)
    flat = degenerate_cells(part)
    wrong = {kind: mask & ~flat[kind] for kind, mask in inverted_cells(part).items()}
    issues = []
    for kind, masks, text in (
        ("degenerate cells", flat, "have no length, area or volume"),
        ("inverted cells", wrong, "are turned inside out, or folded or concave at a corner"),
    ):
        rows = torch.cat([numbers[name][sound[name]][mask] for name, mask in masks.items()])
        if len(rows):
            counts = ", ".join(f"{int(mask.sum())} {name}" for name, mask in masks.items() if bool(mask.any()))
            issues.append(_issue(kind, "error", rows, f"{counts} cells {text}: {_list(rows)}"))
    if issues and issues[-1].kind == "inverted cells" and issues[-1].count == sum(map(len, numbers.values())):
        text = (
            f"all {counts} cells have the opposite orientation (clockwise, or inside out): mesh.oriented() turns them"
        )
        issues[-1] = replace(issues[-1], severity="warning", message=text)
    return issues


def _topology(mesh: Mesh, known: dict[str, Tensor], first_of: Tensor, numbers: dict[str, Tensor]) -> list[Issue]:
    """Checks on the cells with coincident points merged."""
    domain = {
        kind: first_of.index_select(0, known[kind].reshape(-1)).reshape(known[kind].shape)
        for kind in numbers
        if kind in known
    }
    if not domain:
        return []
    issues = []
    copies = torch.cat([numbers[kind][_repeated(kind, nodes, mesh.n_points)] for kind, nodes in domain.items()])
    if len(copies):
        text = f"{len(copies)} cells have the same corners as an earlier one: {_list(copies)}"
        issues.append(_issue("duplicate cells", "error", copies, text))
    topology = Topology(domain, mesh.n_points, mesh.device, mesh.source)
    crowded = [block.cells[block.count > 2][:, 0] for block in topology.facets.values()]
    shared = torch.cat(crowded).unique()
    n_shared = sum(len(rows) for rows in crowded)
    if n_shared:
        text = f"{n_shared} facets belong to three cells or more, beside cells {_list(shared)}"
        severity = "note" if topology.dim == 1 else "error"  # lines may branch: trusses, networks
        issues.append(Issue("non-manifold facets", severity, n_shared, tuple(shared[:_EXAMPLES].tolist()), text))
    elif not topology.is_manifold:
        text = "sheets of the surface touch in single points"
        issues.append(Issue("non-manifold points", "warning", 1, (), text))
    pairs = [(a[agree < 0], b[agree < 0]) for a, b, agree in facet_agreement(topology)]
    turned = torch.cat([torch.minimum(a, b) for a, b in pairs]) if pairs else torch.zeros(0, dtype=torch.int64)
    if len(turned) and topology.dim == 2:
        text = (
            f"{len(turned)} pairs of neighbours disagree about their orientation, beside cells {_list(turned.unique())}"
        )
        issues.append(_issue("inconsistent winding", "error", turned.unique(), text))
    if topology.n_components > 1:
        sizes = torch.bincount(topology.components[topology.is_used]).sort(descending=True).values
        sizes = sizes[sizes > 0]
        shattered = topology.n_components > max(10, topology.n_cells / 4)
        severity = "warning" if shattered else "note"
        text = f"{topology.n_components} separate components of {_list(sizes)} points"
        issues.append(
            Issue("several components", severity, topology.n_components, tuple(sizes[:_EXAMPLES].tolist()), text)
        )
    if topology.dim == 2 and mesh.dim == 3 and not topology.is_closed:
        rim = sum(len(nodes) for nodes in topology.boundary_facets.values())
        if rim:
            text = f"the surface is open: {rim} edges belong to one cell only"
            issues.append(Issue("open surface", "note", rim, (), text))
    return issues


def _repeated(kind: str, nodes: Tensor, n_points: int) -> Tensor:
    """(n,) bool: cells with the corners of an earlier row."""
    corners = nodes[:, : CELL_TYPES[kind].corners].sort(1).values
    order, ptr = group(row_keys(corners, max(n_points, 1)))
    repeated = torch.ones(len(nodes), dtype=torch.bool)
    repeated[order.index_select(0, ptr[:-1])] = False
    return repeated
