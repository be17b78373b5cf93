"""The numbers behind XDMF's <DataItem>, and its ways of referring to other elements."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from meshlearn.errors import require
from meshlearn.io.builder import MeshBuilder

Element = ElementTree.Element
_INCLUDE = re.compile(r"\{[^}]*XInclude\}include$")
_TYPES = {("float", 4): "f4", ("float", 8): "f8", ("int", 1): "i1", ("int", 2): "i2", ("int", 4): "i4", ("int", 8):
          "i8",
          ("uint", 1): "u1", ("uint", 2): "u2", ("uint", 4): "u4", ("uint", 8): "u8", ("char", 1): "i1",
          ("uchar", 1): "u1", ("short", 2): "i2"}  # fmt: skip


class XdmfData:
    """Reads the arrays of one file; keeps the heavy files open until it is closed."""

    def __init__(self, path: Path, root: Element, builder: MeshBuilder):
        self.path, self.root, self.builder = path, root, builder
        self._files: dict[Path, Any] = {}

    def __enter__(self) -> XdmfData:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def included(self, element: Element) -> Element:
        """The element with its <xi:include> children replaced by what they point to."""
        if not any(_INCLUDE.search(child.tag) for child in element):
            return element
        copy = Element(element.tag, dict(element.attrib))
        for child in element:
            copy.extend(self._pointed(child) if _INCLUDE.search(child.tag) else [child])
        return copy

    def _pointed(self, include: Element) -> list[Element]:
        pointer = (include.get("xpointer") or "").strip()
        inner = re.fullmatch(r"xpointer\((.*)\)", pointer)
        expression = inner.group(1) if inner else pointer
        wanted = set(re.findall(r"self::(\w+)", expression))
        parents = re.sub(r"/\*\[self::.*$", "", expression)
        try:
            found = self.root.findall("." + parents if parents.startswith("//") else parents.replace("/Xdmf/", "./"))
        except SyntaxError:
            raise self.builder.fail(f"the reference {pointer!r} is not understood") from None
        if not wanted:
            return found[:1]
        return [child for parent in found[:1] for child in parent if child.tag in wanted]

    def child(self, element: Element, tag: str) -> Element | None:
        """The first child with a tag, references followed."""
        return next(iter(self.children(element, tag)), None)

    def children(self, element: Element, tag: str) -> list[Element]:
        """All children with a tag, references followed."""
        return [self._resolved(child) for child in element if child.tag == tag]

    def _resolved(self, element: Element) -> Element:
        reference = element.get("Reference")
        if not reference:
            return element
        expression = (element.text or "").strip() if reference == "XML" else reference
        expression = expression.replace("/Xdmf/", "./", 1) if expression.startswith("/Xdmf/") else "." + expression
        found = self.root.find(expression)
        if found is None:
            raise self.builder.fail(f"the reference {expression!r} points to nothing")
        return found

    def array(self, item: Element) -> np.ndarray:
        """The numbers of a <DataItem> in their stated shape."""
        item = self._resolved(item)
        if (item.get("ItemType") or "Uniform").lower() not in ("uniform",):
            return self._derived(item)
        shape = [int(word) for word in (item.get("Dimensions") or "").split()]
        kind = (item.get("NumberType") or item.get("DataType") or "Float").lower()
        dtype = np.dtype(_TYPES.get((kind, int(item.get("Precision") or (1 if "char" in kind else 4))), "f8"))
        layout, text = (item.get("Format") or "XML").upper(), (item.text or "").strip()
        if layout == "HDF":
            values = self._hdf(text)
        elif layout == "XML":
            values = np.array(text.split()).astype(np.float64 if dtype.kind == "f" else np.int64).astype(dtype)
        elif layout == "BINARY":
            order: Any = {"Little": "<", "Big": ">"}.get(item.get("Endian") or "", "=")
            file = self._beside(text)
            values = np.fromfile(
                file, dtype.newbyteorder(order), offset=int(item.get("Seek") or 0), count=int(np.prod(shape))
            )
            values = values.astype(dtype)
        else:
            raise self.builder.fail(f"the format {layout!r} of a <DataItem> is not supported")
        if shape and values.size != int(np.prod(shape)):
            raise self.builder.fail(
                f"a <DataItem> announces {' x '.join(map(str, shape))} numbers, {values.size} are present"
            )
        return values.reshape(shape) if shape else values

    def _derived(self, item: Element) -> np.ndarray:
        kind = (item.get("ItemType") or "").lower()
        parts = [self.array(part) for part in self.children(item, "DataItem")]
        if kind == "hyperslab" and len(parts) == 2:
            start, stride, count = parts[0].reshape(3, -1).astype(int).tolist()
            slices = tuple(slice(s, s + st * (c - 1) + 1, st) for s, st, c in zip(start, stride, count, strict=True))
            return parts[1][slices]
        raise self.builder.fail(f"a <DataItem> of type {item.get('ItemType')!r} is not supported")

    def _beside(self, name: str) -> Path:
        file = self.path.parent / name
        if not file.is_file():
            raise self.builder.fail(f"the file with the numbers, {name!r}, is missing from {self.path.parent}")
        return file

    def _hdf(self, reference: str) -> np.ndarray:
        name, _, dataset = reference.partition(":")
        file = self._beside(name.strip())
        if file not in self._files:
            self._files[file] = require("h5py", "formats", "reading XDMF files with HDF5 data").File(file, "r")
        found = self._files[file].get(dataset.strip())
        if found is None:
            raise self.builder.fail(f"{file.name} has no data set {dataset.strip()!r}")
        return np.asarray(found[()])
