"""hearsight evaluate: print the scores of the embedded models again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError

# Fields of `studio.evaluation.bench.Counts`, which holds the defaults: importing it here would slow down every --help.
COUNTS = {
    "seeds": "pictures of each noun",
    "per_class": "recordings of each sound that are drawn, at most",
    "recordings": "recordings that go through each disturbance, at most",
    "volume_per_class": "recordings of each sound that are drawn at four levels, at most",
    "couples": "pairs of sounds that are mixed, morphed, placed and compared, at most",
    "known_couples": "pairs that are mixed, morphed and placed, of sounds that the ear names rightly, at most",
    "nouns": "nouns that are drawn with each word of light, time and colour, at most",
    "photos": "held-out photos whose nearest training photo gives the scale for copies, at most",
    "edits": "held-out photos that are edited with a sound by every method, at most",
}


@COMMANDS.register("evaluate")
class Evaluate(Command):
    """Score the embedded models."""

    summary = "score the embedded models on sounds and photos they never saw"
    details = (
        "Prints one table, and writes scores.json and the sheets into the output folder. Its parts:\n"
        "  ear          how often the ear names unheard recordings right\n"
        "  robust       the same at other levels and lengths, low-passed, in noise, in a room\n"
        "  calibration  whether the ear is as sure as it is right; reliability.png\n"
        "  text         how often pictures of nouns are recognised, beside real photos; text.jpg\n"
        "  sounds       how often pictures from sounds are; sounds.jpg\n"
        "  kid          kernel distance of pictures to held-out photos, on our own classifier's features\n"
        "  copies       whether pictures repeat training photos; nearest.jpg\n"
        "  volume       whether a louder sound shows more; volume.jpg\n"
        "  mix          whether two sounds both show, and the louder one more; mix.jpg\n"
        "  placement    whether sounds that are panned apart show each in its half, of any recordings and of those\n"
        "               that the ear names rightly; placement.jpg, placement-known.jpg\n"
        "  morph        whether a morph goes evenly from one sound to the other; morph.jpg\n"
        "  variety      how far two recordings of one sound differ in their pictures\n"
        "  control      whether words of light, time and colour do what they say; control.jpg\n"
        "  edit         whether photos edited with a sound show it and keep their layout; edit.jpg"
    )
    examples = """
        hearsight evaluate pocket --data sounds-and-photos -o scores
        hearsight evaluate pocket --data sounds-and-photos -o scores --only ear robust calibration
        hearsight evaluate pocket --data sounds-and-photos -o scores --only sounds --adapter word gated
        hearsight evaluate pocket --data sounds-and-photos -o scores --seeds 16 --per-class 10
        hearsight evaluate pocket-fast --data sounds-and-photos -o fast-scores --only text sounds
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "model", metavar="MODEL", help="the image model that draws: pocket, pocket-fast, or a folder"
        )
        parser.add_argument("--data", type=Path, required=True, help="the data folder; the README describes its form")
        parser.add_argument("-o", "--output", type=Path, required=True, help="folder for scores.json and the sheets")
        parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="score these parts instead of all")
        parser.add_argument(
            "--adapter",
            nargs="+",
            default=["word"],
            metavar="NAME",
            help="names or folders; sounds compares them all, the other parts take the first (default: word)",
        )
        parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="where decoded photos are kept")
        for name, text in COUNTS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=int, metavar="N", help=text)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        if not arguments.data.is_dir():
            raise InputError(
                f"The data folder {arguments.data} is not there. Give a folder as the README describes it."
            )
        from studio.backbones.hub import model_folder
        from studio.evaluation.bench import Counts
        from studio.evaluation.pocket import evaluate_pocket

        model_folder(arguments.model)  # refused now rather than after the ear was scored
        given = {name: getattr(arguments, name) for name in COUNTS if getattr(arguments, name) is not None}
        report = evaluate_pocket(
            arguments.data,
            arguments.cache,
            arguments.output,
            model=arguments.model,
            counts=Counts(**given),
            parts=arguments.only,
            adapters=arguments.adapter,
        )
        print("\n".join(table(report["scores"])))
        return 0


def table(scores: list[dict[str, Any]]) -> list[str]:
    """One line a score: name, value, deviation of repeated draws, on how many, and whether a goal is met."""
    width = max((len(score["name"]) for score in scores), default=0)
    lines = []
    for score in scores:
        spread = f"+-{score['deviation']:.3f}" if score["deviation"] is not None else ""
        line = f"{score['name']:<{width}}  {score['value']:6.3f} {spread:<7}  (of {score['count']})"
        if score["goal"] is not None:
            met = score["value"] > score["goal"] - 1e-9  # 0.6 / 0.75 is a rounding below 0.8
            line += f"  goal {score['goal']:g}: {'met' if met else 'missed'}"
        lines.append(line)
    return lines
