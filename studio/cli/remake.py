"""`hearsight remake`: make a picture again from the recipe inside it."""

from __future__ import annotations

import argparse
import sys

from studio.cli import COMMANDS
from studio.cli._options import add_device, add_settings, picture_files
from studio.cli._progress import draw, progress
from studio.cli.base import Command
from studio.errors import InputError
from studio.recipe import Edit


@COMMANDS.register("remake")
class Remake(Command):
    """Make a picture again from the recipe inside it."""

    summary = "make a picture again from the recipe inside it"
    details = (
        "The sound is not needed: the recipe carries A*. On the machine and with the versions that made the\n"
        "picture, the new one is the same byte for byte; whatever may make a difference is said. A picture made\n"
        "with a model in a folder of yours knows only that folder's name: say where it is with --model.\n"
        "--concepts makes A* anew, of phrases of yours: the sound is still not needed. An adapter in a folder of\n"
        "yours that draws along with the image model is named with --adapter.\n"
        "An edited photo needs the photo again (--photo), and its mask."
    )
    examples = """
        hearsight remake rain.png -o again.png
        hearsight remake rain.png -o wetter.png --concepts "heavy rain:0.8, river:0.2"
        hearsight remake street.png -o again.png --model ~/models/my-diffusers-folder
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The picture, the output, and where its model is."""
        parser.add_argument("picture", metavar="PICTURE.png", help="a PNG that Hearsight made")
        parser.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the new picture goes")
        parser.add_argument("--photo", metavar="PHOTO", help="of an edited photo: the photo, which no picture carries")
        parser.add_argument("--mask", metavar="PICTURE", help="the same of its mask")
        add_settings(parser, "--model", "--adapter", "--concepts")
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Read the recipe, draw, save, and say what may differ."""
        from studio.library.png import read_recipe, save_png

        (file,) = picture_files(arguments.output)
        recipe = read_recipe(arguments.picture)
        if file.exists() and file.samefile(arguments.picture):
            raise InputError(f"{arguments.output!r} is the picture itself: give the new one another name.")
        if arguments.model is not None:
            recipe = recipe.replace(model=arguments.model)
        if arguments.concepts is not None:
            adapter = arguments.adapter or ("concepts" if recipe.concepts is None else recipe.adapter)
            none = {"word": None, "sound_tokens": None, "shares": None, "parted": None, "adapter_sha256": None}
            recipe = recipe.replace(**none, concepts=arguments.concepts, adapter=adapter)
        elif arguments.adapter is not None:
            recipe = recipe.replace(adapter=arguments.adapter)
        if recipe.edit is not None and arguments.photo is None:
            raise InputError(f"This picture is an edit of the photo {recipe.edit.name!r}: give it with --photo.")
        if recipe.edit is not None:
            edit = recipe.edit
            there = Edit.of(arguments.photo, arguments.mask)
            recipe = recipe.replace(edit=edit.replace(photo=there.photo, mask=there.mask))
        elif arguments.photo is not None or arguments.mask is not None:
            raise InputError("--photo and --mask belong to pictures that are edits, and this is none: leave them out.")
        with progress("loading the model") as bar:
            from studio.engine import Engine

            result = draw(Engine(arguments.device), recipe.replace(preview_every=0, count=1), bar)
        for sentence in result.warnings:
            print(f"Note: {sentence}", file=sys.stderr)
        # The recipe as it was read: the same picture gives the same file.
        save_png(result.images[0], result.recipes[0].replace(preview_every=recipe.preview_every), file)
        print(file)
        return 0
