"""The keyword blocks of an Abaqus input file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.counts import counted
from meshlearn.io.endmark import check_end
from meshlearn.io.texts import split_lines, text_of

_SOLIDS = {4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron", 10: "tetra10", 15: "wedge15", 20: "hexahedron20",
           27: "hexahedron27"}  # fmt: skip
_PLANES = {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"}
_FAMILIES: list[tuple[str, dict[Any, str]]] = [
    (r"(?:C3D|DC3D|CC3D|AC3D|Q3D|COH3D|DCC3D|EC3D|EMC3D|F3D|FC3D|GK3D)(\d+)", _SOLIDS),
    (r"SC(6|8)", {6: "wedge", 8: "hexahedron"}),
    (
        r"(?:CPS|CPE|CPEG|CAX|CGAX|DC2D|DCAX|DCC2D|DCCAX|AC2D|ACAX|COH2D|COHAX|WARP2D|M3D|SFM3D|R3D|DS|S|MAX|RAX)(\d)",
        _PLANES,
    ),
    (r"STRI(3|65)", {3: "triangle", 65: "triangle6"}),
    (r"(?:T2D|T3D|DC1D|AC1D|R2D|RB2D|RB3D)(\d)", {2: "line", 3: "line3"}),
    (r"(?:B|PIPE|FRAME)(2|3)([123])", {1: "line", 2: "line3", 3: "line"}),
    (r"ELBOW3(1|2)", {1: "line", 2: "line3"}),
    (r"SAX(1|2)", {1: "line", 2: "line3"}),
    (r"(?:CONN2D|CONN3D|GAPUN|SPRING|DASHPOT|GAP|D)(A|2|UNI)?", {None: "line", "A": "line", 2: "line", "UNI": "line"}),
    (r"MASS|ROTARYI|SPRING1|DASHPOT1|HEATCAP|CONN1", {None: "vertex"}),
]

# ours[:, k] = theirs[:, order[k]]: a node in the middle is the last one, one inside a hexahedron comes before those of
# its faces, which are listed as bottom, top, front, right, back, left
FROM_ABAQUS: dict[str, list[int]] = {"line3": [0, 2, 1], "hexahedron27": [*range(20), 26, 24, 23, 25, 21, 22, 20]}

# keywords that ask for something of elements, but do not define any
_ABOUT_ELEMENTS = {"ELEMENT OUTPUT", "ELEMENT RESPONSE", "ELEMENT MATRIX OUTPUT", "ELEMENT OPERATOR OUTPUT",
                   "ELEMENT RECOVERY MATRIX", "ELEMENT PROPERTIES"}  # fmt: skip


def kind_of(name: str) -> str | None:
    """Our kind of an Abaqus element type, None if it is not known.

    >>> [kind_of(name) for name in ("C3D8R", "CPS4", "S8R5", "STRI65", "B32", "C3D10M", "U1")]
    ['hexahedron', 'quad', 'quad8', 'triangle6', 'line3', 'tetra10', None]
    """
    for pattern, kinds in _FAMILIES:
        found = re.match(rf"{pattern}(?![0-9])", name.upper())
        if found:
            last = found.groups()[-1] if found.groups() else None
            key: Any = int(last) if last is not None and last.isdigit() else last
            if key in kinds:
                return kinds[key]
    return None


@dataclass
class Part:
    """Nodes, elements and sets with the part's own numbers."""

    node_ids: list[int] = field(default_factory=list)
    nodes: list[list[float]] = field(default_factory=list)
    blocks: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)  # kind, numbers, nodes
    elsets: dict[str, list[int]] = field(default_factory=dict)
    nsets: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class Deck:
    """All parts (the flat file is the part without a name), instances and sets of the assembly."""

    parts: dict[str, Part] = field(default_factory=lambda: {"": Part()})
    instances: dict[str, tuple[str, list[list[float]]]] = field(default_factory=dict)
    assembly_sets: dict[tuple[str, str], list[tuple[str, list[int]]]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)


def parse_deck(path: Path, builder: MeshBuilder) -> Deck:
    """Parse the file and what it includes.

    The format has no end mark. A file of ours has one; another without any element may have been cut off: an error if
    its last line has no end, else a loss that says so.
    """
    deck = Deck()
    state = {"part": "", "instance": "", "assembly": ""}
    data = path.read_bytes()
    whole = check_end(data, builder)
    for keyword, options, lines in _blocks(path, builder, depth=0):
        _block(keyword, options, lines, deck, state, builder)
    no_elements = not any(part.blocks for part in deck.parts.values())
    if no_elements and any(part.node_ids for part in deck.parts.values()):
        if not data.endswith((b"\n", b"\r")):
            raise builder.fail(
                "there are nodes, no elements, and no end of the last line: cut off?\n"
                "  if the nodes are all there is, end the last line"
            )
        if not whole and not builder.losses:
            builder.lost("what may follow the nodes: there are no elements (*ELEMENT), the file may be cut off")
    return deck


def _blocks(path: Path, builder: MeshBuilder, depth: int):
    """(keyword, options, data lines), with *INCLUDE followed."""
    if depth > 8:
        raise builder.fail("*INCLUDE is nested more than 8 deep")
    text = path.read_bytes()
    if b"\x00" in text[:4096]:
        raise builder.fail("the file is binary; an input file is text")
    keyword, data = "", []
    options: dict[str, str] = {}
    for raw in split_lines(text_of(text, builder)):
        line = raw.strip()
        if not line or line.startswith("**"):
            continue
        if not line.startswith("*"):
            data.append(line)
            continue
        if keyword:
            yield keyword, options, data
        keyword, options = _keyword(line)
        data = []
        if keyword == "INCLUDE":
            target = path.parent / options.get("INPUT", "")
            if not target.is_file():
                raise builder.fail(f"*INCLUDE names {options.get('INPUT')!r}, which is not there")
            yield from _blocks(target, builder, depth + 1)
            keyword = ""
    if keyword:
        yield keyword, options, data
        if keyword in ("NODE", "ELEMENT", "NSET", "ELSET") and not text.endswith((b"\n", b"\r")):
            builder.lost(
                f"a part of the last line {data[-1] if data else ''!r}, perhaps: it has no line end, "
                "the file may be cut off"
            )


def _keyword(line: str) -> tuple[str, dict[str, str]]:
    words = re.findall(r'(?:[^,"]|"[^"]*")+', line[1:])
    options = {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        options[key.strip().upper()] = value.strip().strip('"')
    return " ".join(words[0].upper().split()) if words else "", options


def _block(keyword: str, options: dict, lines: list[str], deck: Deck, state: dict, builder: MeshBuilder) -> None:
    part = deck.parts.setdefault(state["part"].upper(), Part())
    if keyword == "PART":
        state["part"] = options.get("NAME", "")
        deck.parts.setdefault(state["part"].upper(), Part())
    elif keyword in ("END PART", "ENDPART"):
        state["part"] = ""
    elif keyword in ("ASSEMBLY", "END ASSEMBLY"):
        state["assembly"] = "yes" if keyword == "ASSEMBLY" else ""
    elif keyword == "INSTANCE":
        state["instance"] = options.get("NAME", "")
        deck.instances[state["instance"]] = (options.get("PART", ""), [_floats(line) for line in lines])
    elif keyword == "END INSTANCE":
        state["instance"] = ""
    elif keyword == "NODE" and not state["instance"]:
        start = len(part.node_ids)
        for line in lines:
            words = line.rstrip(",").split(",")
            part.node_ids.append(int(words[0]))
            part.nodes.append([float(word) if word.strip() else 0.0 for word in words[1:4]])
        _check_last_node(lines, part.nodes[start:], builder)
        if "NSET" in options:
            part.nsets.setdefault(options["NSET"], []).extend(part.node_ids[start:])
    elif keyword == "ELEMENT":
        _elements(options, lines, part, builder)
    elif keyword in ("NSET", "ELSET"):
        _set(keyword.lower(), options, lines, part, deck, state, builder)
    elif keyword in ("NGEN", "ELGEN", "NFILL", "NCOPY", "ELCOPY"):
        raise builder.fail(
            f"*{keyword} generates nodes or elements, which is not supported; write the mesh out in full"
        )
    elif keyword == "SURFACE":
        builder.lost(f"surface {options.get('NAME', '')!r} (sides of elements)")
    elif keyword.startswith("ELEMENT") and keyword not in _ABOUT_ELEMENTS:
        builder.lost(f"elements of the keyword *{keyword}, which is not known ({counted(len(lines), 'line')})")
    else:
        deck.ignored.add(f"*{keyword}")


def _check_last_node(lines: list[str], nodes: list[list[float]], builder: MeshBuilder) -> None:
    """A cut file ends in a node with fewer coordinates than the node before it."""
    if nodes and (len(nodes[-1]) < min(2, len(nodes[0])) or len(nodes[-1]) < max(map(len, nodes[-3:]))):
        raise builder.fail(f"the node line {lines[-1]!r} has {len(nodes[-1])} coordinates: is the file cut off?")


def _floats(line: str) -> list[float]:
    return [float(word) for word in line.split(",") if word.strip()]


def _elements(options: dict, lines: list[str], part: Part, builder: MeshBuilder) -> None:
    name = options.get("TYPE", "")
    values = [int(word) for line in lines for word in line.split(",") if word.strip()]
    kind = kind_of(name)
    if kind is None:
        builder.lost(f"elements of type {name!r}, which is not known ({counted(len(lines), 'line')})")
        return
    width = 1 + NODES[kind]
    if len(values) % width and kind == "line" and len(values) == 2 * len(lines):
        kind, width = "vertex", 2  # a spring or dashpot to ground
    if len(values) % width:
        raise builder.fail(
            f"the elements of type {name!r} ({kind}) hold {len(values)} numbers, not a multiple of {width}: cut off?"
        )
    rows = np.array(values, np.int64).reshape(-1, width)
    nodes = rows[:, 1:]
    part.blocks.append((kind, rows[:, 0], nodes[:, FROM_ABAQUS[kind]] if kind in FROM_ABAQUS else nodes))
    if "ELSET" in options:
        part.elsets.setdefault(options["ELSET"], []).extend(rows[:, 0].tolist())


def _set(what: str, options: dict, lines: list[str], part: Part, deck: Deck, state: dict, builder: MeshBuilder) -> None:
    name, sets = options.get(what.upper(), ""), part.elsets if what == "elset" else part.nsets
    by_upper = {key.upper(): key for key in sets}
    instance = options.get("INSTANCE", "")
    labels: list[int] = []
    for line in lines:
        words = [word.strip().strip('"') for word in line.split(",") if word.strip()]
        if "GENERATE" in options:
            first, last, step = (int(word) for word in [*words, "1"][:3])
            labels += range(first, last + 1, step)
            continue
        for word in words:
            if re.fullmatch(r"-?\d+", word):
                labels.append(int(word))
            elif state["assembly"]:
                entries = _referred(what, word, instance, deck)
                if not entries:
                    builder.lost(f"the reference to {word!r} in set {name!r}, which is not defined before it")
                    continue
                deck.assembly_sets.setdefault((what, name), []).extend(entries)
            elif word.upper() in by_upper:
                labels += sets[by_upper[word.upper()]]
            else:
                builder.lost(f"the reference to {word!r} in set {name!r}, which is not defined before it")
    if instance:
        if labels:
            deck.assembly_sets.setdefault((what, name), []).append((instance, labels))
    elif labels or not state["assembly"]:
        sets.setdefault(by_upper.get(name.upper(), name), []).extend(labels)


def _referred(what: str, word: str, instance: str, deck: Deck) -> list[tuple[str, list[int]]]:
    """What a name in a set of the assembly stands for, as (instance, labels): `A` of an instance's part, `P-1.A`,
    `P-1.7`, or another set of the assembly. [] if nothing has that name."""
    owners = {name.upper(): name for name in deck.instances}
    for cut in [k for k, letter in enumerate(word) if letter == "."]:  # names may hold dots themselves
        owner, label = word[:cut].upper(), word[cut + 1 :]
        if owner in owners:
            found = [int(label)] if label.isdigit() else _part_set(what, label, owners[owner], deck)
            if found is not None:
                return [(owners[owner], found)]
    if instance:
        found = _part_set(what, word, owners.get(instance.upper(), ""), deck)
        return [] if found is None else [(instance, found)]
    for (kind, title), entries in deck.assembly_sets.items():
        if kind == what and title.upper() == word.upper():
            return list(entries)
    found = _labels(what, word, deck.parts[""])
    return [] if found is None else [("", found)]


def _part_set(what: str, name: str, instance: str, deck: Deck) -> list[int] | None:
    part = deck.parts.get(deck.instances.get(instance, ("", []))[0].upper())
    return None if part is None else _labels(what, name, part)


def _labels(what: str, name: str, part: Part) -> list[int] | None:
    sets = part.elsets if what == "elset" else part.nsets
    return next((labels for title, labels in sets.items() if title.upper() == name.upper()), None)
