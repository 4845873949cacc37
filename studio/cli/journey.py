"""`hearsight journey`: pictures along a way through sounds, as a film, a GIF or a contact sheet."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli import COMMANDS
from studio.cli._options import MODEL, PICTURE, add_device, add_settings, add_size, add_template, check_folder
from studio.cli._progress import Bar, progress
from studio.cli._tracks import EACH, add_sounds, scene_from
from studio.cli.base import Command
from studio.errors import InputError
from studio.fields import settings
from studio.journey.settings import FORMATS, Journey

if TYPE_CHECKING:
    from studio.engine import Engine
    from studio.journey.takings import Takings

# option, its metavar, the field of the journey
_FLAGS = {
    "--frames": ("N", "frames"),
    "--fps": ("X", "fps"),
    "--playback": ("HOW", "playback"),
    "--from": ("DB", "from_db"),
    "--to": ("DB", "to_db"),
    "--window": ("S", "duration"),
    "--hop": ("S", "hop"),
    "--smoothing": ("N", "smoothing"),
}


@COMMANDS.register("journey")
class JourneyCommand(Command):
    """Make pictures along a way through sounds."""

    summary = "make a film of pictures along a way through sounds"
    details = (
        "--kind morph goes from the meaning of each sound to the next one's, volume turns all sounds up or down from\n"
        "--from to --to, and window slides over one recording (--start and --duration choose its part, --window is\n"
        "how much is heard at once). Without --kind it is a morph for several sounds, a volume sweep for one. All\n"
        "pictures share one seed, so that only the sound changes.\n\n"
        "OUT.mp4 is a film with the sound under it, OUT.gif repeats, OUT.png is a contact sheet; -o may be given\n"
        "several times. --save-frames keeps every picture with its recipe. Ctrl+C ends the journey where it is: what\n"
        "is finished is written; Ctrl+C once more writes nothing."
    )
    examples = """
        hearsight journey sea.ogg fire.ogg -o journey.mp4
        hearsight journey sea.ogg birds.ogg bells.ogg -o day.mp4 -o day.png --frames 48 --playback ping-pong
        hearsight journey rain.ogg -o rain.gif --kind volume --from -40 --to 0 --frames 12 --fps 6
        hearsight journey "an hour outside.m4a" -o walk.mp4 --kind window --window 4 --frames 120 --save-frames walk
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sounds, the way, the outputs, and what a recipe can set."""
        parser.add_argument(
            "-o",
            "--output",
            metavar="OUT.mp4|.gif|.png",
            required=True,
            action="append",
            help="where the film, GIF or contact sheet goes; may be given several times",
        )
        parser.add_argument("--save-frames", metavar="FOLDER", help="also keep every picture, as FOLDER/001.png ...")
        fields = settings(Journey)
        parser.add_argument("--kind", choices=fields["kind"].choices, help=cls._help("kind"))
        for flag, (metavar, name) in _FLAGS.items():
            parser.add_argument(flag, dest=f"journey_{name}", metavar=metavar, help=cls._help(name))
        add_sounds(parser)
        add_settings(parser, *EACH, several=True)
        parser.add_argument("--match", action="store_true", help="make all sounds equally loud before --gain")
        add_settings(parser, *PICTURE)
        add_template(parser)
        add_size(parser)
        add_settings(parser, *MODEL)
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check everything that can be checked, draw, and write what was asked for."""
        files = output_files(arguments.output, arguments.sounds)
        journey = journey_from(arguments)
        recipe = scene_from(argparse.Namespace(**{"join": None, "weights": None} | vars(arguments)))
        with ExitStack() as stack:
            if arguments.save_frames:
                folder = frames_folder(arguments.save_frames, journey)
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hearsight-journey-")))
            bar = stack.enter_context(progress("reading the sounds"))
            from studio.engine import Engine
            from studio.journey.takings import Takings
            from studio.journey.trip import Trip

            takings = Takings(Trip(recipe.replace(preview_every=0), journey), folder)
            try:
                draw(Engine(arguments.device), takings, bar)
            except KeyboardInterrupt:
                if len(takings.pictures) > 1:
                    cls._write(takings, files, bar)
                    done = f"{len(takings.pictures)} of {journey.frames} pictures"
                    print(f"Stopped: the journey ends after {done}.", file=sys.stderr)
                raise
            cls._write(takings, files, bar)
        print(f"{len(takings.pictures)} pictures, seed {takings.trip.recipe.seed}.", file=sys.stderr)
        for file in files:
            print(file)
        return 0

    @staticmethod
    def _write(takings: Takings, files: list[Path], bar: Bar) -> None:
        for number, file in enumerate(files):
            bar.show("writing", number, len(files), file.name)
            takings.write(file)

    @staticmethod
    def _help(name: str) -> str:
        field = settings(Journey)[name]
        bounds = "" if field.minimum is None else f" ({field.minimum:g} to {field.maximum:g}{_unit(field.unit)})"
        choices = f" ({', '.join(field.choices)})" if field.choices and name != "kind" else ""
        default = f"; default: {field.default:g}" if isinstance(field.default, int | float) else ""
        default = f"; default: {field.default}" if isinstance(field.default, str) and name != "kind" else default
        text = field.help.rstrip(".").replace("; empty =", "; default:")
        return f"{text[:1].lower()}{text[1:]}{bounds}{choices}{default}"


def draw(engine: Engine, takings: Takings, bar: Bar) -> None:
    """Make all pictures and show how far they are."""
    from studio.journey.trip import Painting

    for item in takings.stream(engine):
        if isinstance(item, Painting):
            done, total = item.number * item.step.total + item.step.index, item.total * item.step.total
            bar.show(f"picture {item.number + 1} of {item.total}", done, total, f"{item.eta:.0f} s left")


def journey_from(arguments: argparse.Namespace) -> Journey:
    """The journey of a command's arguments. Raises InputError that names the option, not the field behind it."""
    given: dict[str, Any] = {"kind": arguments.kind or ("morph" if len(arguments.sounds) > 1 else "volume")}
    for flag, (_, name) in _FLAGS.items():
        text = getattr(arguments, f"journey_{name}")  # a track has a duration too
        if text is None:
            continue
        field = settings(Journey)[name]
        try:
            given[name] = field.kind(text)
            Journey(**{name: given[name]})
        except (ValueError, InputError):
            if field.choices:
                rule = f"one of {', '.join(field.choices)}"
            else:
                kind = "a whole number" if field.kind is int else "a number"
                rule = f"{kind} from {field.minimum:g} to {field.maximum:g}{_unit(field.unit)}"
            raise InputError(f"{flag} must be {rule}, but {text!r} was given: choose one of these.") from None
    return Journey(**given)


def output_files(outputs: list[str], sounds: list[str]) -> list[Path]:
    """Where the results go. Raises InputError, before any work is done, when they could not be written there."""
    files = [Path(output).expanduser() for output in outputs]
    for file, output in zip(files, outputs, strict=True):
        if file.suffix.lower() not in FORMATS:
            raise InputError(f"A journey is written as {', '.join(FORMATS)}, but {output!r} ends in none of these.")
        try:
            if file.is_dir():
                raise InputError(f"{output!r} is a folder, but a file is to be written there: give a file name.")
            if any(file.exists() and Path(sound).exists() and file.samefile(sound) for sound in sounds):
                raise InputError(f"{output!r} is one of the sounds itself: give the journey another name.")
            check_folder(file.parent)
        except OSError as error:
            raise InputError(f"The journey cannot be written to {output!r} ({error.strerror}).") from None
    if len({file.absolute() for file in files}) < len(files):
        raise InputError("Two outputs have the same name: give each its own.")
    return files


def frames_folder(text: str, journey: Journey) -> Path:
    """Where the pictures go. Raises InputError when the folder cannot be used, or holds pictures already.

    A shorter journey beside the rest of a longer one would be a mixture that nobody wants.
    """
    folder = Path(text).expanduser()
    try:
        check_folder(folder)
        if folder.is_dir() and any(folder.glob("*.png")):
            raise InputError(f"The folder {text!r} holds pictures already: choose a new one for the journey's.")
    except OSError as error:
        raise InputError(f"The pictures cannot be written to {text!r} ({error.strerror}).") from None
    return folder


def _unit(unit: str | None) -> str:
    return f" {unit}" if unit and unit != "1/s" else ""
