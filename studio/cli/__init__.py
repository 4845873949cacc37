"""The command line: `hearsight COMMAND ...`. A command is a file in this folder that registers itself.

Exit codes: 0 done; 2 the user's input (one sentence on stderr, nothing written); 1 our fault; 130 stopped by Ctrl+C.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from studio import __version__
from studio.cli.base import Command, Parser, describe
from studio.errors import HearsightError, InputError
from studio.registry import Registry

COMMANDS: Registry[type[Command]] = Registry("command", "studio.cli")

DONE, OUR_FAULT, YOUR_INPUT, STOPPED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. argv: without the program's name; None = the process's own. Returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given[: given.index("--")] if "--" in given else "--debug" in given
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # a terminal that cannot show a name shows \x escapes
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    _stay_local()
    try:
        arguments = build_parser().parse_args(given)
        return COMMANDS.get(arguments.command).run(arguments)
    except SystemExit as ending:  # argparse, after --help and --version
        return ending.code if isinstance(ending.code, int) else DONE
    except KeyboardInterrupt:
        return _say("Stopped.", STOPPED)
    except InputError as error:
        if debug:
            traceback.print_exc()
        return _say(str(error), YOUR_INPUT)
    except HearsightError as error:
        if debug:
            traceback.print_exc()
        return _say(str(error), OUR_FAULT)
    except Exception as error:  # the last gate: whatever it is, one sentence and the place of its details
        if debug:
            traceback.print_exc()
        return _say(_our_fault(error, with_report=not debug), OUR_FAULT)


def build_parser() -> Parser:
    """The parser of the whole program, with every registered command."""
    program = Parser(
        prog="hearsight",
        description="Turn sounds into pictures, on this machine.",
        epilog="examples:\n"
        "  hearsight generate rain.ogg -o rain.png\n"
        "  hearsight hear rain.ogg\n"
        "  hearsight app\n"
        "  hearsight generate --help",
    )
    program.add_argument("--version", action="version", version=f"hearsight {__version__}")
    commands = program.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        command = COMMANDS.get(name)
        parser = commands.add_parser(name, **describe(command))  # type: ignore[arg-type]
        command.add_arguments(parser)
        parser.add_argument("--debug", action="store_true", help="on an error, show where in the code it happened")
    return program


def _stay_local() -> None:
    """No message of the libraries may leave this machine, and theirs may not mix with ours; read at their import."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")


def _say(sentence: str, code: int) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)
    return code


def _our_fault(error: Exception, with_report: bool) -> str:
    what = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
    sentence = f"Something went wrong that is not your fault: {what}."
    if not with_report:
        return sentence
    try:
        # A fixed name in a folder that everybody may write to could be somebody's link: mkstemp makes a fresh file.
        handle, name = tempfile.mkstemp(prefix="hearsight-error-", suffix=".txt")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        return f"{sentence} The details are in {Path(name)}; --debug shows them here."
    except OSError:
        return f"{sentence} Run it again with --debug to see the details."
