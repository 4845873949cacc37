"""The sound desk as a whole: what is heard of several tracks, what they become, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Join, Recipe, Track
from studio.result import Heard, Result
from studio.scene import match_loudness, prepare_scene
from studio.sound.clip import Clip
from studio.sound.limiter import true_peak_dbfs
from studio.sound.loudness import apply_gain, lufs
from studio.sound.window import cut
from studio.sound.write import write_wav
from studio.word import unpack_word
from tests.models import noise, tone

TWO = (Track(name="one"), Track(name="two"))
SILENCE = Clip(np.zeros((1, 16_000), dtype=np.float32), 16_000, "nothing.wav")


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), adapter="tiny-word", seed=3, num_inference_steps=2, tracks=TWO)


def _pixels(result: Result) -> bytes:
    return result.images[0].tobytes()


@pytest.mark.parametrize("join", get_args(Join))
@pytest.mark.parametrize("gain", [0.0, 20.0])
def test_one_plain_track_is_heard_as_it_always_was(join: Any, gain: float) -> None:
    clip = tone(2.0)
    scene = prepare_scene(Recipe(tracks=(Track(start=0.5, duration=1.0, gain=gain),), join=join), clip)
    wanted = apply_gain(cut(clip, 0.5, 1.0), gain).samples
    assert scene.clip.samples.tobytes() == wanted.tobytes(), "not limited, whatever its gain"


def test_one_plain_track_gives_the_word_it_always_gave(engine: Engine, recipe: Recipe) -> None:
    """A digest from before there was a desk would differ between processors: the same numbers, made the same way."""
    result = engine.run(recipe.replace(tracks=(Track(),)), tone())
    ear, adapter = engine._hearing.ear("tiny-ear"), engine._models.adapter(recipe.model, recipe.adapter)
    word = adapter.condition(ear.encode([tone()])).word[0].numpy()
    assert unpack_word(str(result.recipe.word)).tobytes() == word.tobytes()
    assert result.heard_tracks == [Heard(result.heard, 1.0, float(result.lufs or 0), (0.0, 1.0))]


@pytest.mark.parametrize("join", get_args(Join))
def test_soloed_or_the_others_muted_is_alone(join: Any, engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise()]
    alone = engine.run(recipe.replace(tracks=(Track(room="church", gain=6.0),)), noise())
    wet = Track(room="church", gain=6.0)
    for tracks in ((Track(mute=True), wet), (Track(), wet.replace(solo=True))):
        result = engine.run(recipe.replace(tracks=tracks, join=join), clips)
        assert result.recipe.word == alone.recipe.word
        assert _pixels(result) == _pixels(alone)
        assert result.heard == alone.heard
        assert result.heard_tracks == [None, *alone.heard_tracks]
        assert result.recipe.tracks[0] == tracks[0], "what does not sound need not even be there"


@pytest.mark.parametrize(("weights", "which"), [((1, 0), 0), ((0, 1), 1), ((0.2, 0), 0)])
def test_a_morph_ends_at_its_sounds_bit_for_bit(
    weights: tuple[float, ...], which: int, engine: Engine, recipe: Recipe
) -> None:
    clips = [tone(), noise()]
    end = engine.run(recipe.replace(join="morph", weights=weights), clips)
    alone = engine.run(recipe.replace(tracks=(Track(),)), clips[which])
    assert end.recipe.word == alone.recipe.word
    assert (_pixels(end), end.heard) == (_pixels(alone), alone.heard)
    assert engine.scene(end.recipe, clips).samples.tobytes() == clips[which].samples.tobytes()


def test_a_morph_lies_between(engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise()]
    made = [
        engine.run(recipe.replace(join="morph", weights=weights), clips)
        for weights in ((1, 0), (3, 1), (1, 1), (0, 1))
    ]
    assert [one.recipe.shares for one in made] == [None, (0.75, 0.25), (0.5, 0.5), None]
    ends = [unpack_word(str(one.recipe.word)) for one in (made[0], made[3])]
    for between in made[1:3]:
        assert unpack_word(str(between.recipe.word)).tobytes() == np.concatenate(ends).tobytes()
    assert len({one.images[0].tobytes() for one in made}) == 4
    heard = engine.hear_scene(recipe.replace(join="morph", weights=(3, 1)), clips, "tiny-ear")
    shares = [dict(one.labels) for one in heard.tracks if one is not None]
    for label, share in heard.scene.labels:
        assert share == pytest.approx(0.75 * shares[0][label] + 0.25 * shares[1][label])
    assert [share for _, share in heard.scene.labels] == sorted((s for _, s in heard.scene.labels), reverse=True)
    hardly = recipe.replace(join="morph", weights=(1e-30, 100))
    np.testing.assert_allclose(engine.scene(hardly, clips).samples, clips[1].samples, atol=1e-6)
    muted = recipe.replace(tracks=(*TWO, Track(mute=True)), join="morph", weights=(3, 1, 50))
    assert engine.hear_scene(muted, [*clips, noise()], "tiny-ear").scene == heard.scene


@pytest.mark.parametrize("join", get_args(Join))
def test_a_picture_of_several_sounds_is_remade_without_them(
    join: Any, engine: Engine, recipe: Recipe, tmp_path: Path
) -> None:
    tracks = (Track(name="one", pan=-0.4, room="living-room"), Track(name="two", gain=-6))
    made = engine.run(recipe.replace(tracks=tracks, join=join, weights=(1, 2)), [tone(), noise()])
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    assert (carried.join, carried.weights, len(carried.tracks)) == (join, (1, 2), 2)
    assert carried.tracks[0].sha256
    again = engine.run(carried.replace(model=recipe.model))
    assert _pixels(again) == _pixels(made)
    assert again.heard_tracks == []


def test_what_one_track_is_heard_as_is_given_to_play(engine: Engine, recipe: Recipe) -> None:
    recipe = recipe.replace(tracks=(Track(pan=-0.5, room="stairwell", gain=4), Track(mute=True)))
    result = engine.run(recipe, [noise(1.5), tone()])
    assert engine.hear(engine.scene(recipe, [noise(1.5), tone()]), "tiny-ear").labels == result.heard


def test_several_are_heard_one_by_one_and_played_together(engine: Engine, recipe: Recipe) -> None:
    recipe = recipe.replace(tracks=(Track(pan=-0.5), Track(room="stairwell")))
    clips = [tone(), noise(1.5)]
    result = engine.run(recipe, clips)
    played = engine.scene(recipe, clips)
    assert (played.channels, played.seconds) == (2, 1.5)
    alone = [dict(one.labels) for one in result.heard_tracks if one]
    shares = result.recipe.shares
    assert shares is not None
    for label, probability in result.heard:
        assert probability == pytest.approx(sum(s * one[label] for s, one in zip(shares, alone, strict=True)))
    assert (result.window, result.lufs) == ((0.0, 1.5), lufs(played))
    assert [one.seconds for one in result.heard_tracks if one] == [1.0, 1.5]


def test_the_joins_differ_and_the_mix_knows_no_order(engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise(1.6)]
    made = {join: engine.run(recipe.replace(join=join), clips) for join in get_args(Join)}
    assert len({one.images[0].tobytes() for one in made.values()}) == 4
    assert engine.run(recipe, clips[::-1]).images[0].tobytes() == made["mix"].images[0].tobytes()
    mixed, in_turn, morphed = (made[join].recipe.shares or () for join in ("mix", "sequence", "morph"))
    assert morphed == (0.5, 0.5)
    # How loud each is decides in a mix; in a sequence also how long it lasts.
    assert in_turn[0] / in_turn[1] == pytest.approx(mixed[0] / mixed[1] / 1.6, rel=1e-3)


@pytest.mark.parametrize("join", get_args(Join))
@pytest.mark.parametrize("which", [0, 1])
def test_the_volume_of_each_track_changes_the_picture(join: Any, which: int, engine: Engine, recipe: Recipe) -> None:
    def drawn(gain: float) -> bytes:
        tracks = tuple(Track(gain=gain if place == which else 0.0) for place in range(2))
        return _pixels(engine.run(recipe.replace(tracks=tracks, join=join), [tone(), noise()]))

    assert len({drawn(gain) for gain in (0.0, -6.0, -20.0)}) == 3


def test_a_silent_track_among_others(engine: Engine, recipe: Recipe) -> None:
    result = engine.run(recipe, [tone(), SILENCE])
    assert result.recipe.word == engine.run(recipe.replace(tracks=(Track(),)), tone()).recipe.word
    assert result.heard_tracks[1] is None
    assert result.recipe.tracks[1].sha256 is not None


def test_a_loud_room_is_limited() -> None:
    scene = prepare_scene(Recipe(tracks=(Track(gain=30, room="living-room"),)), noise())
    assert true_peak_dbfs(scene.clip) <= -1


@pytest.mark.parametrize(
    ("changes", "clips", "said"),
    [
        ({"tracks": [{"mute": True}, {"mute": True}]}, [tone(), noise()], "No track sounds: all are muted"),
        ({"tracks": [{"mute": True, "solo": True}, {}]}, [tone(), noise()], "No track sounds"),
        ({}, [SILENCE, SILENCE], "We heard almost nothing (all samples are equal)"),
        ({"join": "sequence"}, [SILENCE, SILENCE], "choose another sound"),
        ({"join": "morph"}, [tone(), SILENCE], 'in "nothing.wav"'),
        ({"tracks": [{"gain": -60}, {"gain": -60}]}, [tone(), noise()], "raise the volume with --gain"),
        (
            {"tracks": [{"mute": True}, {}], "join": "morph", "weights": [1, 0]},
            [tone(), noise()],
            "have the weight 0 in the morph",
        ),
        ({}, [tone()], "The recipe has 2 tracks, but 1 sounds were given"),
        ({}, tone(), "give one for each track"),
        ({}, [tone(), None], "'two' is not on this machine"),
        ({"tracks": [{}, {"start": 5}]}, [tone(), noise()], "noise.wav"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], clips: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare_scene(Recipe(**{"tracks": TWO} | changes), clips)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_match_loudness(tmp_path: Path) -> None:
    for name, clip in (("a.wav", noise()), ("b.wav", apply_gain(tone(), -14))):
        write_wav(clip, tmp_path / name, subtype="FLOAT")
    tracks = [Track.of(tmp_path / "a.wav", room="church", pan=0.5), Track.of(tmp_path / "b.wav", gain=-6)]
    matched = match_loudness(tracks, -24)
    first, second = (prepare_scene(Recipe(tracks=(track.replace(pan=0.0),))).clip for track in matched)
    assert lufs(first) == pytest.approx(-24, abs=0.1)
    assert lufs(second) == pytest.approx(-30, abs=0.1)
    assert [track.replace(gain=0.0) for track in matched] == [track.replace(gain=0.0) for track in tracks]
    assert (
        hashlib.sha256((tmp_path / "a.wav").read_bytes()).hexdigest()
        == prepare_scene(Recipe(tracks=(matched[0],))).tracks[0].sha256
    )


@pytest.mark.parametrize(
    ("gains", "changes", "loudness"),
    [
        ((0,), {}, 1.0),
        ((12,), {}, 1.0),
        ((-10,), {}, 0.5),
        ((-30,), {}, 0.125),
        ((-10, -20), {}, 0.5),
        ((-10, 3), {}, 1.0),
        ((-10, 0), {"join": "morph", "weights": (0.5, 0.5)}, 0.75),
        ((-10, -20), {"join": "sequence"}, 0.5),
    ],
)
def test_loudness_against_the_recordings_own(
    gains: tuple[float, ...], changes: dict[str, Any], loudness: float
) -> None:
    recipe = Recipe(tracks=tuple(Track(gain=gain) for gain in gains), **changes)
    assert prepare_scene(recipe, [tone() for _ in gains]).loudness == pytest.approx(loudness)
