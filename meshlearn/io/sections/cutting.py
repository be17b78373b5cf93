"""Planes through meshes: closed contours, traced along the edges that a plane crosses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.errors import FieldError, ParameterError, TopologyError
from meshlearn.io.sections.contours import LabelledRings, section_at
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.planes import Plane
from meshlearn.io.sections.polygons import cleaned, signed_area
from meshlearn.io.sections.section import Section
from meshlearn.mesh.mesh import Mesh


def cut_mesh(mesh: Any, planes: list[Plane], labels: Any) -> CrossSections:
    """See `CrossSections.from_mesh`."""
    if not isinstance(mesh, Mesh):
        raise ParameterError(f"from_mesh takes a Mesh, got a {type(mesh).__name__}: read a file with ml.read(path).")
    if not planes:
        raise ParameterError("planes is empty: name at least one plane.")
    parts = [(label, *triangles_of(part)) for label, part in _parts(mesh, labels).items()]
    sections = []
    for number, plane in enumerate(planes):
        rings: LabelledRings = []
        for label, points, triangles in parts:
            rings += [(label, ring) for ring in cut(points, triangles, plane, f"plane {number}")]
        sections.append(_without_slivers(section_at(plane, rings)))
    return CrossSections(sections, source=mesh.source)


def _parts(mesh: Mesh, labels: Any) -> dict[int, Mesh]:
    """{label: the cells that have it}."""
    if labels is None:
        return {1: mesh}
    if labels not in mesh.cell_data:
        raise FieldError(f"labels={labels!r} is no cell field of the mesh; it has {sorted(mesh.cell_data)}.")
    values = mesh.join_cells(mesh.cell_data[labels])
    if values.is_floating_point() and not bool((values == values.round()).all()):
        raise FieldError(f"the cell field {labels!r} has values that are no whole numbers: labels are whole numbers.")
    found = {}
    for label in torch.unique(values.to(torch.int64)).tolist():
        if label < 0:
            raise FieldError(f"the cell field {labels!r} has the label {label}: labels count from 1, 0 is outside.")
        if label:
            keep = mesh.split_cells(values == label)
            cells = {kind: mesh.cells[kind][keep[kind]] for kind in mesh.domain_types}
            found[label] = Mesh(mesh.points, cells, source=mesh.source)
    return found


def triangles_of(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points, (m, 3) triangles) of a surface, or of the boundary of a solid."""
    if mesh.dim != 3 or mesh.cell_dim < 2:
        raise TopologyError(
            f"a plane cuts surfaces and solids in space; this mesh has {mesh.cell_dim}-dimensional cells in "
            f"{mesh.dim}-D."
        )
    surface = mesh.topology.boundary_facets if mesh.cell_dim == 3 else {k: mesh.cells[k] for k in mesh.domain_types}
    tables = []
    for kind, nodes in surface.items():
        corners = {"triangle": 3, "quad": 4}.get("".join(c for c in kind if c.isalpha()))
        if corners is None:
            raise TopologyError(f"faces of type {kind!r} cannot be cut: triangles and quads can.")
        table = nodes[:, :corners].cpu().numpy()
        tables += [table[:, [0, k, k + 1]] for k in range(1, corners - 1)]
    return mesh.points.detach().cpu().double().numpy(), np.concatenate(tables)


def cut(points: np.ndarray, triangles: np.ndarray, plane: Plane, where: str) -> list[np.ndarray]:
    """Closed contours (k, 3) of a plane through a watertight surface.

    Points on the plane count as above it, which is the same as moving the plane by less than any number: contours stay
    closed however the plane meets edges and points. Raises TopologyError where the surface is open.
    """
    origin, normal = plane
    height = (points - origin) @ normal
    above = height >= 0
    sides = above[triangles]
    crossed = triangles[sides.any(1) & ~sides.all(1)]
    if not len(crossed):
        return []
    # the corner that is alone on its side comes first: the contour enters by one of its edges and leaves by the other
    up = above[crossed]
    alone = np.where(up.sum(1) == 1, up.argmax(1), (~up).argmax(1))
    rows = np.arange(len(crossed))
    a, b, c = crossed[rows, alone], crossed[rows, (alone + 1) % 3], crossed[rows, (alone + 2) % 3]
    low, high = (
        np.minimum(np.stack([a, a], 1), np.stack([b, c], 1)),
        np.maximum(np.stack([a, a], 1), np.stack([b, c], 1)),
    )
    keys, ends = np.unique(low * len(points) + high, return_inverse=True)
    loops = trace(ends.reshape(-1, 2), len(keys), where)
    first, second = keys // len(points), keys % len(points)
    t = height[first] / (height[first] - height[second])
    places = points[first] + t[:, None] * (points[second] - points[first])
    return [places[loop] for loop in loops]


def trace(pairs: np.ndarray, n: int, where: str) -> list[np.ndarray]:
    """Closed loops of the graph of n nodes that these (m, 2) edges join, every node in two of them.

    Raises TopologyError where a node has another number of edges.
    """
    count = np.bincount(pairs.reshape(-1), minlength=n)
    if (count != 2).any():
        open_ends, many = int((count == 1).sum()), int((count > 2).sum())
        found = f"{open_ends} open ends" if open_ends else f"{many} places where more than two faces share an edge"
        raise TopologyError(
            f"{where}: the cut has {found}; only contours of a closed (watertight) surface bound a region.\n"
            "  Close the surface first; mesh.is_watertight tells, and mesh.boundary_points shows where it is open."
        )
    order = np.argsort(pairs.reshape(-1), kind="stable")
    edges = (order // 2).reshape(n, 2)  # the two edges of every node
    both = np.stack([edges, pairs[edges].sum(2) - np.arange(n)[:, None]], axis=2).tolist()
    seen = bytearray(n)
    loops = []
    for start in range(n):
        if seen[start]:
            continue
        loop, node, edge = [], start, both[start][0][0]
        while not seen[node]:
            seen[node] = 1
            loop.append(node)
            (e0, n0), (e1, n1) = both[node]
            edge, node = (e1, n1) if e0 == edge else (e0, n0)
        loops.append(np.array(loop))
    return loops


def _without_slivers(section: Section) -> Section:
    """The section without contours of no area, which planes through edges and corners leave."""
    if not section.rings:
        return section
    size = float(max(np.ptp(ring.points, axis=0).max() for ring in section.rings))
    rings = []
    for ring in section.rings:
        points = cleaned(ring.points, 1e-12 * size)
        if len(points) >= 3 and abs(signed_area(points)) > 1e-12 * size * size:
            rings.append(type(ring)(ring.label, points))
    return Section(section.origin, section.axes, tuple(rings))
