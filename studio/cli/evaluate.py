"""hearsight evaluate: print the scores of the embedded models again."""

from __future__ import annotations

import argparse
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError


@COMMANDS.register("evaluate")
class Evaluate(Command):
    """Score the embedded models."""

    summary = "score the embedded models on sounds and photos they never saw"
    details = (
        "Prints how often the ear names unheard recordings right, how often the picture classifier recognises\n"
        "held-out real photos, and how often it recognises generated pictures, also as a ratio to the photos.\n"
        "Writes scores.json and the sheets text.jpg and sounds.jpg into the output folder."
    )
    examples = """
        hearsight evaluate pocket --data sounds-and-photos -o scores
        hearsight evaluate pocket --data sounds-and-photos -o scores --seeds 16 --per-class 10
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("what", choices=["pocket"], metavar="WHAT", help="pocket: the embedded models")
        parser.add_argument("--data", type=Path, required=True, help="the data folder; the README describes its form")
        parser.add_argument("-o", "--output", type=Path, required=True, help="folder for scores.json and the sheets")
        parser.add_argument("--only", choices=["ear", "text", "sounds"], help="score one part instead of all three")
        parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="where decoded photos are kept")
        parser.add_argument("--seeds", type=int, default=4, help="pictures for each noun (default: 4)")
        parser.add_argument("--per-class", type=int, default=4, help="recordings of each sound, at most (default: 4)")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        if not arguments.data.is_dir():
            raise InputError(
                f"The data folder {arguments.data} is not there. Give a folder as the README describes it."
            )
        if min(arguments.seeds, arguments.per_class) < 1:
            raise InputError("--seeds and --per-class must be at least 1.")
        from studio.evaluation.pocket import PARTS, evaluate_pocket

        report = evaluate_pocket(
            arguments.data,
            arguments.cache,
            arguments.output,
            seeds=arguments.seeds,
            per_class=arguments.per_class,
            parts=[arguments.only] if arguments.only else PARTS,
        )
        width = max(len(score["name"]) for score in report["scores"])
        for score in report["scores"]:
            print(f"{score['name']:<{width}}  {score['value']:.3f}  (of {score['count']})")
        return 0
