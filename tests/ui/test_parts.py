"""The parts of the app that need no page: the line, the album, the words for errors, what the controls stand for."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.errors import HearsightError, InputError
from studio.library.entries import Entry
from studio.recipe import MAX_SEED, Recipe, Track
from studio.result import Heard
from studio.ui import jobs, status
from studio.ui.album import Album, new_visitor
from studio.ui.create import read
from studio.ui.details_panel import alternative, facts
from studio.ui.fine_panel import FinePanel
from studio.ui.gallery_tab import caption
from studio.ui.line import Line
from studio.ui.service import Service
from studio.ui.sounds import Look, Unusable
from studio.ui.tracks import LETTERS, Missing, named
from studio.ui.words_panel import has_word, template_of

FACTS = Look(
    path="/somewhere/rain.ogg",
    name="rain.ogg",
    sha256="a" * 64,
    seconds=20.0,
    channels=1,
    window=(3.0, 13.0),
    peak=-6.0,
    lufs=-23.0,
    strip="data:",
    portrait=Image.new("RGB", (4, 4)),
)
# Every track is empty but the first.
EMPTY: dict[str, Any] = {
    "sound": None,
    "facts": None,
    "start": 0.0,
    "duration": 10.0,
    "gain": 0.0,
    "pan": 0.0,
    "weight": 50,
}
EMPTY |= {"room": "dry", "mute": False, "solo": False}
VALUES: dict[str, Any] = {
    **{named(name, letter): value for letter in LETTERS for name, value in EMPTY.items()},
    "join": "mix",
    "opened": LETTERS[1:],
    "balance": 50,
    "sound": FACTS.path,
    "facts": FACTS,
    "carried": None,
    "start": 3.0,
    "prompt": "a photo of A*",
    "negative_prompt": "",
    "seed": "5",
    "keep_seed": True,
    "count": 1,
    "num_inference_steps": 20,
    "guidance_scale": 4.0,
    "sound_strength": 1.0,
    "width": 256,
    "height": 256,
    "preview_every": 2,
    "image_model": "pocket",
    "adapter": "word",
    "ear": "pocket",
    "top_k": 3,
    "temperature": 0.5,
    "concepts": "",
    "spoken": "",
}
WORD = Recipe(
    tracks=(Track(name="rain.ogg", sha256="a" * 64, start=3.0, duration=10.0),), prompt="a painting of A*", seed=9
)
MISSING = Missing(WORD.tracks[0])


def recipe_of(**changes: Any) -> Recipe:
    return read(VALUES | changes, "pocket", "word")


def test_an_unmoved_part_is_left_to_the_engine() -> None:
    (track,) = recipe_of().tracks
    assert (track.start, track.duration, track.name) == (None, None, "rain.ogg")


def test_a_moved_part_is_kept_inside_the_sound() -> None:
    (track,) = recipe_of(start=15.0, duration=10.0).tracks
    assert (track.start, track.duration) == (15.0, 5.0)


def test_the_strength_of_the_sound_is_its_own() -> None:
    assert recipe_of().sound_strength == 1
    assert recipe_of(sound_strength=0.4).sound_strength == 0.4


def test_a_seed_counts_only_when_it_is_kept() -> None:
    assert recipe_of().seed == 5
    assert recipe_of(keep_seed=False).seed is None
    assert recipe_of(seed=" ").seed is None


def test_a_sound_that_was_not_looked_at_yet_is_used() -> None:
    (track,) = recipe_of(sound="/somewhere/new.wav").tracks
    assert (track.name, track.start) == ("new.wav", None)


@pytest.mark.parametrize(
    ("changes", "carries"),
    [
        ({"sound": None, "facts": MISSING}, True),
        ({}, True),
        ({"prompt": "a house by A*", "num_inference_steps": 3}, True),
        ({"start": 4.0}, False),
        ({"gain": 6.0}, False),
        ({"facts": None}, False),
    ],
)
def test_a_restored_picture_keeps_its_own_word(changes: dict[str, Any], carries: bool) -> None:
    recipe = recipe_of(carried=WORD, **changes)
    assert (recipe.tracks[0].path is None) is carries
    assert recipe.prompt == changes.get("prompt", "a photo of A*")


@pytest.mark.parametrize(
    "changes",
    [{"sound": None}, {"seed": "-1"}, {"seed": "x"}, {"seed": str(MAX_SEED + 1)}, {"width": 100}, {"prompt": "  "}],
)
def test_bad_controls_are_sentences(changes: dict[str, Any]) -> None:
    with pytest.raises(HearsightError):
        recipe_of(**changes)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, None),
        ({"sound": None}, "Add a sound first"),
        ({"sound": None, "carried": WORD, "facts": MISSING}, None),
        ({"sound": None, "carried": WORD}, "Add a sound first"),  # taken away after the picture was restored
        ({"sound": None, "carried": WORD, "facts": MISSING, "gain": 3.0}, "rain.ogg, is not here any more"),
        ({"sound": "/x.wav", "facts": Unusable("/x.wav", "This is no sound.")}, "This is no sound."),
        ({"sound": "/y.wav", "facts": Unusable("/x.wav", "This is no sound.")}, None),
    ],
)
def test_what_cannot_be_used_is_said(changes: dict[str, Any], wrong: str | None) -> None:
    with pytest.raises(HearsightError, match=wrong) if wrong else nullcontext():
        recipe_of(**changes)


@pytest.mark.parametrize(
    ("prompt", "has"), [("a photo of A*", True), ("(a*:1.3) hills", True), ("a photo", False), ("DNA* strand", False)]
)
def test_the_hint_sees_what_the_engine_sees(prompt: str, has: bool) -> None:
    from studio.diffusion.prompt import has_word as engine_has_word

    assert has_word(prompt) is has is engine_has_word(prompt)


def test_a_prompt_finds_its_template() -> None:
    assert template_of(" a photo  of A* ") == "photo"
    assert template_of("a photo of A* at night") == "free"


def test_line_is_first_come_first_served() -> None:
    line = Line()
    first, second, third = line.join(), line.join(), line.join()
    assert [ticket.ahead for ticket in (first, second, third)] == [0, 1, 2]
    assert first.wait(0)
    assert not second.wait(0)
    came = threading.Event()

    def stand() -> None:
        with third:
            third.wait(5)
            came.set()

    thread = threading.Thread(target=stand)
    thread.start()
    line.leave(second)  # gave up
    assert not came.is_set()
    line.leave(first)
    assert came.wait(5)
    thread.join(5)
    assert len(line) == 0
    line.leave(first)  # twice is harmless


def test_album_is_newest_first_and_closed(tmp_path: Path) -> None:
    album = Album.of(tmp_path, None)
    image = Image.new("RGB", (8, 8))
    paths = [album.save(image, Recipe(prompt="A*", seed=seed)) for seed in (30, 30, 4)]
    assert len(set(paths)) == 3
    assert album.newest(9) == paths[::-1]  # also within one second
    assert album.find(paths[0].name) == paths[0]
    (tmp_path / "secret.png").write_bytes(b"")
    assert album.find("secret.png") is None
    assert album.find("../secret.png") is None
    visitor = new_visitor()
    assert Album.of(tmp_path, visitor).folder == tmp_path / visitor
    assert Album.of(tmp_path, "../other").folder.parent == tmp_path
    assert Album.of(tmp_path, visitor).newest(9) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError('"/home/me/My sounds/rain.wav" is silent.'), '"rain.wav" is silent.'),
        (InputError("The file '/tmp/gradio/0a1b/x.wav' is damaged."), "The file 'x.wav' is damaged."),
        (InputError("Raise the volume with --gain."), "Raise the volume."),
        (RuntimeError("CUDA out of memory at /opt/x.py"), "Not enough memory for 256 x 256 px."),
        (ValueError("secret /opt/x.py"), "Something went wrong on our side."),
    ],
)
def test_errors_are_sentences_without_folders(error: Exception, says: str) -> None:
    recipe = Recipe(tracks=(Track.of("/home/me/My sounds/rain.wav"),), width=256, height=256)
    text = jobs.sentence(error, recipe)
    assert text.startswith(says)
    assert "/" not in text


def test_names_and_labels_are_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    pieces = [status.mistake(evil), status.note(evil), status.heard([(evil, 0.5)]), status.heard_note(evil)]
    pieces += [status.heard_shortly(Heard([(evil, 0.5)], 1.0, -20.0, (0.0, 1.0))), status.heard_note_shortly(evil)]
    pieces.append(status.about(Recipe(prompt=evil, seed=1, tracks=(Track(name=evil),)), evil))
    entry = Entry(evil, datetime(2026, 8, 31), evil, (evil,), ((evil, 0.5),), 1, evil, 64, 64)
    pieces.append(facts(entry, Recipe(prompt=evil, negative_prompt=evil)))
    assert all("<img" not in piece for piece in pieces)


def test_a_thumbnail_is_named_after_its_sounds() -> None:
    entry = Entry("a.png", datetime(2026, 8, 31), "a photo of A*", ("rain.ogg", ".wav"), (), None, "pocket", 64, 64)
    assert caption(entry) == "rain, .wav"
    assert caption(replace(entry, sounds=(), favourite=True)) == "\N{BLACK STAR} a photo of A*"
    assert alternative(entry) == "a photo of A*, made from rain.ogg, .wav"
    shown = facts(entry, Recipe())
    assert "rain.ogg" in shown and "64 x 64 px" in shown
    assert "None" not in shown


class FailingEngine:
    """Stands for a model that cannot be loaded."""

    def load(self, model: str, adapter: str) -> None:
        raise InputError("The model is not here. Get it.")


def test_a_model_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    service = Service(home=tmp_path, make_engine=FailingEngine)  # type: ignore[arg-type]
    with pytest.raises(HearsightError, match="not here"):
        list(jobs.make(service, "page", Album(tmp_path), Recipe(seed=1)))
    assert len(service.line) == 0
    assert service.stop("page") is False


def test_fine_panel_inputs_are_fields_of_the_recipe() -> None:
    own = {"keep_seed"}
    assert set(FinePanel.__dataclass_fields__) - own <= set(Recipe.model_fields)
