"""What a command is, and the parser that all of them share."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from typing import ClassVar, NoReturn

from studio.errors import InputError


class Command(ABC):
    """One command of the program. Subclasses register themselves in `studio.cli.COMMANDS`, one file each.

    A command's module is imported for every `--help`, so it imports torch and the engine inside `run`.

    name: set by the registry; what is typed after `hearsight`.
    summary: one line of the program's help.  details: what the command's own help adds; may be empty.
    examples: command lines, one a line, shown under the command's help.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    details: ClassVar[str] = ""
    examples: ClassVar[str]

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    @classmethod
    @abstractmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Do it. Returns the exit code; raises InputError for what the user gave, HearsightError for the rest."""


class Parser(argparse.ArgumentParser):
    """argparse that refuses with one InputError sentence instead of printing its usage and ending the program.

    Abbreviated options are off: `--se` would change its meaning when an option is added.
    """

    def __init__(self, **options: object) -> None:
        settings = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter} | options
        super().__init__(**settings)  # type: ignore[arg-type]  # argparse's own keywords, passed through

    def error(self, message: str) -> NoReturn:
        """Raise InputError with argparse's message as a sentence and the way to the help."""
        text = message.removeprefix("argument ").rstrip(".")
        raise InputError(f"{text[:1].upper()}{text[1:]}. See: {self.prog} --help")


def describe(command: type[Command]) -> dict[str, str]:
    """The command's help texts, as keyword arguments of `add_parser`."""
    lines = "\n".join(f"  {line.strip()}" for line in command.examples.strip().splitlines())
    about = f"{command.summary}\n\n{command.details}" if command.details else command.summary
    return {"help": command.summary, "description": about, "epilog": f"examples:\n{lines}"}
