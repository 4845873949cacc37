"""`hearsight edit`: a photo and a sound in, the photo as the sound says out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli._options import MODEL, PICTURE, add_device, add_settings, add_size, add_template, picture_files
from studio.cli._progress import draw, progress
from studio.cli._tracks import DETAILS, add_tracks, save_sound, scene_from, sound_target
from studio.cli.base import Command
from studio.cli.generate import best, made_of
from studio.errors import InputError
from studio.recipe import Edit
from studio.result import PhotoRead

EDIT = (
    "--method",
    "--source-prompt",
    "--keep-layout",
    "--keep-detail",
    "--words",
    "--emphasis",
    "--noise",
    "--variation",
)


@COMMANDS.register("edit")
class EditPhoto(Command):
    """Change a photo with a sound, or with several."""

    summary = "change a photo with a sound, or with several"
    details = (
        "pnp (plug-and-play) paints the photo anew as the prompt says and keeps its layout; p2p (prompt-to-prompt)\n"
        "exchanges words, so it needs --source-prompt, what the photo shows; sdedit only adds noise and paints on,\n"
        "by --noise. The louder the sound (--gain below 0, --sound-strength), the more the photo changes.\n"
        "The first edit of a photo reads it, which is remembered: a further sound is faster. The picture's size\n"
        "follows the photo's form; it carries its recipe and the photo's digest, never the photo.\n\n" + DETAILS
    )
    examples = """
        hearsight edit street.jpg rain.ogg -o wet.png
        hearsight edit street.jpg rain.ogg -o painted.png --prompt "a street in the style of A*" --keep-layout 0.8
        hearsight edit street.jpg waves.ogg -o sea.png --method p2p --source-prompt "a photo of a street"
        hearsight edit street.jpg waves.ogg -o sea.png --adapter gated --sound-strength 0.5
        hearsight edit street.jpg rain.ogg -o sky.png --mask sky-is-white.png --sound-strength 1.5
        hearsight edit street.jpg rain.ogg bells.ogg -o both.png --join morph --weights 0.3
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The photo, the sounds, the output, and everything that an edit can set."""
        parser.add_argument("photo", metavar="PHOTO", help="JPEG, PNG, WebP, TIFF; up to 40 megapixels")
        parser.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the picture goes")
        add_tracks(parser)
        add_settings(parser, *EDIT)
        parser.add_argument(
            "--mask", metavar="PICTURE", help="white where the photo may change; in the photo's form, any resolution"
        )
        parser.add_argument(
            "--local", action="store_true", help="p2p: change only where the exchanged words stand in the photo"
        )
        parser.add_argument(
            "--no-check", action="store_true", help="do not paint the photo itself again to say how well it comes back"
        )
        parser.add_argument("--reconstruction", metavar="OUT.png", help="also write the photo as it comes back")
        add_settings(parser, *PICTURE)
        add_template(parser)
        add_size(parser)
        add_settings(parser, "--count", *MODEL)
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check everything that can be checked, read the photo, paint, save, and say how well the photo was known."""
        target = sound_target(arguments)
        files = picture_files(arguments.output, arguments.count or 1)
        again = _reconstruction(arguments, files)
        given = {name: getattr(arguments, name) for name in _FIELDS if getattr(arguments, name) is not None}
        edit = Edit.of(arguments.photo, arguments.mask, local=arguments.local, check=not arguments.no_check, **given)
        for file in (*files, *([again] if again else ())):
            if any(
                file.exists() and Path(one).exists() and file.samefile(one) for one in (edit.photo, edit.mask) if one
            ):
                raise InputError(f"{str(file)!r} is the photo or the mask itself: give the new one another name.")
        recipe = scene_from(arguments).replace(edit=edit)
        with progress("loading the model") as bar:
            from studio.engine import Engine
            from studio.library.png import save_png

            engine = Engine(arguments.device)
            result = draw(engine, recipe.replace(preview_every=0), bar)
        if target is not None:
            save_sound(engine.scene(recipe), target)
        for image, one, file in zip(result.images, result.recipes, files, strict=True):
            save_png(image, one, file)
        if again is not None and result.read is not None and result.read.reconstruction is not None:
            again.parent.mkdir(parents=True, exist_ok=True)
            result.read.reconstruction.save(again)
        for sentence in result.warnings:
            print(f"Note: {sentence}", file=sys.stderr)
        if result.read is not None:
            print(_known(result.read), file=sys.stderr)
        if result.concepts:
            print(f"A* is made of: {made_of(result.concepts)}.", file=sys.stderr)
        seconds = result.timings["total"]
        print(f"Heard: {best(result.heard)}. Seed {result.seeds[0]}, {seconds:.1f} s.", file=sys.stderr)
        for file in files:
            print(file)
        return 0


_FIELDS = tuple(flag.removeprefix("--").replace("-", "_") for flag in EDIT)


def _reconstruction(arguments: argparse.Namespace, files: list[Path]) -> Path | None:
    if arguments.reconstruction is None:
        return None
    if arguments.no_check or arguments.method == "sdedit":
        raise InputError("--reconstruction needs the check that --no-check leaves out, and sdedit does not make it.")
    (file,) = picture_files(arguments.reconstruction)
    if file.absolute() in [one.absolute() for one in files]:
        raise InputError("--reconstruction and --output name the same file: give them different names.")
    return file


def _known(read: PhotoRead) -> str:
    """What is said of the photo: "Photo: 168 x 128 px, comes back with 24.8 dB (at best 26.6)."."""
    size = f"{read.photo.width} x {read.photo.height} px"
    if read.psnr is None:
        return f"Photo: {size}."
    remembered = ", remembered" if read.cached else ""
    return f"Photo: {size}, comes back with {read.psnr:.1f} dB (at best {read.autoencoder_psnr:.1f}){remembered}."
