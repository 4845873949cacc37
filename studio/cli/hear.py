"""`hearsight hear`: what the ear makes of a sound, or of several joined."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.cli import COMMANDS
from studio.cli._options import add_device
from studio.cli._progress import progress
from studio.cli._tracks import DETAILS, add_save_heard, add_tracks, heard_targets, save_sound, scene_from, sound_target
from studio.cli.base import Command
from studio.cli.generate import in_words
from studio.result import Heard, HeardScene

if TYPE_CHECKING:
    from studio.sound.character import Character

SHOWN = 5  # labels, without --json


@COMMANDS.register("hear")
class Hear(Command):
    """Say what the ear hears in a sound, or in several."""

    summary = "say what the ear hears in a sound, or in several"
    details = (
        "The ear listens to the most energetic 10 s, unless --start or --duration say otherwise. --json prints\n"
        '{"labels": [{"label", "probability"}, ...] best first, "seconds", "lufs", "window": [start, end]}:\n'
        "seconds is the length of the whole sound, window the part that was heard, lufs its loudness\n"
        "(ITU-R BS.1770), null when it is too soft to be measured; for one sound also pitch_hz, note and tempo_bpm,\n"
        "null where there is none. Of several sounds these are the joined one's, and\n"
        '"tracks" lists the same for each sound alone, with its "name"; one that is silent has null for all of it.\n'
        "--save-sound writes the joined sound; --save-heard what the ear really gets: each sound alone, its part in\n"
        "its room with its gain and place, as one channel at the ear's own rate; nothing for a silent one.\n\n"
        + DETAILS
    )
    examples = """
        hearsight hear rain.ogg
        hearsight hear rain.ogg --json
        hearsight hear concert.mp3 --start 60 --duration 5
        hearsight hear rain.ogg bells.ogg --room dry church --match --save-sound both.wav
        hearsight hear rain.ogg bells.ogg --pan -0.5 0.5 --save-heard heard.wav
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The sounds, the desk, and the form of the answer."""
        add_tracks(parser)
        add_save_heard(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object with every label")
        add_device(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Listen and print."""
        target, alone = sound_target(arguments), heard_targets(arguments)
        recipe = scene_from(arguments)
        with progress("listening"):
            from studio.engine import Engine

            engine = Engine(arguments.device)
            heard = engine.hear_scene(recipe)
        if target is not None:
            save_sound(engine.scene(recipe), target)
        for clip, file in zip(engine.as_heard(recipe) if alone else (), alone, strict=True):
            if clip is not None:
                save_sound(clip, file)
        names = [track.name for track in recipe.tracks]
        if len(names) == 1:
            from studio.sound.character import character

            said = character(engine.scene(recipe))
            print(as_json(heard.scene, said) if arguments.json else as_text(heard.scene, said))
        else:
            print(scene_as_json(heard, names) if arguments.json else scene_as_text(heard, names))
        return 0


def as_json(heard: Heard, said: Character) -> str:
    """One line of JSON; probabilities in 0..1, times in s, null for what cannot be measured or is not there."""
    pitch, tempo = (None if one is None else round(one, 1) for one in (said.pitch, said.tempo))
    more = {"pitch_hz": pitch, "note": said.note, "tempo_bpm": tempo}
    return json.dumps({**_values(heard), **more}, ensure_ascii=False)


def scene_as_json(heard: HeardScene, names: Sequence[str]) -> str:
    """The same of the joined sound, with "tracks" added: a list of the same, each with its "name"."""
    tracks = [{"name": name, **_values(one)} for name, one in zip(names, heard.tracks, strict=True)]
    return json.dumps({**_values(heard.scene), "tracks": tracks}, ensure_ascii=False)


def _values(heard: Heard | None) -> dict[str, Any]:
    if heard is None:
        return dict.fromkeys(("labels", "seconds", "lufs", "window"))
    return {
        "labels": [{"label": label, "probability": round(share, 6)} for label, share in heard.labels],
        "seconds": round(heard.seconds, 3),
        "lufs": round(heard.lufs, 2) if math.isfinite(heard.lufs) else None,
        "window": [round(time, 3) for time in heard.window],
    }


def as_text(heard: Heard, said: Character | None = None) -> str:
    """The best labels with their share, then length, loudness and part, and pitch and tempo where there are any."""
    best = heard.labels[:SHOWN]
    width = max(len(label) for label, _ in best)
    lines = [f"{label.replace('_', ' '):<{width}}  {share:6.1%}  {'#' * round(30 * share)}" for label, share in best]
    loudness = f"{heard.lufs:.1f} LUFS" if math.isfinite(heard.lufs) else "too soft to measure"
    start, end = heard.window
    more = f", {said}" if said is not None and str(said) else ""
    facts = f"{heard.seconds:.2f} s long, heard from {start:.2f} s to {end:.2f} s, {loudness}{more}"
    return "\n".join([*lines, "", facts])


def scene_as_text(heard: HeardScene, names: Sequence[str]) -> str:
    """The joined sound as `as_text` shows one, then a line for each sound alone."""
    lines = [f"{name}: {in_words(one)}" for name, one in zip(names, heard.tracks, strict=True)]
    return "\n".join([as_text(heard.scene), "", *lines])
