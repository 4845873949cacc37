"""Recipes: what is accepted, what is refused and how, and that nothing local leaves the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.errors import InputError
from studio.fields import settings
from studio.recipe import Recipe, Track
from studio.word import pack_word, unpack_word

WORD = pack_word(np.zeros((1, 4), dtype=np.float32))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seed": 0},
        {"seed": 2**31 - 1, "count": 8},
        {"width": 64, "height": 1024, "guidance_scale": 0, "num_inference_steps": 100},
        {"tracks": [{"path": "/a b/ü.wav", "name": "ü.wav", "gain": -60, "start": 0, "duration": 0.05}]},
        {"prompt": "A* und ein Hund, (A*:0.5) 🐕", "negative_prompt": ""},
        {"word": WORD, "preview_every": 0},
        {"tracks": [{"pan": -1, "mute": True}, {"solo": True, "room": "cathedral"}], "join": "sequence"},
        {"tracks": [{}] * 8, "join": "morph", "weights": [0, 1, 2, 3, 4, 5, 6, 100]},
    ],
)
def test_a_good_recipe_survives_json(values: dict[str, Any]) -> None:
    recipe = Recipe(**values)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.to_json().isascii()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"count": 0}, "'count' cannot be 0: it must be greater than or equal to 1. Use 1 to 8."),
        ({"count": 9}, "Use 1 to 8."),
        ({"count": 1.5}, "'count' cannot be 1.5"),
        ({"seed": -1}, "'seed' cannot be -1"),
        ({"seed": 2**31}, "'seed' cannot be 2147483648"),
        ({"seed": "x"}, "'seed' cannot be 'x'"),
        ({"width": 65}, "a multiple of 8. Use 64 to 1024 px."),
        ({"height": 2048}, "Use 64 to 1024 px."),
        ({"guidance_scale": float("nan")}, "'guidance_scale' cannot be nan"),
        ({"guidance_scale": float("inf")}, "'guidance_scale' cannot be inf"),
        ({"num_inference_steps": 101}, "Use 1 to 100."),
        ({"prompt": " \n"}, "it must hold at least one word"),
        ({"prompt": "x" * 2001}, "at most 2000 characters"),
        ({"prompt": None}, "'prompt' cannot be None"),
        ({"tracks": [{}] * 9}, "it should have at most 8 items, not 9."),
        ({"tracks": [{"pan": -1.1}]}, "Use -1 to 1."),
        ({"tracks": [{"mute": "loud"}]}, "'mute' cannot be 'loud'"),
        ({"tracks": [{"room": "bath"}]}, "'room' cannot be 'bath': it must be 'dry', 'living-room',"),
        ({"join": "add"}, "'join' cannot be 'add': it must be 'mix', 'sequence', 'morph' or 'side-by-side'."),
        ({"weights": [1]}, "it must hold one weight for each of the 0 tracks."),
        ({"tracks": [{}, {}], "weights": [1, 2, 3]}, "one weight for each of the 2 tracks"),
        ({"tracks": [{}, {}], "weights": [1, -1]}, "'weights.1' cannot be -1"),
        ({"tracks": [{}, {}], "weights": [1, float("nan")]}, "'weights.1' cannot be nan"),
        ({"tracks": [{}, {}], "weights": [0, 0]}, "at least one weight must be above 0."),
        ({"tracks": [{"gain": 41}]}, "Use -60 to 40 dB."),
        ({"tracks": [{"duration": 0}]}, "'duration' cannot be 0"),
        ({"tracks": [{"loudness": 1}]}, "A track has no field 'loudness'"),
        ({"tracks": [{"sha256": "abc"}]}, "'sha256' cannot be 'abc'"),
        ({"steps": 3}, "A recipe has no field 'steps'. Its fields are: version, tracks, join, weights, prompt"),
        ({"version": 2}, "'version' cannot be 2"),
        ({"word": "1x4:AAAA"}, "The word in this recipe is damaged"),
        ({"word": "hello"}, "The word in this recipe is damaged"),
    ],
)
def test_a_bad_recipe_is_refused_in_one_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Recipe(**values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value).lower()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', '{"version": 1, "tracks": 3}', "[" * 100_000])
def test_text_that_is_no_recipe(text: str) -> None:
    with pytest.raises(InputError):
        Recipe.from_json(text)


def test_recipes_do_not_change() -> None:
    recipe = Recipe(seed=1)
    with pytest.raises(Exception, match="frozen"):
        recipe.seed = 2
    assert recipe.replace(seed=2).seed == 2
    assert recipe.seed == 1
    with pytest.raises(InputError):
        recipe.replace(seed=-2)


def test_resolved_means_that_nothing_is_open() -> None:
    recipe = Recipe(
        seed=1, negative_prompt="", num_inference_steps=2, guidance_scale=1, width=64, height=64, word=WORD
    )
    assert recipe.resolved
    assert not recipe.replace(word=None).resolved
    assert not Recipe().resolved


def test_public_names_no_folder(tmp_path: Path) -> None:
    track = Track.of(tmp_path / "secret" / "rain.ogg")
    assert track.path == str(tmp_path / "secret" / "rain.ogg")
    public = Recipe(tracks=(track,), model=str(tmp_path / "my-model"), adapter=str(tmp_path / "run 3")).public()
    assert str(tmp_path) not in public.to_json()
    assert (public.tracks[0].name, public.model, public.adapter) == ("rain.ogg", "my-model", "run 3")
    assert Recipe(model="owner/name").public().model == "owner/name"


def test_settings_carry_what_a_control_needs() -> None:
    controls = settings(Recipe)
    guidance = controls["guidance_scale"]
    assert (guidance.kind, guidance.minimum, guidance.maximum, guidance.step) == (float, 0, 30, 0.1)
    assert (guidance.optional, guidance.default) == (True, None)
    assert controls["width"].unit == "px"
    assert settings(Track)["gain"].unit == "dB"
    assert not {"tracks", "versions", "version"} & set(controls)
    assert all(control.help.endswith((".", ")")) for control in controls.values())
    assert Recipe.model_fields.keys() >= controls.keys()
    assert controls["join"].choices == ("mix", "sequence", "morph", "side-by-side")
    weights = controls["weights"]
    assert (weights.kind, weights.several, weights.minimum, weights.maximum) == (float, True, 0, 100)
    assert settings(Track)["mute"].kind is bool
    assert settings(Track)["room"].choices[0] == settings(Track)["room"].default == "dry"


def test_what_does_not_use_the_desk_is_written_as_before_it() -> None:
    """Pictures made before there was a desk are remade byte for byte, their text chunks included."""
    before = (
        '{"version": 1, "tracks": [{"path": null, "name": "rain.ogg", "sha256": null, "start": 0.0, "duration": 5.0, '
        '"gain": -3.0}], "prompt": "a photo of A*", "negative_prompt": "", "seed": 7, "count": 1, '
        '"num_inference_steps": 20, "guidance_scale": 4.0, "width": 256, "height": 256, "model": "pocket", '
        '"adapter": "word", "preview_every": 0, "word": null, "versions": {}, "model_sha256": null}'
    )
    recipe = Recipe.from_json(before)
    assert recipe.to_json() == before
    assert (recipe.join, recipe.weights, recipe.tracks[0].room) == ("mix", None, "dry")
    used = recipe.replace(tracks=(recipe.tracks[0].replace(pan=0.5),), join="morph").to_json()
    assert json.loads(used).keys() - json.loads(before).keys() == {"join"}
    assert json.loads(used)["tracks"][0].keys() - json.loads(before)["tracks"][0].keys() == {"pan"}


@pytest.mark.parametrize(
    ("marks", "audible"),
    [
        ("...", (True, True, True)),
        (".m.", (True, False, True)),
        ("s..", (True, False, False)),
        ("s.s", (True, False, True)),
        ("sm.", (True, False, False)),
        ("mmm", (False, False, False)),
        ("b..", (False, False, False)),  # both muted and soloed: mute counts, and solo silences the others
    ],
)
def test_mute_and_solo_as_on_a_desk(marks: str, audible: tuple[bool, ...]) -> None:
    tracks = tuple(Track(mute=mark in "mb", solo=mark in "sb") for mark in marks)
    assert Recipe(tracks=tracks).audible == audible


@pytest.mark.parametrize("shape", [(1, 1), (1, 256), (3, 768)])
def test_a_word_survives_as_text(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    again = unpack_word(pack_word(vectors))
    assert again.dtype == np.float32
    assert again.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_word_is_finite(value: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        unpack_word(pack_word(np.full((1, 2), value, dtype=np.float32)))
