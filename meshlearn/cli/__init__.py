"""The `meshlearn` command: see `meshlearn --help`.

Nothing heavy is imported before a command needs it, so that help and usage errors appear at once.
"""

from meshlearn.cli.app import app, main

__all__ = ["app", "main"]
