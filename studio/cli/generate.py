"""`hearsight generate`: one sound or several in, one or more pictures out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli._options import (
    MODEL,
    PICTURE,
    add_device,
    add_settings,
    add_size,
    add_template,
    picture_files,
)
from studio.cli._progress import draw, progress
from studio.cli._tracks import DETAILS, add_tracks, save_sound, scene_from, sound_target
from studio.cli.base import Command
from studio.concepts import Concepts
from studio.result import Heard, Result


@COMMANDS.register("generate")
class Generate(Command):
    """Make a picture from a sound, or from several."""

    summary = "make a picture from a sound, or from several"
    details = (
        "The paths of the finished pictures are printed, one a line. Several pictures (--count) are called\n"
        "OUT.png, OUT-2.png, OUT-3.png ... and use the seeds N, N+1, N+2 ... An existing OUT.png is replaced,\n"
        "folders on the way to it are made. Every picture carries its recipe: see hearsight remake.\n\n"
        "--adapter concepts makes A* of phrases for what the ear hears, and says which; --concepts takes phrases of\n"
        "yours instead. It is the default for every --model but pocket, and needs no training.\n\n" + DETAILS
    )
    examples = """
        hearsight generate rain.ogg -o rain.png
        hearsight generate rain.ogg -o rain.png --prompt "a painting of A*" --seed 7
        hearsight generate "field recording.m4a" -o out/field.png --start 12 --duration 5 --gain 6
        hearsight generate dog.wav -o dog.png --count 4 --steps 30 --size 256x192
        hearsight generate rain.ogg bells.ogg -o both.png --gain 0 -6 --room dry cathedral --pan -0.3 0.5
        hearsight generate fire.ogg waves.ogg -o coast.png --match --pan -0.8 0.8
        hearsight generate fire.ogg waves.ogg frogs.ogg -o three.png --match --join side-by-side
        hearsight generate rain.ogg bells.ogg -o both.png --match --save-sound both.wav
        hearsight generate rain.ogg bells.ogg -o between.png --join morph --weights 0.3
        hearsight generate rain.ogg -o rain.png --model ~/models/stable-diffusion-v1-5
        hearsight generate rain.ogg -o rain.png --adapter concepts --concepts "rain:0.7, city street:0.3"
        hearsight generate --word my-rain.json -o rain.png --prompt "a painting of A*"
        hearsight generate sea.ogg birds.ogg bells.ogg -o day.png --join sequence --duration 4
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sounds, the output, and everything that a recipe can set."""
        parser.add_argument("-o", "--output", metavar="OUT.png", required=True, help="where the picture goes")
        add_tracks(parser, word=True)
        add_settings(parser, *PICTURE)
        add_template(parser)
        add_size(parser)
        add_settings(parser, "--count", *MODEL)
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of the paths")
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check everything that can be checked, draw, save, and say what was heard."""
        target = sound_target(arguments)
        files = picture_files(arguments.output, arguments.count or 1)
        recipe = scene_from(arguments)
        with progress("loading the model") as bar:
            from studio.engine import Engine
            from studio.library.png import save_png

            engine = Engine(arguments.device)
            result = draw(engine, recipe.replace(preview_every=0), bar)
        if target is not None:
            save_sound(engine.scene(recipe), target)
        for image, one, file in zip(result.images, result.recipes, files, strict=True):
            save_png(image, one, file)
        nameless = "the sound; this ear has no names" if result.window else "nothing, the word was carried"
        heard = best(result.heard) or nameless
        seconds = result.timings["total"]
        print(f"Heard: {heard}. Seed {result.seeds[0]}, {seconds:.1f} s.", file=sys.stderr)
        if len(recipe.tracks) > 1:
            for track, alone in zip(result.recipe.tracks, result.heard_tracks, strict=True):
                print(f"  {track.name}: {in_words(alone)}", file=sys.stderr)
        if result.concepts:
            print(f"A* is made of: {made_of(result.concepts)}.", file=sys.stderr)
        for sentence in result.warnings:
            print(f"Note: {sentence}", file=sys.stderr)
        if arguments.json:
            print(as_json(result, files))
        else:
            print("\n".join(map(str, files)))
        return 0


def best(labels: Sequence[tuple[str, float]]) -> str:
    """The best three labels with their share: "rain 71%, river 12%, wind 2%"."""
    return ", ".join(f"{label.replace('_', ' ')} {share:.0%}" for label, share in labels[:3])


def made_of(concepts: Concepts) -> str:
    """Phrases with their shares: "rain 71%, river 29%"."""
    return ", ".join(f"{phrase} {share:.0%}" for phrase, share in concepts)


def as_json(result: Result, files: Sequence[Path]) -> str:
    """One line of JSON: the pictures, what was heard, what A* is made of, and the recipe without folders."""
    said = {
        "pictures": [str(file) for file in files],
        "seeds": result.seeds,
        "heard": [{"label": label, "probability": round(share, 6)} for label, share in result.heard],
        "concepts": [{"phrase": phrase, "weight": share} for phrase, share in result.concepts],
        "warnings": result.warnings,
        "recipe": result.recipe.public().model_dump(mode="json"),
    }
    return json.dumps(said, ensure_ascii=False)


def in_words(heard: Heard | None) -> str:
    """What was heard in one track among several."""
    return "does not sound" if heard is None else best(heard.labels)
