"""One module per library, each with `from_LIBRARY(object, source=None) -> Mesh` and `to_LIBRARY(mesh)`."""
