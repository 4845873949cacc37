"""`hearsight generate`: one sound in, one or more pictures out."""

from __future__ import annotations

import argparse
import sys

from studio.cli import COMMANDS
from studio.cli._options import (
    PART,
    PICTURE,
    add_device,
    add_settings,
    add_size,
    add_template,
    picture_files,
    recipe_from,
    track_from,
)
from studio.cli._progress import draw, progress
from studio.cli.base import Command


@COMMANDS.register("generate")
class Generate(Command):
    """Make a picture from a sound."""

    summary = "make a picture from a sound"
    details = (
        "The paths of the finished pictures are printed, one a line. Several pictures (--count) are called\n"
        "OUT.png, OUT-2.png, OUT-3.png ... and use the seeds N, N+1, N+2 ... An existing OUT.png is replaced,\n"
        "folders on the way to it are made. Every picture carries its recipe: see hearsight remake."
    )
    examples = """
        hearsight generate rain.ogg -o rain.png
        hearsight generate rain.ogg -o rain.png --prompt "a painting of A*" --seed 7
        hearsight generate "field recording.m4a" -o out/field.png --start 12 --duration 5 --gain 6
        hearsight generate dog.wav -o dog.png --count 4 --steps 30 --size 256x192
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sound, the output, and everything that a recipe can set."""
        parser.add_argument("sound", metavar="SOUND", help="a sound file, or a video file with sound")
        parser.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the picture goes")
        add_settings(parser, *PICTURE)
        add_template(parser)
        add_size(parser)
        add_settings(parser, "--count", *PART, "--model", "--adapter")
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check everything that can be checked, draw, save, and say what was heard."""
        recipe = recipe_from(arguments, [track_from(arguments, arguments.sound)])
        files = picture_files(arguments.output, recipe.count)
        with progress("loading the model") as bar:
            from studio.engine import Engine
            from studio.library.png import save_png

            result = draw(Engine(arguments.device), recipe.replace(preview_every=0), bar)
        for image, one, file in zip(result.images, result.recipes, files, strict=True):
            save_png(image, one, file)
        heard = ", ".join(f"{label.replace('_', ' ')} {share:.0%}" for label, share in result.heard[:3])
        seconds = result.timings["total"]
        print(f"Heard: {heard}. Seed {result.seeds[0]}, {seconds:.1f} s.", file=sys.stderr)
        for file in files:
            print(file)
        return 0
