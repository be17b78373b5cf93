"""What an SVG hides: `display` and `visibility` from attributes, style sheets of simple selectors, and styles."""

from __future__ import annotations

import re
from typing import Any

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_HIDING = ("display", "visibility")

Rules = list[tuple[str, dict[str, str]]]


def local_name(element: Any) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def rules_of(root: Any) -> Rules:
    """(selector, properties) of the style sheets within a drawing, as far as they hide or show something."""
    found: Rules = []
    for element in root.iter():
        if isinstance(element.tag, str) and local_name(element) == "style" and element.text:
            for selectors, body in _RULE.findall(_COMMENT.sub("", element.text)):
                properties = _declared(body)
                if properties:
                    found += [(selector.strip(), properties) for selector in selectors.split(",")]
    return found


def hides(element: Any, rules: Rules, hidden: bool) -> tuple[bool, bool]:
    """(the element and all within it are not drawn, its own shape is hidden); `hidden` is what it inherits.

    Style sheets beat attributes, and styles of the element beat both. Selectors of a name, a class or an id are
    understood, alone or joined (`g.layer#top`).
    """
    own = {name: value.strip() for name in _HIDING if (value := element.get(name))}
    for selector, properties in rules:
        if _selects(selector, element):
            own |= properties
    own |= _declared(element.get("style", ""))
    visibility = own.get("visibility", "inherit")
    if visibility != "inherit":
        hidden = visibility in ("hidden", "collapse")
    return own.get("display") == "none", hidden


def _declared(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split(";"))
    found = {name.strip().lower(): value.replace("!important", "").strip().lower() for name, _, value in pairs}
    return {name: value for name, value in found.items() if name in _HIDING}


def _selects(selector: str, element: Any) -> bool:
    parts = re.findall(r"[.#]?[\w-]+|\*", selector)
    if not parts or "".join(parts) != selector:
        return False
    classes = element.get("class", "").split()
    known = {".": lambda name: name in classes, "#": lambda name: name == element.get("id")}
    return all(known[part[0]](part[1:]) if part[0] in known else part in ("*", local_name(element)) for part in parts)
