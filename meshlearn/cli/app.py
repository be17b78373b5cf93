"""The command line program: its commands, and how errors leave it."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import typer

from meshlearn.cli import convert, data, demo, fit, learn, look, reconstruct
from meshlearn.cli.common import INTERRUPTED, Interrupted, say

OK, DATA_ERROR, USAGE_ERROR = 0, 1, 2

app = typer.Typer(
    name="meshlearn",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Learn fields on meshes: look at mesh files, train a model on a folder of simulations, predict new ones.\n\n"
        "A first tour, from nothing to a trained model:\n\n"
        "[bold]meshlearn demo[/bold]  makes data, trains, predicts and compares (a few minutes)\n\n"
        "Or step by step:\n\n"
        "[bold]meshlearn make-data runs --n 100[/bold]\n\n"
        "[bold]meshlearn info runs/plate_0000.vtu[/bold]\n\n"
        "[bold]meshlearn fit 'runs/*.vtu' --inputs load,young,traction --outputs displacement -o model[/bold]\n\n"
        "[bold]meshlearn predict model runs/plate_0000.vtu -o predictions[/bold]"
    ),
    epilog="Exit codes: 0 all went well; 1 something is wrong with the data; 2 something is wrong with the command; "
    "130 interrupted by Ctrl-C.",
)


def _version(wanted: bool) -> bool:
    if wanted:
        import meshlearn

        typer.echo(f"meshlearn {meshlearn.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the full traceback of an error (anywhere in the line)."),
    version: bool = typer.Option(
        False, "--version", help="Show the version and stop.", is_eager=True, callback=_version
    ),
) -> None:
    pass


look.register(app)
convert.register(app)
data.register(app)
fit.register(app)
learn.register(app)
reconstruct.register(app)
demo.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process: exit code 0, 1 (data), 2 (usage) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command with these arguments; returns the exit code. Errors are told on stderr in a few lines."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _note
            result = app(arguments, standalone_mode=False)
        if result == INTERRUPTED:  # how typer reports Ctrl-C
            return _interrupted()
        return result if isinstance(result, int) else OK
    except Interrupted:
        return INTERRUPTED
    except Exception as error:  # the outermost frame of the program: every error becomes a message and an exit code
        if debug:
            raise
        return _explain(error)
    except KeyboardInterrupt:
        return _interrupted()


def _interrupted() -> int:
    say("interrupted", "nothing was finished")
    return INTERRUPTED


def _explain(error: Exception) -> int:
    from meshlearn.errors import MeshlearnError, ParameterError

    if isinstance(error, typer.Abort):
        return _interrupted()
    if isinstance(error, typer.Exit):
        return error.exit_code
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's usage errors
        error.show()  # type: ignore[attr-defined]
        return USAGE_ERROR
    if isinstance(error, ParameterError):
        say("error", str(error))
        return USAGE_ERROR
    if isinstance(error, MeshlearnError):
        say("error", str(error))
        return DATA_ERROR
    if isinstance(error, OSError):
        say("error", f"{error.filename or 'a file'}: {error.strerror or error}")
        return DATA_ERROR
    say("error", f"unexpected {type(error).__name__}: {error}\n  Run the command again with --debug to see where.")
    return DATA_ERROR


def _note(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """Warnings of meshlearn as notes; those of other libraries are for developers (--debug)."""
    if category.__module__.split(".")[0] == "meshlearn":
        say("note", str(message))
