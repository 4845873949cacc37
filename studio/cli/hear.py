"""`hearsight hear`: what the ear makes of a sound."""

from __future__ import annotations

import argparse
import json
import math

from studio.cli import COMMANDS
from studio.cli._options import PART, add_device, add_settings, track_from
from studio.cli._progress import progress
from studio.cli.base import Command
from studio.result import Heard

SHOWN = 5  # labels, without --json


@COMMANDS.register("hear")
class Hear(Command):
    """Say what the ear hears in a sound."""

    summary = "say what the ear hears in a sound"
    details = (
        "The ear listens to the most energetic 10 s, unless --start or --duration say otherwise. --json prints\n"
        '{"labels": [{"label", "probability"}, ...] best first, "seconds", "lufs", "window": [start, end]}:\n'
        "seconds is the length of the whole sound, window the part that was heard, lufs its loudness\n"
        "(ITU-R BS.1770), null when it is too soft to be measured."
    )
    examples = """
        hearsight hear rain.ogg
        hearsight hear rain.ogg --json
        hearsight hear concert.mp3 --start 60 --duration 5
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sound, its part, and the form of the answer."""
        parser.add_argument("sound", metavar="SOUND", help="a sound file, or a video file with sound")
        parser.add_argument("--json", action="store_true", help="print one JSON object with every label")
        add_settings(parser, *PART)
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Listen and print."""
        track = track_from(arguments, arguments.sound)
        with progress("listening"):
            from studio.engine import Engine

            heard = Engine(arguments.device).hear(track)
        print(as_json(heard) if arguments.json else as_text(heard))
        return 0


def as_json(heard: Heard) -> str:
    """One line of JSON; probabilities in 0..1, times in s, lufs null when nothing can be measured."""
    return json.dumps(
        {
            "labels": [{"label": label, "probability": round(share, 6)} for label, share in heard.labels],
            "seconds": round(heard.seconds, 3),
            "lufs": round(heard.lufs, 2) if math.isfinite(heard.lufs) else None,
            "window": [round(time, 3) for time in heard.window],
        },
        ensure_ascii=False,
    )


def as_text(heard: Heard) -> str:
    """The best labels with their share, then length, loudness and part."""
    best = heard.labels[:SHOWN]
    width = max(len(label) for label, _ in best)
    lines = [f"{label.replace('_', ' '):<{width}}  {share:6.1%}  {'#' * round(30 * share)}" for label, share in best]
    loudness = f"{heard.lufs:.1f} LUFS" if math.isfinite(heard.lufs) else "too soft to measure"
    start, end = heard.window
    return "\n".join([*lines, "", f"{heard.seconds:.2f} s long, heard from {start:.2f} s to {end:.2f} s, {loudness}"])
