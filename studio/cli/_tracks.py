"""The sounds of a command: one or several, how they stand on the desk, and how they are joined."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli._options import add_settings, check_folder, recipe_from
from studio.errors import InputError
from studio.recipe import MAX_TRACKS, Recipe, Track

if TYPE_CHECKING:
    from studio.sound.clip import Clip

EACH = ("--gain", "--pan", "--room", "--start", "--duration")

DETAILS = (
    "Several sounds are joined: --join mix adds them in the air, all from the beginning; sequence plays one after\n"
    "the other with crossfades of 0.1 s; morph goes between their meanings, by --weights. Two sounds take one\n"
    "weight: 0 is the first, 1 the second. side-by-side is a mix with a place for each sound, evenly from left to\n"
    "right in their order.\n\n"
    "The ear hears each sound alone and makes a word of each. In a mix a word acts the more the louder its sound\n"
    "is, in a sequence also the longer it lasts, in a morph by its weight. With a --pan other than 0 it acts in\n"
    "its part of the picture, from left (-1) to right (1), except in a morph; what the sounds leave free on one\n"
    "side is drawn from the words alone.\n\n"
    "--gain, --pan, --room, --start and --duration take one value for all sounds, or one for each in their order;\n"
    "name the sounds before them."
)


def add_tracks(parser: argparse.ArgumentParser, word: bool = False) -> None:
    """Add the sounds and everything of the desk; `scene_from` reads them.

    word: whether a refined word may stand in their place.
    """
    add_sounds(parser, optional=word)
    if word:
        parser.add_argument(
            "--word", metavar="FILE.json", help="draw with a word that hearsight refine wrote, in place of sounds"
        )
    add_settings(parser, *EACH, several=True)
    add_settings(parser, "--join")
    add_settings(parser, "--weights", several=True)
    parser.add_argument("--match", action="store_true", help="make all sounds equally loud before --gain")
    parser.add_argument("--save-sound", metavar="OUT.wav", help="also write the joined sound, all together")


def add_save_heard(parser: argparse.ArgumentParser) -> None:
    """Add --save-heard; `heard_targets` reads it."""
    parser.add_argument(
        "--save-heard",
        metavar="OUT.wav",
        help="also write the samples that the ear gets, each sound alone: of several OUT-1.wav, OUT-2.wav, ...",
    )


def add_sounds(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add the sounds themselves."""
    parser.add_argument(
        "sounds",
        metavar="SOUND",
        nargs="*" if optional else "+",
        help=f"a sound file, or a video file with sound; up to {MAX_TRACKS} are joined",
    )


def scene_from(arguments: argparse.Namespace) -> Recipe:
    """The recipe of a command's arguments, its tracks included.

    Raises InputError for a wrong number of values, before a sound is read.
    """
    sounds: list[str] = arguments.sounds
    if getattr(arguments, "word", None) is not None:
        return _with_word(arguments)
    if not sounds:
        raise InputError("No sound is named: give a sound file, or a refined word with --word.")
    if len(sounds) > MAX_TRACKS:
        raise InputError(f"At most {MAX_TRACKS} sounds can be joined, but {len(sounds)} were given: choose fewer.")
    weights = _weights(arguments.weights, arguments.join, len(sounds))
    values = {flag.removeprefix("--"): _one_each(arguments, flag) for flag in EACH}
    tracks = [
        Track.of(sound, **{name: given[number] for name, given in values.items() if given})
        for number, sound in enumerate(sounds)
    ]
    recipe = recipe_from(argparse.Namespace(**vars(arguments) | {"weights": weights}), tracks)
    if not arguments.match:
        return recipe
    from studio.scene import match_loudness  # heavy, and only here

    return recipe.replace(tracks=match_loudness(recipe.tracks))


def _with_word(arguments: argparse.Namespace) -> Recipe:
    """The recipe of a command that has a word and no sounds. Raises InputError for what only sounds can have."""
    desk = [*(flag.removeprefix("--") for flag in EACH), "join", "weights", "match", "save_sound"]
    if arguments.sounds or any(getattr(arguments, name) not in (None, False) for name in desk):
        raise InputError("--word stands in place of the sounds: leave out the sounds and what is done to them.")
    path = Path(arguments.word).expanduser()
    try:
        saved = Recipe.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"The word {arguments.word!r} cannot be read ({error.strerror}): check the path.") from None
    if saved.word is None:
        raise InputError(f"The file {arguments.word!r} carries no word: make one with hearsight refine.")
    recipe = recipe_from(arguments, saved.tracks)
    kept = {name: getattr(saved, name) for name in ("word", "shares", "parted", "model_sha256", "versions")}
    for name in ("model", "adapter"):
        kept[name] = getattr(arguments, name) or getattr(saved, name)
    return recipe.replace(**kept)


def sound_target(arguments: argparse.Namespace) -> Path | None:
    """Where --save-sound goes. Raises InputError, before any work is done, when it cannot be written there."""
    if arguments.save_sound is None:
        return None
    target = Path(arguments.save_sound).expanduser()
    _check_wav(target, arguments.sounds)
    return target


def heard_targets(arguments: argparse.Namespace) -> list[Path]:
    """Where --save-heard goes, one file for each sound; empty when it was not given. Errors as `sound_target`."""
    if arguments.save_heard is None:
        return []
    target = Path(arguments.save_heard).expanduser()
    count = len(arguments.sounds)
    targets = [target.with_name(f"{target.stem}-{number}{target.suffix}") for number in range(1, count + 1)]
    targets = targets if count > 1 else [target]
    for one in targets:
        _check_wav(one, arguments.sounds)
        if arguments.save_sound is not None and one == Path(arguments.save_sound).expanduser():
            raise InputError(f"--save-sound and --save-heard both write {str(one)!r}: give one of them another name.")
    return targets


def _check_wav(target: Path, sounds: list[str]) -> None:
    if target.suffix.lower() != ".wav":
        raise InputError(f"The sound is written as WAV, but {str(target)!r} does not end in .wav.")
    try:
        if target.is_dir():
            raise InputError(f"{str(target)!r} is a folder, but a sound is to be written there: give a file name.")
        if any(Path(sound).exists() and target.exists() and target.samefile(sound) for sound in sounds):
            raise InputError(f"{str(target)!r} is one of the sounds itself: give the new one another name.")
        check_folder(target.parent)
    except OSError as error:
        raise InputError(f"The sound cannot be written to {str(target)!r} ({error.strerror}).") from None


def save_sound(clip: Clip, target: Path) -> None:
    """Write a sound, as floats: nothing is rounded, and what stands beyond full scale stays."""
    from studio.sound.write import write_wav

    target.parent.mkdir(parents=True, exist_ok=True)
    write_wav(clip, target, subtype="FLOAT")


def _one_each(arguments: argparse.Namespace, flag: str) -> list[object]:
    """The option's value for each sound; empty when it was not given."""
    given, count = getattr(arguments, flag.removeprefix("--")) or [], len(arguments.sounds)
    if len(given) == 1:
        return given * count
    if len(given) not in (0, count):
        wanted = "1 value" if count == 1 else f"1 value for all or {count} for the {count} sounds"
        raise InputError(f"{flag} takes {wanted}, but {len(given)} were given.")
    return list(given)


def _weights(given: list[float] | None, join: str | None, count: int) -> list[float] | None:
    if given is None:
        return None
    if join != "morph":
        raise InputError("--weights belong to --join morph: add it, or use --gain to make a sound louder.")
    if count == 2 and len(given) == 1 and given[0] <= 1:
        return [1 - given[0], given[0]]
    if len(given) != count:
        short = " (or one from 0 to 1)" if count == 2 else ""
        raise InputError(
            f"--weights take one number for each of the {count} sounds{short}, but {len(given)} were given."
        )
    if not sum(given):
        raise InputError("--weights are all 0, but at least one sound must count: give one of them more.")
    return given
