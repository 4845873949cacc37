"""The engine: the way of one request, what it refuses, and that it gives the same picture every time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.backbones.base import Backbone
from studio.backbones.stable_diffusion import StableDiffusion
from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import MAX_SEED, Recipe, Track
from studio.result import Result, Step
from studio.scene import prepare_scene
from studio.sound.write import write_wav
from tests.models import build_tiny_stable_diffusion, fingerprint, noise, tone


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), adapter="tiny-word", seed=3, num_inference_steps=3)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "my sound.wav"
    write_wav(tone(), path)
    return path


def _pixels(result: Result, index: int = 0) -> bytes:
    return result.images[index].tobytes()


def _state(engine: Engine, recipe: Recipe) -> dict[str, dict[str, bytes]]:
    backbone = engine._models.backbone(recipe.model)
    return {name: fingerprint(module) for name, module in backbone.modules().items()}


def test_steps_and_then_a_result(engine: Engine, recipe: Recipe, sound: Path) -> None:
    recipe = recipe.replace(tracks=(Track.of(sound),), count=2, preview_every=2)
    *steps, result = engine.stream(recipe)
    assert isinstance(result, Result)
    assert all(isinstance(step, Step) for step in steps)
    shown = [(step.image_index, step.index, step.total) for step in steps if isinstance(step, Step)]
    assert shown == [(0, 1, 3), (0, 2, 3), (0, 3, 3), (1, 1, 3), (1, 2, 3), (1, 3, 3)]
    for step in steps:
        assert isinstance(step, Step)
        assert (step.preview is not None) == (step.index == 2)
        assert step.preview is None or step.preview.size == (64, 64)
        assert step.eta > 0
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)  # type: ignore[union-attr]
    assert [image.size for image in result.images] == [(64, 64), (64, 64)]
    assert {image.mode for image in result.images} == {"RGB"}
    assert result.seeds == [3, 4]
    assert result.heard[0][1] >= result.heard[1][1]
    assert result.window == (0.0, 1.0)
    assert result.lufs is not None
    assert result.timings.keys() == {"sound", "load", "hear", "prompt", "draw", "total"}
    assert result.warnings == []


def test_what_is_open_is_filled(engine: Engine, recipe: Recipe) -> None:
    result = engine.run(recipe.replace(seed=None, num_inference_steps=None), tone())
    resolved = result.recipe
    assert resolved.resolved
    assert (resolved.negative_prompt, resolved.num_inference_steps, resolved.guidance_scale) == ("blurry", 4, 3.0)
    assert (resolved.width, resolved.height) == (64, 64)
    assert resolved.tracks[0].name == "tone.wav"
    assert {"hearsight", "torch", "diffusers", "device"} <= resolved.versions.keys()
    other = engine.run(recipe.replace(seed=None), tone())
    assert other.seeds != result.seeds


def test_the_same_recipe_is_the_same_picture(engine: Engine, recipe: Recipe) -> None:
    first = engine.run(recipe, tone())
    assert _pixels(engine.run(recipe, tone())) == _pixels(first)
    assert _pixels(Engine("cpu").run(recipe, tone())) == _pixels(first)
    assert _pixels(engine.run(recipe.replace(seed=4), tone())) != _pixels(first)
    assert _pixels(engine.run(recipe, noise())) != _pixels(first)
    assert _pixels(engine.run(recipe.replace(prompt="a painting of (A*:1.4)"), tone())) != _pixels(first)
    assert _pixels(engine.run(recipe.replace(preview_every=1), tone())) == _pixels(first)


def test_a_softer_sound_acts_less(engine: Engine, recipe: Recipe) -> None:
    loud = engine.run(recipe, tone())
    assert loud.recipe.loudness is None  # 1, and written as before there were levels
    soft = engine.run(recipe.replace(tracks=(Track(gain=-10),)), tone())
    assert soft.recipe.loudness == 0.5
    assert _pixels(soft) != _pixels(loud)
    assert _pixels(engine.run(soft.recipe)) == _pixels(soft)  # from the word alone
    assert _pixels(engine.run(recipe.replace(tracks=(Track(gain=6),)), tone())) == _pixels(
        engine.run(recipe.replace(tracks=(Track(gain=6),), sound_strength=1.0), tone())
    )


def test_without_strength_the_sound_is_gone(engine: Engine, recipe: Recipe) -> None:
    silent = recipe.replace(sound_strength=0.0, prompt="a photo of A* at night")
    assert _pixels(engine.run(silent, tone())) == _pixels(engine.run(silent, noise()))
    strengths = [engine.run(recipe.replace(sound_strength=strength), tone()) for strength in (0.0, 0.5, 1.0, 2.0)]
    assert len({_pixels(result) for result in strengths}) == 4


def test_alone_or_among_others(engine: Engine, recipe: Recipe) -> None:
    batch = engine.run(recipe.replace(count=3), tone())
    for index, seed in enumerate([3, 4, 5]):
        assert _pixels(engine.run(recipe.replace(seed=seed), tone())) == _pixels(batch, index)


def test_a_saved_picture_can_be_made_again_without_its_sound(
    engine: Engine, recipe: Recipe, sound: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    batch = engine.run(recipe.replace(tracks=(Track.of(sound),), count=2, prompt="(A*:1.2) at night, A*"))
    path = save_png(batch.images[1], batch.recipes[1], tmp_path / "picture.png")
    sound.unlink()
    carried = read_recipe(path)
    assert (carried.seed, carried.count, carried.tracks[0].path) == (4, 1, None)
    assert carried.model == tiny_folder.name  # a local model's folder stays at home, so it has to be named again
    again = engine.run(carried.replace(model=str(tiny_folder)))
    assert _pixels(again) == _pixels(batch, 1)
    assert again.warnings == []
    assert (again.heard, again.window, again.lufs) == ([], None, None)


def test_a_new_sound_replaces_a_carried_word(engine: Engine, recipe: Recipe) -> None:
    carried = engine.run(recipe, tone()).recipe
    assert _pixels(engine.run(carried, noise())) == _pixels(engine.run(recipe, noise()))


def test_seeds_do_not_run_over_the_edge(engine: Engine, recipe: Recipe) -> None:
    assert engine.run(recipe.replace(seed=MAX_SEED, count=2), tone()).seeds == [MAX_SEED, 0]


@pytest.mark.parametrize("size", [(64, 128), (72, 64), (104, 88)])
def test_sizes(size: tuple[int, int], engine: Engine, recipe: Recipe) -> None:
    result = engine.run(recipe.replace(width=size[0], height=size[1], num_inference_steps=1), tone())
    assert result.images[0].size == size


def test_one_step_and_guidance_without_negative(engine: Engine, recipe: Recipe) -> None:
    result = engine.run(recipe.replace(num_inference_steps=1, guidance_scale=1, preview_every=0), tone())
    assert result.images[0].size == (64, 64)


def test_hear(engine: Engine, sound: Path) -> None:
    by_path = engine.hear(str(sound), "tiny-ear")
    assert engine.hear(sound, "tiny-ear") == engine.hear(Track.of(sound), "tiny-ear") == by_path
    assert {label for label, _ in engine.hear(tone(), "tiny-ear").labels} == {"rain", "dog", "sea"}
    assert by_path.seconds == pytest.approx(1.0)


def test_each_track_as_the_ear_gets_it(engine: Engine, recipe: Recipe) -> None:
    """One channel at the ear's rate, with everything that the desk does to it; and it is what is heard."""
    tracks = (Track(gain=-6, pan=0.5, room="church"), Track(mute=True), Track(start=0.25, duration=0.5))
    clips = [tone(1.0, 16_000), tone(1.0, 16_000), noise(1.0, 44_100)]
    desk = recipe.replace(tracks=tracks)
    placed, muted, plain = engine.as_heard(desk, clips, "tiny-ear")
    assert muted is None and placed is not None and plain is not None
    assert (placed.channels, placed.rate, plain.channels, plain.rate) == (1, 8000, 1, 8000)
    assert plain.seconds == 0.5
    expected = prepare_scene(desk, clips).alone[0]
    assert expected is not None and expected.clip.channels == 2
    assert placed.seconds == pytest.approx(expected.clip.seconds, abs=1e-3)
    heard = engine.hear_scene(desk, clips, "tiny-ear").tracks
    for clip, one in zip((placed, plain), (heard[0], heard[2]), strict=True):
        assert one is not None and engine.hear(clip, "tiny-ear").labels == one.labels


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": "a photo of a dog"}, "Your prompt has no A*, so the sound would not be used. Add A*"),
        ({"prompt": "(A*:9)"}, "from 0 to 3"),
        ({"prompt": "A* " + "dog " * 40}, "is too long: it has 42 tokens (2 of them for A*)"),
        ({"negative_prompt": "dog " * 40}, "The prompt 'dog dog"),
        ({"model": "nothing-here"}, "There is no model called 'nothing-here'"),
        ({"model": "/nowhere"}, "There is no model folder '/nowhere'"),
        ({"adapter": "nothing-here"}, "There is no adapter 'nothing-here'"),
        ({"tracks": (Track(gain=-60),)}, "almost nothing"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str, engine: Engine, recipe: Recipe) -> None:
    with pytest.raises(InputError) as caught:
        engine.run(recipe.replace(**changes), tone())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_without_sound_or_word(engine: Engine, recipe: Recipe) -> None:
    with pytest.raises(InputError, match="The recipe names no sound"):
        engine.run(recipe)


def test_a_word_for_another_model(engine: Engine, recipe: Recipe) -> None:
    word = "1x4:" + engine.run(recipe, tone()).recipe.word.partition(":")[2][:21] + "A=="  # type: ignore[union-attr]
    with pytest.raises(InputError):
        engine.run(recipe.replace(word=word))


def test_a_replay_elsewhere_says_why_it_may_differ(engine: Engine, recipe: Recipe, tmp_path: Path) -> None:
    made = engine.run(recipe, tone()).recipe
    other = build_tiny_stable_diffusion(tmp_path / "other", seed=1)
    versions = made.versions | {"torch": "1.0", "unknown": "2"}
    warnings = engine.run(made.replace(model=str(other), versions=versions)).warnings
    assert len(warnings) == 2
    assert "has changed since this recipe was made" in warnings[0]
    assert "made with torch 1.0" in warnings[1]


@pytest.mark.parametrize("how", ["closed", "dropped", "error"])
def test_a_request_that_ends_early_leaves_nothing(
    how: str, engine: Engine, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _pixels(engine.run(recipe, tone()))
    before = _state(engine, recipe)
    predict, calls = StableDiffusion.predict, []

    def failing(self: StableDiffusion, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        if how == "error" and len(calls) == 2:
            raise MemoryError("no room")
        return predict(self, *arguments)

    monkeypatch.setattr(StableDiffusion, "predict", failing)
    stream = engine.stream(recipe, tone())
    next(stream)
    assert _state(engine, recipe) == before
    if how == "closed":
        stream.close()  # type: ignore[attr-defined]
    elif how == "error":
        with pytest.raises(MemoryError):
            list(stream)
    assert _state(engine, recipe) == before
    assert _pixels(engine.run(recipe, tone())) == expected  # also while the dropped request still waits
    assert _state(engine, recipe) == before


def test_requests_that_take_turns(engine: Engine, recipe: Recipe) -> None:
    alone = [_pixels(engine.run(recipe.replace(seed=seed), tone())) for seed in (1, 2)]
    streams = [engine.stream(recipe.replace(seed=seed), tone()) for seed in (1, 2)]
    results: list[bytes] = []
    while len(results) < 2:
        for stream in streams:
            for item in stream:
                if isinstance(item, Result):
                    results.append(_pixels(item))
                break
    assert sorted(results) == sorted(alone)


def test_requests_from_several_threads(engine: Engine, recipe: Recipe) -> None:
    """Each item of a stream is taken by another thread, as web servers do, and three requests run at once."""
    alone = [_pixels(engine.run(recipe.replace(seed=seed), tone())) for seed in range(3)]
    together: dict[int, bytes] = {}

    def make(seed: int) -> None:
        stream = engine.stream(recipe.replace(seed=seed), tone())
        taken: list[Any] = [None]
        while not isinstance(taken[-1], Result):
            thread = threading.Thread(target=lambda: taken.append(next(stream)))
            thread.start()
            thread.join()
        together[seed] = _pixels(taken[-1])

    threads = [threading.Thread(target=make, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [together[seed] for seed in range(3)] == alone


def test_torch_is_left_as_it_was(engine: Engine, recipe: Recipe) -> None:
    def everything() -> list[Any]:
        return [
            torch.random.get_rng_state().tolist(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"),
            torch.get_num_threads(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled(),
            torch.is_inference_mode_enabled(),
        ]  # fmt: skip

    before = everything()
    stream = engine.stream(recipe, tone())
    next(stream)
    assert everything() == before
    list(stream)
    assert everything() == before


@pytest.mark.parametrize(("value", "said"), [(0, "empty picture"), (255, "empty picture")])
def test_a_flat_picture_is_a_failure(
    value: int, said: str, engine: Engine, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = np.full((1, 64, 64, 3), value, dtype=np.uint8)
    monkeypatch.setattr(StableDiffusion, "decode", lambda self, latents: flat)
    with pytest.raises(HearsightError, match=said):
        engine.run(recipe, tone())


def test_loading_first_makes_the_request_start_at_once(
    engine: Engine, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.load(recipe.model, recipe.adapter)

    def again(*_arguments: Any) -> Backbone:
        raise AssertionError("loaded twice")

    monkeypatch.setattr(StableDiffusion, "load", again)
    engine.run(recipe, tone())


def test_an_adapter_s_folder_says_what_it_is(engine: Engine, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"adapter": "tiny-word"}')
    assert _pixels(engine.run(recipe.replace(adapter=str(tmp_path)), tone())) == _pixels(engine.run(recipe, tone()))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match="holds no adapter"):
        Engine("cpu").run(recipe.replace(adapter=str(tmp_path)), tone())
