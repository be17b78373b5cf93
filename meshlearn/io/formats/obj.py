"""Wavefront OBJ: faces, lines and points; objects, groups and materials become cell sets.

Texture coordinates and normals belong to corners; they become point data where every point has just one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.components import spelled
from meshlearn.io.endmark import END, HEAD, check_end
from meshlearn.io.faces import add_faces, check_indices
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.tensors import to_numpy
from meshlearn.io.texts import text_of
from meshlearn.io.vtk_model import ragged_table
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

_QUIET = {"mtllib", "s", "lod", "shadow_obj", "trace_obj", "bevel", "c_interp", "d_interp"}


class _Obj:
    def __init__(self, builder: MeshBuilder):
        self.builder = builder
        self.numbers: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
        self.faces: list[list[tuple[int, int, int]]] = []
        self.lines: list[list[int]] = []
        self.dots: list[int] = []
        self.labels: dict[str, dict[str, list[int]]] = {}  # set -> {f | l | p: numbers of its faces, lines, points}
        self.current: dict[str, list[str]] = {"o": [], "g": [], "usemtl": []}

    def label(self, key: str, number: int) -> None:
        """Put an element into the object, groups and material that hold at this line."""
        for names in self.current.values():
            for name in names:
                self.labels.setdefault(name, {}).setdefault(key, []).append(number)

    def corner(self, word: bytes) -> tuple[int, int, int]:
        """0-based numbers of point, texture and normal; -1 where there is none."""
        if word.endswith(b"/"):
            raise self.builder.fail(
                f"the corner {word.decode(errors='replace')!r} is not complete: is the file cut off?"
            )
        parts = [*word.split(b"/"), b"", b""][:3]
        found = []
        for part, kind in zip(parts, ("v", "vt", "vn"), strict=True):
            number, count = int(part) if part else 0, len(self.numbers[kind])
            if part and (number == 0 or number < -count):
                raise self.builder.fail(
                    f"the corner {word.decode(errors='replace')!r} names no {kind} (there are {count} so far)"
                )
            found.append(number - 1 if number > 0 else (count + number if number < 0 else -1))
        if found[0] < 0:
            raise self.builder.fail(f"the corner {word.decode(errors='replace')!r} names no point")
        return found[0], found[1], found[2]


def read(path: Path) -> MeshBuilder:
    """Read an OBJ file."""
    builder = MeshBuilder(path, "Wavefront OBJ")
    data = path.read_bytes()
    if b"\x00" in data[:4096]:
        raise builder.fail("the file is binary, OBJ is text")
    whole = check_end(data, builder)
    obj = _Obj(builder)
    for line in data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        words = line.split(b"#")[0].split()
        if words:
            try:
                _statement(obj, words[0].decode(errors="replace"), words[1:])
            except MeshReadError:
                raise
            except ValueError:
                raise builder.fail(f"the line {line.decode(errors='replace')[:80]!r} holds no numbers") from None
    if not obj.numbers["v"]:
        raise builder.fail("there is no point (no line starts with 'v')")
    if not data.endswith((b"\n", b"\r")):
        if not (obj.faces or obj.lines or obj.dots):
            raise builder.fail(
                "there are points, no faces, and no end of the last line: cut off?\n"
                "  if the points are all there is, end the last line"
            )
        _warn_of_a_cut(data, builder)
    if not (whole or obj.faces or obj.lines or obj.dots):
        builder.lost("what may follow the points: there are no faces, the file may be cut off")
    _points(obj)
    _cells(obj)
    return builder


def _warn_of_a_cut(data: bytes, builder: MeshBuilder) -> None:
    """A last line without its end that has fewer words than the line of its kind before it."""
    *before, last = (line.split() for line in data[-4096:].splitlines())
    alike = [words for words in before[1:] if words[:1] == last[:1]]
    if alike and len(last) < len(alike[-1]):
        builder.lost(f"a part of the last line {b' '.join(last).decode(errors='replace')!r}: the file may be cut off")


def _statement(obj: _Obj, key: str, words: list[bytes]) -> None:
    if key in obj.numbers:
        values = [float(word) for word in words]
        if key == "v" and len(values) < 3:
            raise obj.builder.fail(f"a point has {len(values)} coordinates, expected 3")
        obj.numbers[key].append(values)
    elif key == "f":
        obj.label(key, len(obj.faces))
        obj.faces.append([obj.corner(word) for word in words])
        if len(words) < 3:
            raise obj.builder.fail(f"face {len(obj.faces)} has {len(words)} corners; a face needs at least 3")
        if len({word.count(b"/") for word in words}) > 1:
            raise obj.builder.fail(
                f"the corners of face {len(obj.faces)} are not alike "
                f"({b' '.join(words).decode(errors='replace')[:80]!r}): is the file cut off?"
            )
    elif key == "l":
        obj.label(key, len(obj.lines))
        obj.lines.append([obj.corner(word)[0] for word in words])
    elif key == "p":
        for word in words:
            obj.label(key, len(obj.dots))
            obj.dots.append(obj.corner(word)[0])
    elif key in obj.current:
        names = [text_of(word, obj.builder) for word in words]
        if key == "g":
            obj.current[key] = [name for name in names if name != "default"]
        else:
            prefix = "material:" if key == "usemtl" else ""
            obj.current[key] = [prefix + " ".join(names)] if names else []
    elif key not in _QUIET:
        obj.builder.lost(f"{key!r} statements")


def _points(obj: _Obj) -> None:
    builder, rows = obj.builder, obj.numbers["v"]
    width = max(map(len, rows))
    table = np.full((len(rows), width), np.nan)
    for k, row in enumerate(rows):
        table[k, : len(row)] = row
    builder.points = np.ascontiguousarray(table[:, :3])
    if width == 4 and not (np.isnan(table[:, 3]) | (table[:, 3] == 1)).all():
        builder.point_data["weight"] = table[:, 3]
    elif width >= 6:
        builder.point_data["color"] = table[:, 3:]


def _cells(obj: _Obj) -> None:
    builder = obj.builder
    assert builder.points is not None
    sizes = np.array([len(face) for face in obj.faces], np.int64)
    corners = np.array([corner for face in obj.faces for corner in face], np.int64).reshape(-1, 3)
    check_indices(builder, corners[:, 0], len(builder.points))
    blocks = add_faces(builder, sizes, corners[:, 0])
    _label(obj, "f", blocks)
    starts = np.cumsum(sizes) - sizes
    for column, key, name in ((1, "vt", "texture"), (2, "vn", "normals")):
        if obj.numbers[key] and not _point_values(corners[:, [0, column]], obj.numbers[key], name, builder):
            _corner_values(corners[:, column], starts, blocks, obj.numbers[key], name, builder)
    if obj.lines:
        lengths = np.array([len(line) for line in obj.lines], np.int64)
        members = np.array([node for line in obj.lines for node in line], np.int64)
        check_indices(builder, members, len(builder.points))
        starts = lengths.cumsum() - lengths
        if (lengths < 2).any():
            raise builder.fail("a line has fewer than 2 points")
        short = lengths == 2
        placed = []
        if short.any():
            table = members[starts[short][:, None] + np.arange(2)]
            placed.append((builder.add_cells("line", table), np.flatnonzero(short)))
        if not short.all():
            table = ragged_table(members, starts[~short], lengths[~short])
            placed.append((builder.add_cells("poly_line", table), np.flatnonzero(~short)))
        _label(obj, "l", placed)
    if obj.dots:
        check_indices(builder, np.array(obj.dots), len(builder.points))
        _label(
            obj, "p", [(builder.add_cells("vertex", np.array(obj.dots, np.int64)[:, None]), np.arange(len(obj.dots)))]
        )


def _label(obj: _Obj, key: str, placed: list[tuple[Block, np.ndarray]]) -> None:
    """Objects, groups and materials of blocks whose numbers in the file are given."""
    for name, members in obj.labels.items():
        for block, numbers in placed:
            inside = np.flatnonzero(np.isin(numbers, members.get(key, [])))
            if len(inside):
                obj.builder.add_cell_set(name, block, inside)


def _table(rows: list[list[float]]) -> np.ndarray:
    width = min(map(len, rows))
    return np.array([row[:width] for row in rows])


def _point_values(pairs: np.ndarray, rows: list[list[float]], name: str, builder: MeshBuilder) -> bool:
    """Values of corners as point data, if every point has exactly one value; says whether that was so."""
    used = pairs[pairs[:, 1] >= 0]
    n_points = len(builder.points) if builder.points is not None else 0
    table = _table(rows)
    if len(used) and int(used[:, 1].max()) >= len(rows):
        raise builder.fail(f"a corner names {name} number {int(used[:, 1].max()) + 1}, there are {len(rows)}")
    values = np.full((n_points, table.shape[1]), np.nan)
    values[used[:, 0]] = table[used[:, 1]]
    single = len(used) > 0 and np.array_equal(values[used[:, 0]], table[used[:, 1]], equal_nan=True)
    if single and len(np.unique(used[:, 0])) == n_points:
        builder.point_data[name] = values
        return True
    return False


def _corner_values(
    numbers: np.ndarray, starts: np.ndarray, blocks: list, rows: list[list[float]], name: str, builder: MeshBuilder
) -> None:
    """Values of corners as cell data (n_cells, n_corners, components); NaN where a corner has none."""
    table = np.vstack([_table(rows), np.full((1, _table(rows).shape[1]), np.nan)])  # the last row answers to number -1
    if (numbers < 0).all():
        builder.lost(f"{len(rows)} {name} values that no face uses")
        return
    for block, faces in blocks:
        size = {"triangle": 3, "quad": 4}.get(block.kind)
        if size is None:
            builder.lost(f"{name} values of the corners of polygons")
            continue
        builder.add_cell_data(f"corner_{name}", block, table[numbers[starts[faces][:, None] + np.arange(size)]])


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write points, faces, lines and vertices, cell sets as groups, `texture` and `normals` with their corners."""
    kinds = ("triangle", "quad", "polygon", "line", "poly_line", "vertex")
    losses = unheld(mesh, "Wavefront OBJ", kinds, ("cell_sets", "point_data"))
    names = spelled("cell set", mesh.cell_sets, lambda name: "_".join(name.split()), losses, ("default",))
    for name, by_kind in mesh.cell_sets.items():
        if not any(len(rows) for rows in by_kind.values()):
            losses.append(f"cell set {name!r} (without cells)")
    extra = {name: mesh.point_data[name] for name in ("texture", "normals") if name in mesh.point_data}
    losses += [f"point data {name!r}" for name in mesh.point_data if name not in (*extra, "color")]
    points = three_columns(to_numpy(mesh.points))
    if "color" in mesh.point_data:
        points = np.column_stack([points, to_numpy(mesh.point_data["color"])])
    with open(path, "w", newline="\n", encoding="utf-8") as file:
        file.write(f"# {HEAD}\n")
        file.writelines(f"v {' '.join(map(repr, row))}\n" for row in points.tolist())
        for name, key in (("texture", "vt"), ("normals", "vn")):
            if name in extra:
                file.writelines(f"{key} {' '.join(map(repr, row))}\n" for row in to_numpy(extra[name]).tolist())
        pattern = {(): "{0}", ("texture",): "{0}/{0}", ("normals",): "{0}//{0}"}.get(tuple(extra), "{0}/{0}/{0}")
        for kind in kinds:
            if kind in mesh.cells:
                _write_kind(file, mesh, kind, pattern if cell_dim(kind) == 2 else "{0}", names)
        file.write(f"# {END}\n")
    return losses


def _write_kind(file, mesh: Mesh, kind: str, pattern: str, spellings: dict[str, str]) -> None:
    key = {"line": "l", "poly_line": "l", "vertex": "p"}.get(kind, "f")
    names: list[list[str]] = [[] for _ in range(len(mesh.cells[kind]))]
    for name, by_kind in mesh.cell_sets.items():
        for row in by_kind[kind].tolist() if kind in by_kind else ():
            names[row].append(spellings[name])
    current: list[str] = []
    for row, nodes in enumerate(to_numpy(mesh.cells[kind]).tolist()):
        if names[row] != current:
            current = names[row]
            file.write(f"g {' '.join(current) or 'default'}\n")
        file.write(f"{key} {' '.join(pattern.format(node + 1) for node in nodes if node >= 0)}\n")
