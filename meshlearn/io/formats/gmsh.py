"""Gmsh .msh files, versions 2 and 4, ASCII and binary.

Physical groups become `cell_sets` under their names (`physical_7` if group 7 has none); an element of version 2 that is
written once for each of its groups is one cell. The numbers of groups and of
geometrical entities are kept as cell data `gmsh:physical` and `gmsh:geometrical`. $NodeData and $ElementData become
point and cell data; several time steps of one view make a trajectory. Our own files carry a section `$Meshlearn`
(JSON), which other programs skip: exact types and shapes, point sets, global data, and the order of cells.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import FROM_GMSH, GMSH, NODES, reorder
from meshlearn.io.counts import counted
from meshlearn.io.formats.gmsh_data import add_views, read_view
from meshlearn.io.formats.gmsh_own import finish, fits
from meshlearn.io.formats.gmsh_repeated import Elements, merge_repeated
from meshlearn.io.formats.gmsh_sections import elements_2, elements_4, entities_4, nodes_2, nodes_4
from meshlearn.io.formats.gmsh_text import MshCursor
from meshlearn.io.positions import Positions
from meshlearn.io.texts import split_lines
from meshlearn.mesh.mesh import Mesh

_IGNORED = {
    "Periodic": "links between periodic nodes",
    "PartitionedEntities": "the partition of the entities",
    "GhostElements": "ghost elements",
    "Parametrizations": "parametrizations of the geometry",
    "InterpolationScheme": "an interpolation scheme",
    "NodeParametrizations": "node parametrizations",
    "ElementNodeData": "a view with values per element node",
    "Curves": "parametrization curves",
}


@dataclass
class Msh:
    """The sections of a file as they are found."""

    tags: np.ndarray | None = None  # node numbers as the file has them
    points: np.ndarray | None = None
    elements: list[Elements] = field(default_factory=list)
    names: dict[tuple[int, int], str] = field(default_factory=dict)  # (dimension, physical tag) -> name
    physical_of: dict[tuple[int, int], list[int]] = field(default_factory=dict)  # (dimension, entity) -> groups
    views: list[Any] = field(default_factory=list)
    own: dict[str, Any] | None = None


def read(path: Path) -> MeshBuilder:
    """Read a .msh file."""
    builder = MeshBuilder(path, "Gmsh file")
    cursor = MshCursor(path.read_bytes(), builder)
    msh = Msh()
    while section := cursor.next_section():
        _read_section(cursor, section, msh, builder)
    if msh.points is None or msh.tags is None:
        raise builder.fail("there is no $Nodes section: the file is cut off or holds no mesh")
    if len(np.unique(msh.tags)) != len(msh.tags):
        values, counts = np.unique(msh.tags, return_counts=True)
        raise builder.fail(f"node {int(values[counts > 1][0])} is defined twice")
    builder.points = msh.points
    if msh.own is not None and not fits(msh):
        builder.lost(
            "nodes or elements were changed after meshlearn wrote the file; exact types, point sets and global data"
        )
        msh.own = None
    blocks = _add_elements(msh, builder)
    if msh.own is not None:
        finish(msh, blocks, builder)
    else:
        add_views(msh.views, msh.tags, blocks, builder)
    return builder


def _read_section(cursor: MshCursor, section: str, msh: Msh, builder: MeshBuilder) -> None:
    if cursor.version < 2 and section in ("NOD", "ELM"):
        raise builder.fail("Gmsh's format version 1 is not supported; open the file in Gmsh and save it as version 4")
    if section == "PhysicalNames":
        for line in split_lines(cursor.text_body(section))[1:]:
            words = line.split(None, 2)
            if len(words) == 3:
                msh.names[int(words[0]), int(words[1])] = words[2].strip().strip('"')
    elif section == "Entities":
        msh.physical_of = entities_4(cursor)
    elif section == "Nodes":
        msh.tags, msh.points = nodes_4(cursor) if cursor.version >= 4 else nodes_2(cursor)
    elif section == "Elements":
        found = elements_4(cursor) if cursor.version >= 4 else elements_2(cursor)
        msh.elements = [Elements(*parts) for parts in found]
    elif section in ("NodeData", "ElementData"):
        msh.views.append(read_view(cursor, section))
    elif section == "Meshlearn":
        msh.own = json.loads(cursor.text_body(section))
    else:
        cursor.skip(section)
        if section in _IGNORED:
            builder.lost(f"{_IGNORED[section]} (${section})")
        elif section != "Comments":
            builder.lost(f"section ${section}")


def _add_elements(msh: Msh, builder: MeshBuilder) -> list[tuple[Block, np.ndarray]]:
    """Add the cells and their groups; returns each block with its element numbers."""
    assert msh.tags is not None
    position = Positions(msh.tags)
    blocks = []
    found = msh.elements if msh.own is not None else merge_repeated(msh.elements, builder)
    for elements in found:
        kind = GMSH.get(elements.kind)
        if kind is None:
            raise builder.fail(
                f"element type {elements.kind} is not supported ({counted(len(elements.tags), 'element')})"
            )
        rows = position(elements.nodes)
        if (rows < 0).any():
            missing = int(elements.nodes[rows < 0][0])
            raise builder.fail(
                f"element {int(elements.tags[(rows < 0).any(1)][0])} names node {missing}, which is not there"
            )
        if rows.shape[1] != NODES[kind]:
            raise builder.fail(f"elements of type {elements.kind} ({kind}) have {rows.shape[1]} nodes")
        block = builder.add_cells(kind, reorder(kind, rows, FROM_GMSH))
        blocks.append((block, elements.tags))
        if msh.own is None:
            _add_groups(msh, elements, block, builder)
    return blocks


def _add_groups(msh: Msh, elements: Elements, block: Block, builder: MeshBuilder) -> None:
    first = np.zeros(block.count, np.int64)
    if elements.physical is not None:
        first = elements.physical
        for group, rows in elements.members():
            builder.add_cell_set(_name(msh, elements.dim, group), block, rows)
    else:
        for entity in np.unique(elements.entity).tolist():
            groups = msh.physical_of.get((elements.dim, entity), [])
            rows = np.flatnonzero(elements.entity == entity)
            for group in groups:
                builder.add_cell_set(_name(msh, elements.dim, abs(group)), block, rows)
            if groups:
                first[rows] = groups[0]
    if msh.names or msh.physical_of or first.any():
        builder.add_cell_data("gmsh:physical", block, first)
    builder.add_cell_data("gmsh:geometrical", block, elements.entity)


def _name(msh: Msh, dim: int, group: int) -> str:
    return msh.names.get((dim, group), f"physical_{group}")


def write(mesh: Mesh, path: Path, binary: bool = True) -> list[str]:
    """Write version 4.1 with everything."""
    from meshlearn.io.formats.gmsh_write import write_msh

    return write_msh(mesh, path, binary)
