"""A comment at the end of our text files, for formats that have no mark of their own: without it they were cut off."""

from __future__ import annotations

from meshlearn.io.builder import MeshBuilder

HEAD = "written by meshlearn, down to the comment at the end"
END = "end of the file written by meshlearn"


def check_end(data: bytes, builder: MeshBuilder) -> bool:
    """True if the file is ours and whole; raises MeshReadError if it is ours and its end is missing."""
    if HEAD.encode() not in data[:200]:
        return False
    if END.encode() not in data:
        raise builder.fail(f"the file is cut off: its last line, the comment {END!r}, is missing")
    return True
