"""`hearsight batch`: one picture for every sound of a folder."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli import COMMANDS, OUR_FAULT, YOUR_INPUT
from studio.cli._options import (
    MODEL,
    PICTURE,
    add_device,
    add_settings,
    add_size,
    add_template,
    check_folder,
    recipe_from,
)
from studio.cli._progress import Bar, draw, progress
from studio.cli.base import Command
from studio.errors import InputError
from studio.recipe import Recipe, Track

if TYPE_CHECKING:
    from studio.engine import Engine

# What must be equal for an existing picture to be the one that is wanted; the seed only when one is given.
_SAME = (
    "tracks",
    "prompt",
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "sound_strength",
    "width",
    "height",
    "model",
    "adapter",
    "ear",
    "top_k",
    "temperature",
)


@COMMANDS.register("batch")
class Batch(Command):
    """Make one picture for every sound of a folder."""

    summary = "make one picture for every sound of a folder"
    details = (
        "NAME.ogg becomes NAME.png; sounds that differ only in their ending keep it (NAME.ogg.png, NAME.wav.png).\n"
        "Subfolders are left alone. The seed is used for every sound, so that a picture depends on its own sound\n"
        "only; without --seed each gets its own. Run the same command again after a stop: pictures that are there,\n"
        "made from the same sound with the same settings, are skipped. A sound that fails does not stop the rest.\n\n"
        "exit code: 0 all there; 2 some sounds cannot be used; 1 something else failed"
    )
    examples = """
        hearsight batch recordings -o pictures
        hearsight batch recordings -o pictures --seed 7 --prompt "a painting of A*"
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The two folders, and what a recipe can set beside the sound."""
        parser.add_argument("folder", metavar="FOLDER", help="a folder with sounds")
        parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where the pictures go")
        parser.add_argument("--again", action="store_true", help="make every picture again, also those that are there")
        add_settings(parser, *PICTURE)
        add_template(parser)
        add_size(parser)
        add_settings(parser, "--gain", "--room", *MODEL)
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Draw what is missing, say what failed, and count."""
        recipe = recipe_from(arguments).replace(preview_every=0)
        desk = {"gain": arguments.gain or 0.0, "room": arguments.room or "dry"}
        sounds = find_sounds(arguments.folder)
        output = Path(arguments.output).expanduser()
        check_folder(output)
        targets = [output / name for name in picture_names(sound.name for sound in sounds)]
        made, there, failures = 0, 0, list[Exception]()
        with progress("loading the model") as bar:
            from studio.diffusion.prompt import has_word
            from studio.engine import Engine
            from studio.models import adapter_kind, settled_names

            if not has_word(recipe.prompt) and not adapter_kind(settled_names(recipe)["adapter"]).beside:
                raise InputError(f"The prompt {recipe.prompt!r} has no A*, so the sounds would not be used: add A*.")
            engine = Engine(arguments.device)
            engine.load(recipe.model, recipe.adapter)  # what is wrong with these is wrong for every sound: say it once
            wanted = settled(recipe)
            for number, (sound, target) in enumerate(zip(sounds, targets, strict=True), start=1):
                title = f"{number} of {len(sounds)}: {sound.name}"
                bar.show(title, 0, 1, "listening")
                try:
                    track = Track.of(sound, **desk)
                    if not arguments.again and is_there(target, wanted, track):
                        there += 1
                    else:
                        _make(engine, recipe.replace(tracks=(track,)), target, bar, title)
                        made += 1
                except Exception as error:  # one bad sound or picture must not cost the others
                    failures.append(error)
                    reason = " ".join((str(error) or type(error).__name__).split())
                    print(f"{sound.name}: {reason}", file=sys.stderr)
                except KeyboardInterrupt:
                    print(f"Stopped after {number - 1} of {len(sounds)}: the same command goes on.", file=sys.stderr)
                    raise
        print(f"{made} made, {there} already there, {len(failures)} failed, in {output}")
        if not failures:
            return 0
        return YOUR_INPUT if all(isinstance(error, InputError) for error in failures) else OUR_FAULT


def find_sounds(folder: str) -> list[Path]:
    """The sounds in a folder, by name. Raises InputError when it is not a folder, or holds none."""
    from studio.sound.decode import decodable

    path = Path(folder).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise InputError(f"A folder with sounds is needed, but {folder!r} {what}: name a folder.")
    try:
        sounds = sorted((file for file in path.iterdir() if decodable(file)), key=lambda file: file.name)
    except PermissionError:
        raise InputError(f"You may not look into {folder!r}: change its permissions or copy it elsewhere.") from None
    if not sounds:
        raise InputError(f"There are no sounds in {folder!r}: put WAV, MP3, M4A, FLAC or OGG files there.")
    return sounds


def picture_names(sounds: Iterable[str]) -> list[str]:
    """The picture's file name for each sound's, all different also where capitals do not count.

    >>> picture_names(["dog.ogg", "rain.ogg", "Rain.wav"])
    ['dog.png', 'rain.ogg.png', 'Rain.wav.png']
    """
    names = list(sounds)
    stems = Counter(Path(name).stem.casefold() for name in names)
    # A stem may also be another sound's whole name: rain.ogg beside rain.ogg.flac.
    taken = stems + Counter(name.casefold() for name in names)
    return [f"{Path(name).stem if taken[Path(name).stem.casefold()] == 1 else name}.png" for name in names]


def settled(recipe: Recipe) -> Recipe:
    """The recipe with its model's defaults filled in and without folders, as the engine writes it into a picture."""
    from studio.backbones.base import ModelDefaults
    from studio.backbones.hub import model_folder
    from studio.models import settled_names

    own = model_folder(recipe.model) / "hearsight.json"
    defaults = ModelDefaults(**json.loads(own.read_bytes())) if own.exists() else ModelDefaults()
    filled = {
        "negative_prompt": defaults.negative_prompt,
        "num_inference_steps": defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
        "width": defaults.side,
        "height": defaults.side,
    }
    missing = {name: value for name, value in filled.items() if getattr(recipe, name) is None}
    return recipe.replace(**missing, **settled_names(recipe)).public()


def is_there(target: Path, wanted: Recipe, track: Track) -> bool:
    """Whether `target` is a whole picture of that sound, made as `wanted` (see `settled`) says.

    Raises InputError when the sound cannot be used.
    """
    from studio.library.png import read_recipe
    from studio.scene import prepare_sound

    if not target.exists():
        return False
    try:
        found = read_recipe(target)
    except InputError:
        return False  # not whole, or not ours: made again
    wanted = wanted.replace(tracks=(prepare_sound(track).track.replace(path=None),))
    # Where a seed, or what A* is made of, was not asked for, any will do.
    asked = [name for name in ("seed", "concepts") if getattr(wanted, name) is not None]
    fields = (*_SAME, *asked)
    return all(getattr(found, name) == getattr(wanted, name) for name in fields)


def _make(engine: Engine, recipe: Recipe, target: Path, bar: Bar, title: str) -> None:
    from studio.library.png import save_png

    result = draw(engine, recipe, bar, title)
    save_png(result.images[0], result.recipes[0], target)
