"""A node of a CGNS tree as stored in HDF5, and CGNS' numbers and node orders of elements."""

from __future__ import annotations

from typing import Any

import numpy as np

ELEMENTS = {
    2: "vertex", 3: "line", 4: "line3", 5: "triangle", 6: "triangle6", 7: "quad", 8: "quad8", 9: "quad9", 10: "tetra",
    11: "tetra10", 12: "pyramid", 13: "pyramid14", 14: "wedge", 15: "wedge15", 16: "wedge18", 17: "hexahedron",
    18: "hexahedron20", 19: "hexahedron27", 21: "pyramid13",
}  # fmt: skip
# ours[:, k] = theirs[:, order[k]]: vertical edges come before the top ones
ORDER: dict[str, list[int]] = {
    "hexahedron20": [*range(12), *range(16, 20), *range(12, 16)],
    "hexahedron27": [*range(12), *range(16, 20), *range(12, 16), 24, 22, 21, 23, 20, 25, 26],
    "wedge15": [*range(9), *range(12, 15), *range(9, 12)],
    "wedge18": [*range(9), *range(12, 15), *range(9, 12), 15, 16, 17],
}


class Node:
    """A group of the HDF5 file with its CGNS label."""

    def __init__(self, group: Any):
        self.group = group
        self.name: str = group.name.rsplit("/", 1)[-1]
        label = group.attrs.get("label", b"")
        self.label: str = (label.decode() if isinstance(label, bytes) else str(label)).strip("\x00 ")

    def children(self) -> list[Node]:
        """All sub-nodes."""
        return [Node(child) for key, child in self.group.items() if not key.startswith(" ") and hasattr(child, "items")]

    def of(self, label: str) -> list[Node]:
        """Sub-nodes with a label."""
        return [child for child in self.children() if child.label == label]

    def find(self, name: str) -> Node | None:
        """The sub-node with a name."""
        child = self.group.get(name)
        return None if child is None else Node(child)

    def data(self) -> np.ndarray | None:
        """The node's array, as HDF5 has it (axes in the reverse of CGNS' order)."""
        found = self.group.get(" data")
        return None if found is None else np.asarray(found[()])

    def text(self) -> str:
        """The node's array as text."""
        data = self.data()
        return "" if data is None else np.ravel(data).astype(np.int8).tobytes().decode("latin-1").strip("\x00 ")

    def array(self, name: str) -> np.ndarray | None:
        """The array of a sub-node."""
        node = self.find(name)
        return None if node is None else node.data()

    def flat(self, name: str = "") -> np.ndarray:
        """The flat array of this node or of a sub-node that must be there; KeyError if it is not."""
        found = self.array(name) if name else self.data()
        if found is None:
            raise KeyError(f"the CGNS node {self.name!r} has no {name or 'data'}")
        return np.ravel(found)
