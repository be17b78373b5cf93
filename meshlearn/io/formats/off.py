"""OFF with its prefixes (ST texture, C colour, N normals); vertices and faces."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.faces import add_faces, check_indices
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh


def read(path: Path) -> MeshBuilder:
    """Read an OFF file."""
    builder = MeshBuilder(path, "OFF")
    lines = [line.split(b"#")[0].split() for line in path.read_bytes().splitlines()]
    lines = [words for words in lines if words]
    prefix = re.fullmatch(rb"(ST)?(C)?(N)?(4)?OFF", lines[0][0]) if lines else None
    if prefix is None:
        raise builder.fail(f"the first word is {lines[0][0][:20] if lines else b''!r}, expected OFF")
    texture, colour, normals, homogeneous = prefix.groups()
    rest = [lines[0][1:], *lines[1:]] if len(lines[0]) > 1 else lines[1:]
    if rest and rest[0] and rest[0][0].upper() == b"BINARY":
        raise builder.fail("binary OFF is not supported; save the file as ASCII")
    if not rest or len(rest[0]) < 2:
        raise builder.fail("the line of counts is missing")
    n_points, n_faces = int(rest[0][0]), int(rest[0][1])
    rows, faces = rest[1 : 1 + n_points], rest[1 + n_points : 1 + n_points + n_faces]
    if len(rows) < n_points or len(faces) < n_faces:
        raise builder.fail(
            f"{n_points} vertices and {n_faces} faces are announced, {len(rows)} and {len(faces)} are present: cut off?"
        )
    if n_points == 0:
        raise builder.fail("the file holds no vertex")
    width = {len(row) for row in rows}
    if len(width) > 1 or min(width) < 3:
        raise builder.fail(f"the vertex lines hold {sorted(width)} numbers")
    table = np.array(rows).astype(np.float64)
    at = 4 if homogeneous else 3
    builder.points = table[:, :3] / table[:, 3:4] if homogeneous else table[:, :3]
    if normals:
        builder.point_data["normals"], at = table[:, at : at + 3], at + 3
    if colour:
        last = table.shape[1] - (2 if texture else 0)
        builder.point_data["color"], at = table[:, at:last], last
    if texture:
        builder.point_data["texture"], at = table[:, at : at + 2], at + 2
    if at < table.shape[1]:
        builder.point_data["color"] = table[:, at:]
    sizes = np.array([int(face[0]) for face in faces], np.int64)
    if any(len(face) < size + 1 for face, size in zip(faces, sizes.tolist(), strict=True)):
        raise builder.fail("a face line holds fewer corners than it announces")
    members = np.array(
        [int(w) for face, s in zip(faces, sizes.tolist(), strict=True) for w in face[1 : 1 + s]], np.int64
    )
    check_indices(builder, members, n_points)
    if any(len(face) > size + 1 for face, size in zip(faces, sizes.tolist(), strict=True)):
        builder.lost("colours of faces")
    add_faces(builder, sizes, members)
    return builder


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write points and faces."""
    kinds = ("triangle", "quad", "polygon")
    losses = unheld(mesh, "OFF", kinds)
    rows = [row[row >= 0].tolist() for kind in kinds if kind in mesh.cells for row in to_numpy(mesh.cells[kind])]
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"OFF\n{mesh.n_points} {len(rows)} 0\n")
        file.writelines(" ".join(map(repr, p)) + "\n" for p in three_columns(to_numpy(mesh.points)).tolist())
        file.writelines(f"{len(row)} {' '.join(map(str, row))}\n" for row in rows)
    return losses
