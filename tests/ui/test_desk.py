"""The sound desk's controls: what they stand for, and what a restored picture puts on them. No page, no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from studio.engine import Engine
from studio.errors import HearsightError
from studio.recipe import MAX_TRACKS, Recipe, Track
from studio.result import Heard
from studio.sound.decode import read_clip
from studio.sound.write import write_wav
from studio.ui import status, words
from studio.ui.create import read
from studio.ui.desk_panel import DeskPanel
from studio.ui.listen_panel import Arranged
from studio.ui.service import Service
from studio.ui.sound_panel import SoundPanel, build_sound_panel
from studio.ui.sounds import Look, look, starters
from studio.ui.tracks import LETTERS, Missing, named, shares
from tests.models import tone
from tests.ui.test_parts import FACTS, VALUES, WORD

BELLS = replace(FACTS, path="/somewhere/bells.ogg", name="bells.ogg", sha256="b" * 64, window=(0.0, 10.0))
FIRE = replace(BELLS, path="/somewhere/fire.ogg", name="fire.ogg", sha256="c" * 64)
TWO = Recipe(
    tracks=(*WORD.tracks, Track(name="bells.ogg", sha256="b" * 64, start=0.0, duration=10.0, gain=-6.0, pan=0.5)),
    join="morph",
    weights=(2, 1),
    seed=9,
)


def placed(letter: str, facts: Look | Missing | None, **changes: Any) -> dict[str, Any]:
    """The values of a further track with a sound in it."""
    values = {"sound": facts.path if isinstance(facts, Look) else None, "facts": facts, "start": 0.0, **changes}
    return {named(name, letter): value for name, value in values.items()}


def recipe_of(**changes: Any) -> Recipe:
    return read(VALUES | changes, "pocket", "word")


SHOWN = {**placed("B", BELLS, gain=-6.0, pan=0.5), "join": "morph", "balance": 100 / 3}  # what TWO looks like


def test_tracks_are_read_in_the_order_of_their_letters() -> None:
    recipe = recipe_of(**placed("D", FIRE, room="church", solo=True), **placed("B", BELLS, gain=-6.0, mute=True))
    assert [track.name for track in recipe.tracks] == ["rain.ogg", "bells.ogg", "fire.ogg"]
    assert [track.gain for track in recipe.tracks] == [0.0, -6.0, 0.0]
    assert [track.room for track in recipe.tracks] == ["dry", "dry", "church"]
    assert recipe.audible == (False, False, True)
    assert (recipe.join, recipe.weights) == ("mix", None)


def test_the_first_sound_may_be_left_out() -> None:
    recipe = recipe_of(sound=None, facts=None, **placed("C", BELLS))
    assert [track.name for track in recipe.tracks] == ["bells.ogg"]


def test_one_sound_is_written_as_it_always_was() -> None:
    plain = recipe_of()
    assert recipe_of(join="morph", balance=10, weight_c=3).to_json() == plain.to_json()


@pytest.mark.parametrize(("balance", "weights"), [(0, (1.0, 0.0)), (30, (0.7, 0.3)), (100, (0.0, 1.0))])
def test_two_sounds_share_one_slider(balance: float, weights: tuple[float, float]) -> None:
    assert recipe_of(**placed("B", BELLS), join="morph", balance=balance).weights == weights


def test_more_sounds_have_a_weight_each() -> None:
    morph = {**placed("B", BELLS, weight=20), **placed("C", FIRE, weight=0), "join": "morph", "weight": 80}
    assert recipe_of(**morph).weights == (0.8, 0.2, 0.0)
    assert recipe_of(**{**morph, "join": "sequence"}).weights is None
    with pytest.raises(HearsightError, match="above 0"):
        recipe_of(**{**morph, "weight": 0, "weight_b": 0})


@pytest.mark.parametrize(
    ("changes", "carries"),
    [
        ({}, True),
        ({"seed": "77", "prompt": "a house by A*"}, True),
        ({"balance": 40}, False),
        ({"join": "mix"}, False),
        ({"pan_b": 0.4}, False),
        ({"gain_b": -5.5}, False),
        ({"mute_b": True}, False),
        ({"solo": True}, False),
        ({"room": "church"}, False),
        ({"start_b": 1.0}, False),
        ({"sound_b": FIRE.path, "facts_b": FIRE}, False),
        ({"sound_b": FIRE.path}, False),  # not looked at yet
        ({"sound_b": None, "facts_b": None}, False),
        (placed("C", FIRE), False),
    ],
)
def test_any_change_of_a_track_or_the_join_drops_the_word(changes: dict[str, Any], carries: bool) -> None:
    carried = TWO.replace(versions={"hearsight": "as it was"})
    recipe = recipe_of(**{**SHOWN, "carried": carried, **changes})
    assert (recipe.versions == carried.versions) is carries
    assert recipe.prompt == changes.get("prompt", "a photo of A*")


def test_weights_of_a_mix_are_not_looked_at() -> None:
    mixed = TWO.replace(join="mix", weights=None, versions={"hearsight": "as it was"})
    assert recipe_of(**{**SHOWN, "carried": mixed, "join": "mix", "balance": 3}).versions


def test_a_sound_that_is_gone_is_carried_or_named() -> None:
    gone = {**SHOWN, **placed("B", Missing(TWO.tracks[1]), gain=-6.0, pan=0.5), "carried": TWO}
    assert recipe_of(**gone) == TWO.replace(**{name: getattr(recipe_of(**gone), name) for name in _FINE})
    with pytest.raises(HearsightError, match=r"B, bells\.ogg, is not here"):
        recipe_of(**{**gone, "balance": 50})
    assert recipe_of(**{**gone, "mute_b": True}).audible == (True, False)


_FINE = (
    "prompt",
    "negative_prompt",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "sound_strength",
    "width",
    "height",
)


def test_shares_are_percent() -> None:
    assert shares((2, 6), 2) == (25, 75)
    assert shares(None, 4) == (25, 25, 25, 25)
    assert shares((0, 0), 2) == (0, 0)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> SoundPanel:
    with gr.Blocks():
        return build_sound_panel(Service(home=tmp_path_factory.mktemp("home")))


def value(update: Any) -> Any:
    """What an update puts into a control."""
    if isinstance(update, gr.components.Component):
        return update.value
    return update.get("value") if isinstance(update, dict) else update


def restored(panel: SoundPanel, recipe: Recipe, *facts: object) -> dict[str, Any]:
    """The values of the page after a picture was brought back."""
    updates = panel.restore(recipe, facts)
    missing = set(updates) - set(panel.changing)
    assert not missing, "the page would refuse the update"
    return {name: value(updates[control]) for name, control in panel.inputs.items() if control in updates}


def test_eight_tracks_come_back(panel: SoundPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    starter = starters()[0]
    known = look(str(starter.path))
    track = Track(name="rain.ogg", sha256=starter.sha256, start=0.0, duration=known.seconds)
    tracks = [track.replace(gain=-step, pan=step / 10, room="church", solo=step > 2) for step in range(MAX_TRACKS)]
    tracks[1] = tracks[1].replace(sha256="d" * 64, name="gone.wav")
    weights = tuple(float(step) for step in range(MAX_TRACKS))
    recipe = Recipe(tracks=tuple(tracks), join="morph", weights=weights, seed=1)
    values = restored(panel, recipe, known)
    assert isinstance(values["facts_b"], Missing)
    assert read(VALUES | values, "pocket", "word").tracks == recipe.tracks  # the word is still the picture's own
    changed = read({**VALUES, **values, "gain_h": 3.0}, "pocket", "word")
    assert changed.tracks[7].gain == 3.0 and changed.tracks[7].path
    assert changed.weights == pytest.approx([weight / 28 for weight in weights], abs=1e-4)


def test_a_kept_sound_comes_back_with_its_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    (tmp_path / "upload").mkdir()
    take = tmp_path / "upload" / "audio.wav"  # as the browser calls what it records
    write_wav(tone(2.0), take)
    seen = look(str(take))
    assert seen.name.startswith("take-2")
    with gr.Blocks():
        own, shared = (build_sound_panel(Service(home=tmp_path, hosted=hosted)) for hosted in (False, True))
    track = Track(path=str(take), name=seen.name, sha256=seen.sha256, start=0.5, duration=1.0, gain=-6.0)
    sounds = own.first.service.sounds
    assert sounds is not None
    sounds.keep(Recipe(tracks=(track,)))
    take.unlink()
    carried = Recipe(tracks=(track.replace(path=None),), seed=1)
    values = VALUES | restored(own, carried)
    assert values["facts"].name == seen.name and Path(values["sound"]).read_bytes()
    louder = read({**values, "gain": 3.0}, "pocket", "word").tracks[0]  # a change can be heard
    assert (louder.gain, louder.start, louder.duration, louder.sha256) == (3.0, 0.5, 1.0, seen.sha256)
    assert isinstance(restored(shared, carried)["facts"], Missing)
    next(iter(sounds.held())).write_bytes(b"damaged")
    assert isinstance(restored(own, carried)["facts"], Missing)


def test_a_single_sound_empties_the_desk(panel: SoundPanel) -> None:
    values = restored(panel, WORD, FACTS)
    assert all(values[named("sound", letter)] is None for letter in LETTERS[1:])
    assert values["facts"] is FACTS and values["join"] == "mix"
    assert read(VALUES | values, "pocket", "word").tracks == WORD.tracks


def test_tracks_open_one_after_the_other(panel: SoundPanel) -> None:
    desk = panel.desk
    assert desk.added("B")[desk.opened] == "BC"
    assert desk.added("CD")[desk.opened] == "BCD"
    everything = desk.added("BCDEFG")
    assert everything[desk.opened] == "BCDEFGH"
    assert everything[desk.add].visible is False
    assert desk.removed("BC", "B")[desk.opened] == "C"


def test_the_desk_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def desk_for(most: str) -> DeskPanel:
        monkeypatch.setenv("HEARSIGHT_MAX_SOUNDS", most)
        with gr.Blocks():
            return build_sound_panel(Service()).desk

    four = desk_for("4")
    assert four.added("B")[four.add].visible is True
    assert four.added("BC")[four.add].visible is False  # with A they are four
    assert four.removed("BCD", "C")[four.add].visible is True
    # A picture made elsewhere shows all its sounds, so that one can be taken away; making it is refused in a sentence.
    more = four.restore(Recipe(tracks=TWO.tracks * 3))
    assert more[four.opened] == "BCDEF" and more[four.add].visible is False
    two, one = desk_for("2"), desk_for("1")
    assert (two.fold.visible, two.add.visible) == (True, False)
    assert one.fold.visible is False
    assert one.restore(TWO)[one.fold].visible is True


def test_a_removed_track_is_not_heard_whatever_the_browser_still_holds() -> None:
    recipe = recipe_of(**placed("B", BELLS), **placed("C", FIRE), opened="C")
    assert [track.name for track in recipe.tracks] == ["rain.ogg", "fire.ogg"]


def sliders(desk: DeskPanel, updates: dict[Any, Any]) -> str:
    """The visible sliders of a morph: '-' the one between two sounds, else letters."""
    weights = "".join(LETTERS[i] for i, one in enumerate(desk.weights) if updates[one].visible)
    return "-" if updates[desk.balance].visible else weights


def test_a_morph_shows_the_sliders_it_needs(panel: SoundPanel) -> None:
    desk, empty = panel.desk, [None] * (MAX_TRACKS - 3)
    assert sliders(desk, desk.rejoined("mix", LETTERS[1:], FACTS, BELLS, FIRE, *empty)) == ""
    assert sliders(desk, desk.rejoined("morph", LETTERS[1:], FACTS, None, None, *empty)) == ""
    two = desk.rejoined("morph", LETTERS[1:], FACTS, None, FIRE, *empty)
    assert sliders(desk, two) == "-" and two[desk.balance].label == "From A (0) to C (100)"
    assert sliders(desk, desk.rejoined("morph", LETTERS[1:], FACTS, BELLS, FIRE, *empty)) == "ABC"
    assert sliders(desk, desk.rejoined("morph", "C", FACTS, BELLS, FIRE, *empty)) == "-"


def test_matched_gains_stand_on_the_sliders_steps(panel: SoundPanel) -> None:
    desk, rain, dog = panel.desk, starters()[0], starters()[6]
    values = VALUES | {"sound": str(rain.path), "facts": look(str(rain.path)), "start": 0.0, "gain": -30.0}
    values |= placed("B", look(str(dog.path)))
    first = desk.matched(**values)
    gains = [first[track.gain] for track in desk.tracks[:2]]
    assert all(gain % 0.5 == 0 for gain in gains) and abs(gains[0]) < 3
    again = desk.matched(**{**values, "gain": gains[0], "gain_b": gains[1]})
    assert [again[track.gain] for track in desk.tracks[:2]] == gains
    alone = desk.matched(**VALUES)
    assert "second sound" in alone[desk.ears.line] and len(alone) == 1


def test_a_scene_in_view_goes_when_it_is_no_longer_true(panel: SoundPanel) -> None:
    desk, values = panel.desk, VALUES | placed("B", BELLS)
    shown = Arranged(Recipe(tracks=recipe_of(**placed("B", BELLS)).tracks), ("A", "B"), (0.5, 0.5))
    assert desk.ears.scene not in desk.outdated(**values, arranged=shown)
    assert desk.ears.scene not in desk.outdated(**values, arranged=None)
    assert desk.outdated(**{**values, "pan_b": 1.0}, arranged=shown)[desk.ears.scene].visible is False


@pytest.fixture
def heard_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Rain and, muted, fire, and at the right a dog; and a cache of Gradio's to write to."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    rain, fire, dog = (look(str(starters()[number].path)) for number in (0, 4, 5))
    values = VALUES | {"sound": rain.path, "facts": rain, "start": 1.0, "duration": 2.0, "opened": "BC"}
    return values | placed("B", fire, mute=True) | placed("C", dog, pan=0.8, gain=-6.0, duration=5.0)


def test_the_scene_and_each_sound_as_the_ear_gets_it(heard_values: dict[str, Any]) -> None:
    """What is played is what is heard: to the ear, a saved track is that track."""
    with gr.Blocks():
        desk = build_sound_panel(Service()).desk
    service, ears = desk.service, desk.ears
    service.load()
    _, joined, said = desk.listened(**heard_values)
    arranged = joined[ears.arranged]
    assert isinstance(arranged, Arranged) and arranged.letters == ("A", "B", "C")
    assert [value for _, value in joined[ears.which].choices] == ["scene", "A", "C"]  # a muted one is not heard
    assert read_clip(joined[ears.sound].value["path"]).channels == 2
    assert "Shares of the picture: A " in said[ears.heard] and "rain" in said[ears.heard]
    assert "dog" in said[desk.tracks[2].heard] and desk.tracks[1].heard not in said
    recipe = arranged.recipe
    expected = Engine().as_heard(recipe)
    for letter, place in (("A", 0), ("C", 2)):
        plays, hears = ears.picked(letter, arranged)
        clip, wanted = read_clip(plays[ears.sound].value["path"]), expected[place]
        assert wanted is not None and np.array_equal(clip.samples, wanted.samples)  # not one of them is rounded
        assert (clip.channels, clip.rate) == (1, 16_000) and "mono, 16 kHz" in plays[ears.sound].label
        heard = service.engine(0.0).hear(clip)  # type: ignore[union-attr]
        assert status.percent(heard.labels[0][1]) in hears[ears.heard]
    assert list(ears.picked("C", None)) == [{ears.line: gr.skip()}]
    back = list(ears.picked("scene", arranged))
    assert ears.sound in back[0] and "Shares" in back[-1][ears.heard]


def test_an_older_question_is_not_answered_over_a_newer_one(
    panel: SoundPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A starter is chosen while the model loads: both wait for the ear, and the older one may be the last to hear."""
    track, request = panel.first, gr.Request(session_hash="page")
    rain, fire = (look(str(starters()[number].path)) for number in (0, 4))
    ready: list[bool] = []
    heard = {one.path: Heard([(one.name, 1.0)], 5.0, -20.0, (0.0, 5.0)) for one in (rain, fire)}
    monkeypatch.setattr(track.service, "hear", lambda one: heard[one.path] if ready else None)
    monkeypatch.setattr(track.service, "character", lambda _track: "")
    part = (0.0, 5.0, 0.0, 0.0, "dry", False, False)
    values = VALUES | dict(
        zip(("facts", "start", "duration", "gain", "pan", "room", "mute", "solo"), (rain, *part), strict=True)
    )
    older = panel.desk.listened_alone(request, **values)
    assert words.HEARS_LATER in next(older)[track.heard]
    newer = track.listened(request, fire, *part)
    assert words.HEARS_LATER in next(newer)
    ready.append(True)
    assert "fire.ogg" in next(newer)
    assert all("rain.ogg" not in str(update) for update in older)
    assert "rain.ogg" in next(track.listened(gr.Request(session_hash="another"), rain, *part))


def test_what_was_heard_is_not_said_again_over_another_sound(
    panel: SoundPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio sends the last yield once more when a generator ends: after slow work that must not be an old answer."""
    track, request = panel.first, gr.Request(session_hash="page")
    rain, fire = (look(str(starters()[number].path)) for number in (0, 4))
    monkeypatch.setattr(track.service, "hear", lambda one: Heard([(one.name, 1.0)], 5.0, -20.0, (0.0, 5.0)))
    part = (0.0, 5.0, 0.0, 0.0, "dry", False, False)

    def slow(_track: Track) -> str:
        track.asked(request)  # meanwhile another sound is chosen
        return ""  # rain has neither pitch nor tempo

    monkeypatch.setattr(track.service, "character", slow)
    said = list(track.listened(request, rain, *part))
    assert "rain.ogg" in said[0] and said[-1] == gr.skip()
    monkeypatch.setattr(track.service, "character", lambda _track: "")
    assert "fire.ogg" in list(track.listened(request, fire, *part))[-1]


def test_a_scene_that_cannot_be_heard_is_a_sentence(heard_values: dict[str, Any], panel: SoundPanel) -> None:
    ears = panel.desk.ears
    *_, last = panel.desk.listened(**{**heard_values, "mute": True, "mute_c": True})
    assert last[ears.scene].visible is False and "all are muted" in last[ears.line]


def test_a_grip_on_the_waveform_sets_the_part(panel: SoundPanel) -> None:
    track, rain = panel.desk.tracks[1], look(str(starters()[0].path))

    def let_go(**part: Any) -> dict[Any, Any]:
        return track.trimmed(rain, gr.EventData(None, part))

    moved = let_go(start=1.234567, duration=2.0)
    assert (moved[track.start].value, moved[track.duration].value) == (1.23, 2.0)
    assert "heard: 0:01.2 to 0:03.2" in moved[track.line]
    beyond = let_go(start=-3, duration=1e9)
    assert (beyond[track.start].value, beyond[track.duration].value) == (0.0, pytest.approx(rain.seconds, abs=0.01))
    for nonsense in ({}, {"start": "x", "duration": 1}, {"start": float("nan"), "duration": 1}):
        assert list(let_go(**nonsense)) == [track.line]
    assert list(track.trimmed(None, gr.EventData(None, {"start": 0, "duration": 1}))) == [track.line]
