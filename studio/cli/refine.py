"""`hearsight refine`: the word A* of one sound, refined on pictures of your choice."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli._options import MODEL, add_device, add_settings, add_size, check_folder, recipe_from
from studio.cli._progress import progress
from studio.cli.base import Command
from studio.errors import InputError
from studio.recipe import Track

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@COMMANDS.register("refine")
class Refine(Command):
    """Refine the word of one sound on some pictures."""

    summary = "refine a sound's word on pictures of yours"
    details = (
        "The word that the adapter makes of the sound is moved, in some steps, towards what the pictures show; the\n"
        "image model stays as it is. Ctrl+C stops and keeps what is reached. The file is a recipe that carries the\n"
        "word, and draws with any prompt on the same image model:\n"
        '  hearsight generate --word OUT.json -o OUT.png --prompt "a street in the style of A*"'
    )
    examples = """
        hearsight refine rain.ogg --pictures my-rain-photos -o my-rain.json
        hearsight refine rain.ogg --pictures one.jpg two.jpg -o my-rain.json --refine-steps 120
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sound, the pictures, the output, and how much."""
        parser.add_argument("sound", metavar="SOUND", help="a sound file, or a video file with sound")
        parser.add_argument(
            "--pictures",
            metavar="PATH",
            nargs="+",
            required=True,
            help="picture files, or folders with some; up to 64",
        )
        parser.add_argument("-o", "--output", metavar="OUT.json", required=True, help="where the word goes")
        parser.add_argument("--refine-steps", metavar="N", type=int, default=60, help="1 to 2000; default: 60")
        parser.add_argument(
            "--rate", metavar="X", type=float, default=0.05, help="how far a step turns the word; default: 0.05"
        )
        add_settings(parser, "--seed")
        add_size(parser)
        add_settings(parser, *MODEL)
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check, hear, refine, write, and say what it brought."""
        target = _target(arguments.output)
        pictures = _pictures(arguments.pictures)
        if not 0 < arguments.rate <= 1:
            raise InputError(f"--rate must be above 0 and at most 1 but is {arguments.rate:g}.")
        size = arguments.size[0] if arguments.size else None
        if arguments.size and arguments.size[0] != arguments.size[1]:
            raise InputError("Refining cuts pictures to squares: give --size one number.")
        recipe = recipe_from(arguments, [Track.of(arguments.sound)]).replace(width=size, height=size)
        reached = None
        with progress("loading the model") as bar:
            from studio.engine import Engine
            from studio.training.refine import measured, refine

            engine = Engine(arguments.device)
            recipe, _ = engine.resolve(recipe)
            backbone, before = engine.image_model(recipe.model), recipe.word or ""
            try:
                wishes = {"steps": arguments.refine_steps, "rate": arguments.rate, "seed": recipe.seed or 0}
                for step in refine(backbone, recipe, pictures, size=size, **wishes):
                    reached = step
                    bar.show("refining", step.index, step.total, f"error {step.loss:.3f}, {step.eta:.0f} s left")
            except KeyboardInterrupt:
                if reached is None:
                    raise
            assert reached is not None
            errors = [measured(backbone, word, pictures, size) for word in (before, reached.word)]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(recipe.replace(word=reached.word, concepts=None).public().to_json() + "\n", encoding="utf-8")
        print(
            f"{reached.index} steps of {reached.total}; the denoising error of the pictures was {errors[0]:.4f} with "
            f"the word as heard and is {errors[1]:.4f} with the refined one.",
            file=sys.stderr,
        )
        print(target)
        return 0


def _target(output: str) -> Path:
    """Where the word goes. Raises InputError, before any work is done, when it cannot be written there."""
    target = Path(output).expanduser()
    if target.suffix.lower() != ".json":
        raise InputError(f"The word is written as a recipe, but {output!r} does not end in .json.")
    if target.is_dir():
        raise InputError(f"{output!r} is a folder, but a word is to be written there: give a file name.")
    check_folder(target.parent)
    return target


def _pictures(given: list[str]) -> list[Path]:
    """The picture files, those of folders included. Raises InputError for a folder without any."""
    found: list[Path] = []
    for name in given:
        path = Path(name).expanduser()
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES and file.is_file())
        if not inside:
            raise InputError(f"The folder {name!r} holds no pictures ({', '.join(PICTURES)}): name another.")
        found += inside
    return found
