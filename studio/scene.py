"""The sound desk: a recipe's tracks -> the sound that the ear hears. Nothing is listened to here.

Each track is cut to its part, put into its room, and gets its gain and its place; then all that sound are joined.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio.errors import InputError
from studio.fields import settings
from studio.recipe import Recipe, Track
from studio.sound.clip import MIN_SECONDS, Clip
from studio.sound.decode import read_clip
from studio.sound.limiter import limit
from studio.sound.loudness import MATCHED_LUFS, apply_gain, is_silent, lufs, matched_gains, refuse_silence
from studio.sound.mix import mix, pan, sequence
from studio.sound.room import put_into
from studio.sound.window import choose_window, cut

Clips = Clip | Sequence[Clip | None] | None
"""Sounds instead of the files that the tracks name: one, or one for each track, None = its file."""

_NOTHING = -150.0  # dB, where a preview may stop: weights may be as small as a float


@dataclass(frozen=True)
class Sound:
    """A sound ready for the ear.

    clip: the part that is heard, in its room, with its gain and place.  seconds: of the whole sound, before the cut.
    track: where it came from, with name, digest, start and duration filled: it cuts out the same samples again.
    """

    clip: Clip
    seconds: float
    track: Track


@dataclass(frozen=True)
class Scene:
    """All tracks of a recipe, ready for the ear.

    clip: what is to be heard of all, joined. The ear listens to it when one track sounds, else to each alone.
    tracks: the recipe's, filled as in Sound; those that do not sound are left as they were.
    alone: each track as if it was soloed; None for one that does not sound, or is silent, or has no weight in a morph.
    loudness: 0..1, how loud the scene is against the recordings' own level: of a morph the weighted mean of its
        tracks, else that of the loudest one.
    shares: how much of the picture each track gets: they add up to 1, 0 where `alone` is None. Of a morph they are
        its weights. None when one track sounds and stands in the middle: it is the picture.
    """

    clip: Clip
    tracks: tuple[Track, ...]
    alone: tuple[Sound | None, ...]
    loudness: float = 1.0
    shares: tuple[float, ...] | None = None


def perceived(gain: float) -> float:
    """A gain in dB as a share of the loudness that people hear, 0..1: half as loud with every 10 dB less.

    Stevens' power law (1957), the sone scale. A gain above 0 counts as 1: it brings a quiet recording up, and that is
    no reason to paint its sound more strongly than another one's; `Recipe.sound_strength` is for that.
    """
    return float(min(1.0, 2 ** (gain / 10)))


def prepare_sound(track: Track, clip: Clip | None = None) -> Sound:
    """One track as it is heard alone, whether or not it is muted: its file is read, unless `clip` is its sound.

    A dry one in the middle is not limited, whatever its gain. Raises InputError when there is no sound, when it cannot
    be read, when the part is outside it, or silent.
    """
    sound = _alone(_take(track, clip))
    refuse_silence(sound.clip)
    return sound


def prepare_scene(recipe: Recipe, clips: Clips = None) -> Scene:
    """What the ear hears of a recipe's tracks, joined as it says.

    mix, side-by-side: added in the air, all standing at the start.  sequence: one after the other, with crossfades of
    0.1 s.
    morph: the ear hears each alone, so `clip` is only a preview: the mix with each track at its share of the power.
    Raises InputError when no track sounds, when one that sounds cannot be used, or when together they are silent (for
    a morph: any of them).
    """
    tracks = recipe.tracks or (Track(),)
    given = _one_each(clips, len(tracks))
    audible = recipe.audible if recipe.tracks else (True,)
    if recipe.join == "side-by-side":
        tracks = side_by_side(tracks, audible)
    if not any(audible):
        raise InputError(
            "No track sounds: all are muted, the soloed ones included. Unmute or solo what you want to hear."
        )
    weights = _shares(recipe, audible) if recipe.join == "morph" else None
    wanted = audible if weights is None else tuple(weight > 0 for weight in weights)
    sounds = [_take(track, one) if hear else None for track, one, hear in zip(tracks, given, wanted, strict=True)]
    heard = [sound for sound in sounds if sound is not None]
    alone = tuple(None if sound is None else _alone(sound) for sound in sounds)
    if len(heard) == 1:
        clip = next(sound.clip for sound in alone if sound is not None)
    elif weights is None:
        clip = (sequence if recipe.join == "sequence" else mix)([sound.clip for sound in heard])
    else:
        for sound in heard:
            refuse_silence(sound.clip)
        powers = [max(10 * math.log10(weight), _NOTHING) for weight in weights if weight > 0]
        clip = mix([apply_gain(sound.clip, power) for sound, power in zip(heard, powers, strict=True)])
    refuse_silence(clip)
    levels = [perceived(track.gain) for track in tracks]
    if weights is None:
        loudness = max(level for level, hear in zip(levels, audible, strict=True) if hear)
    else:
        loudness = min(1.0, math.fsum(level * weight for level, weight in zip(levels, weights, strict=True)))
    loud = tuple(None if sound is None or is_silent(sound.clip) else sound for sound in alone)
    return Scene(
        clip,
        tuple(track if sound is None else sound.track for track, sound in zip(tracks, sounds, strict=True)),
        loud,
        loudness,
        _picture_shares(loud, weights, recipe.join == "sequence"),
    )


def side_by_side(tracks: tuple[Track, ...], audible: Sequence[bool]) -> tuple[Track, ...]:
    """The tracks with pans evenly from -1 to 1 over those that sound; as they are when one of these has a pan."""
    heard = [index for index, hear in enumerate(audible) if hear]
    if len(heard) < 2 or any(tracks[index].pan for index in heard):
        return tracks
    pans = {index: round(2 * place / (len(heard) - 1) - 1, 2) for place, index in enumerate(heard)}
    return tuple(track.replace(pan=pans.get(index, track.pan)) for index, track in enumerate(tracks))


def match_loudness(tracks: Sequence[Track], target_lufs: float = MATCHED_LUFS) -> tuple[Track, ...]:
    """The tracks with gains that make them equally loud, each then louder or softer by the gain it had.

    What is measured is the heard part in its room, in the middle. Gains end at the bounds of a track's gain, and a
    sound that is too soft to be measured keeps its own. Raises InputError when a sound cannot be read.
    """
    bounds = settings(Track)["gain"]
    plain = [_take(track.replace(gain=0.0, pan=0.0), None).clip for track in tracks]
    gains = [track.gain + more for track, more in zip(tracks, matched_gains(plain, target_lufs), strict=True)]
    low, high = bounds.minimum or 0.0, bounds.maximum or 0.0
    return tuple(
        track.replace(gain=round(min(max(gain, low), high), 2)) for track, gain in zip(tracks, gains, strict=True)
    )


def digest(clip: Clip) -> str:
    """Of the samples, their shape and their rate: the content of a sound, whatever file it came from."""
    total = hashlib.sha256(f"{clip.rate}:{clip.samples.shape}".encode())
    total.update(clip.samples.tobytes())
    return total.hexdigest()


def _take(track: Track, clip: Clip | None) -> Sound:
    """Read the track's file (unless its sound is given as `clip`), choose its part, and set room, gain and place.

    Nothing is limited, and silence is not refused: others may sound with it.
    """
    if clip is None:
        if track.path is None:
            called = f"sound {track.name!r} is not on this machine" if track.name else "recipe names no sound"
            raise InputError(f"The {called}. Give a recording or a sound file.")
        clip = read_clip(track.path)
        with open(track.path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        content = digest(clip)
    start, end = choose_window(clip, track.start, track.duration)
    # Rounded before use and not after, so that the resolved times are the ones that were used.
    start, duration = round(start, 6), max(round(end - start, 6), MIN_SECONDS)
    part = pan(apply_gain(put_into(cut(clip, start, duration), track.room), track.gain), track.pan)
    name = track.name or clip.name[-255:]
    return Sound(part, clip.seconds, track.replace(name=name, sha256=content, start=start, duration=duration))


def _alone(sound: Sound) -> Sound:
    """As it is heard alone. What the desk adds may exceed full scale; a plain sound is heard as it always was."""
    plain = sound.track.room == "dry" and sound.track.pan == 0
    return sound if plain else replace(sound, clip=limit(sound.clip))


def _picture_shares(
    alone: Sequence[Sound | None], weights: tuple[float, ...] | None, in_turn: bool
) -> tuple[float, ...] | None:
    """A morph's weights, else how loud people find each sound, as a share of all; None for one sound in the middle.

    in_turn: of sounds that come one after the other, how long each one lasts counts too.
    """
    heard = [sound for sound in alone if sound is not None]
    if len(heard) < 2 and all(sound.track.pan == 0 or weights for sound in heard):
        return None
    if weights is not None:
        return weights
    loud = [0.0 if sound is None else 2 ** (_level(sound.clip) / 10) for sound in alone]  # sones, as in `perceived`
    if in_turn:
        loud = [0.0 if sound is None else one * sound.clip.seconds for one, sound in zip(loud, alone, strict=True)]
    return tuple(max(round(one / sum(loud), 4), 0.0001) if one else 0.0 for one in loud)


def _level(clip: Clip) -> float:
    """Loudness in LUFS of a sound among others, at least -70: a mono one then comes from both sides, 3 dB louder."""
    return max(lufs(clip) + (10 * math.log10(2) if clip.channels == 1 else 0.0), -70.0)


def _one_each(clips: Clips, count: int) -> list[Clip | None]:
    given: list[Clip | None] = [clips] if isinstance(clips, Clip) else list(clips or [None] * count)
    if len(given) != count:
        raise InputError(
            f"The recipe has {count} tracks, but {len(given)} sounds were given: give one for each track."
        )
    return given


def _shares(recipe: Recipe, audible: Sequence[bool]) -> tuple[float, ...]:
    """The weights of a morph's tracks, 0 for those that do not sound; they add up to 1."""
    weights = recipe.weights or (1.0,) * len(audible)
    heard = [weight if hear else 0.0 for weight, hear in zip(weights, audible, strict=True)]
    total = sum(heard)
    if not total:
        raise InputError("All tracks that sound have the weight 0 in the morph: give at least one of them more.")
    return tuple(weight / total for weight in heard)
