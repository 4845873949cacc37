"""hearsight vote: join ears that were trained apart into one that votes."""

from __future__ import annotations

import argparse
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError


@COMMANDS.register("vote")
class Vote(Command):
    """Join ears."""

    summary = "join ears that were trained apart into one that votes"
    details = (
        "Ears trained with other --seed err on other sounds; what they say on average is better. The first one's\n"
        "embedding stays, so word adapters made for it fit. A temperature, fitted on half of the held-out\n"
        "recordings, makes the ear as sure as it is right. Ears trained with --brief join in where a sound is short."
    )
    examples = """
        hearsight vote runs/ear/export more/ear/export -o voting-ear --data sounds-and-photos
        hearsight vote runs/ear/export --brief runs/ear-brief/export -o voting-ear --data sounds-and-photos
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("ears", type=Path, nargs="+", metavar="EAR", help="a folder with a finished ear")
        parser.add_argument(
            "--brief", type=Path, nargs="+", default=[], metavar="EAR", help="finished ears for brief sounds"
        )
        parser.add_argument("--data", type=Path, required=True, help="the data folder they were trained on")
        parser.add_argument("-o", "--out", type=Path, required=True, help="the folder of the new ear")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        if not arguments.data.is_dir():
            raise InputError(f"The data folder {arguments.data} is not there. Give the folder the ears learned from.")
        if arguments.out.exists():
            raise InputError(f"{arguments.out} is there already. Name a new folder.")
        from studio.training.vote import vote

        for name, value in vote(arguments.ears, arguments.data, arguments.out, arguments.brief).items():
            print(f"{name}: {value:.4f}")
        print(f"The ear is in {arguments.out}")
        return 0
