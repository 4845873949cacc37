"""What a hosted app gives to each request, and that nothing is limited where nobody asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import InputError
from studio.fields import settings
from studio.journey.settings import Journey
from studio.limits import OFFERED, RULES, Limits, described, limits
from studio.recipe import Edit, Recipe, Track
from studio.sound.decode import read_clip
from studio.sound.write import write_wav
from tests.models import tone


def test_nothing_is_limited_on_ones_own_machine_but_the_line() -> None:
    assert limits({}) == Limits(waiting=20)


def test_a_space_has_limits_that_can_be_changed_and_taken_away() -> None:
    space = limits({"SPACE_ID": "someone/hearsight"})
    assert (space.size, space.steps, space.count, space.seconds, space.sounds) == (512, 50, 2, 120, 4)
    assert (space.frames, space.journeys, space.waiting, space.days) == (48, 5, 20, 30)
    changed = limits({"SPACE_ID": "someone/hearsight", "HEARSIGHT_MAX_SIZE": "390", "HEARSIGHT_MAX_SECONDS": " None "})
    assert (changed.size, changed.seconds, changed.steps) == (384, None, 50)  # sizes are multiples of 8


@pytest.mark.parametrize("name", list(RULES))
@pytest.mark.parametrize("value", ["0", "-3", "many", "3.5", "9999999"])
def test_a_bad_value_is_named_with_its_rule(name: str, value: str) -> None:
    variable = RULES[name].variable
    with pytest.raises(InputError, match=f"{variable} must be a whole number from .* but it is '{value}'"):
        limits({variable: value})


def test_controls_end_at_the_limits() -> None:
    here = Limits(size=256, steps=20, count=2, frames=12)
    fields = here.within(settings(Recipe))
    assert [fields[name].maximum for name in ("width", "height", "num_inference_steps", "count")] == [256, 256, 20, 2]
    assert fields["guidance_scale"] == settings(Recipe)["guidance_scale"]
    frames = here.within(settings(Journey))["frames"]
    assert (frames.maximum, frames.default) == (12, 12)
    assert Limits().within(settings(Recipe)) == settings(Recipe)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (Recipe(width=264), "at most 256 px, but a side of 264 px was asked for: choose a smaller size"),
        (Recipe(height=512, width=64), "a side of 512 px"),
        (Recipe(num_inference_steps=21), "at most 20 steps, but 21"),
        (Recipe(count=3), "at most 2 pictures at once, but 3"),
        (Recipe(tracks=(Track(), Track())), "at most 1 sounds at once, but 2"),
    ],
)
def test_more_is_refused_in_one_sentence(recipe: Recipe, says: str) -> None:
    here = Limits(size=256, steps=20, count=2, sounds=1)
    with pytest.raises(InputError, match=says) as caught:
        here.check(recipe)
    assert str(caught.value).count(". ") == 0
    Limits().check(recipe)


def test_what_is_left_open_stays_below_the_limits() -> None:
    here = Limits(size=256, steps=10)
    filled = here.settle(Recipe(height=128), own_size=512, own_steps=20)
    assert (filled.width, filled.height, filled.num_inference_steps) == (256, 128, 10)
    same = Recipe()
    assert here.settle(same, own_size=256, own_steps=10) is same
    edit = here.settle(Recipe(edit=Edit(name="a.jpg")), own_size=512, own_steps=5)
    assert edit.width is None  # it follows the photo's form


def test_a_photo_is_worked_on_in_the_area_of_the_largest_picture(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    from PIL import Image

    from studio.backbones import load_backbone
    from studio.device import pick_device
    from studio.editing.session import open_photo

    photo = Image.effect_noise((400, 200), 40).convert("RGB")
    edit = Edit()
    opened = open_photo(Recipe(edit=edit), edit, photo)
    backbone = load_backbone(str(tiny_folder), pick_device("cpu"))
    assert opened.size(backbone) == (128, 64)
    monkeypatch.setenv("HEARSIGHT_MAX_SIZE", "72")
    width, height = opened.size(backbone)
    assert (width, height) == (104, 64)  # 102 x 51, on the model's grid and not below its least side


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_sounds_are_refused_by_their_length_wherever_they_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    clip = tone(2.5)
    path = tmp_path / name
    if name.endswith(".wav"):
        write_wav(clip, path)
    else:
        soundfile.write(path, clip.samples.T, clip.rate)
    assert read_clip(path).seconds == 2.5
    monkeypatch.setenv("HEARSIGHT_MAX_SECONDS", "2")
    with pytest.raises(InputError, match=r"a\.\w+\" is 2\.5 s long, but a sound may be at most 2 s"):
        read_clip(path)


def test_a_sound_of_unknown_length_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=16_000)
        frame = av.AudioFrame.from_ndarray(tone(3.0).samples, format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert read_clip(path).seconds > 2.9
    monkeypatch.setenv("HEARSIGHT_MAX_SECONDS", "2")
    with pytest.raises(InputError, match="longer than 2 s"):
        read_clip(path)


def test_doctor_has_a_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_MAX_STEPS", "30")
    lines = dict(described())
    assert set(lines) == {rule.variable for rule in RULES.values()} | {OFFERED}
    assert lines["HEARSIGHT_MAX_STEPS"] == "30 (denoising steps)"
    assert lines["HEARSIGHT_MAX_SIZE"].startswith("none (")
