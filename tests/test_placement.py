"""Placement by pan, from tracks to picture: when it acts, what the recipe carries, and what it paints where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.diffusion.placement import Placement
from studio.engine import Engine
from studio.errors import InputError
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.placement import halves
from studio.library.png import read_recipe, save_png
from studio.paths import assets_folder
from studio.recipe import Recipe, Track
from studio.result import Result
from studio.scene import prepare_scene
from studio.word import pack_word, unpack_word
from tests.models import noise, tone

APART = (Track(pan=-0.8), Track(pan=0.8))


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), adapter="tiny-word", seed=3, num_inference_steps=2, tracks=APART)


def pixels(result: Result) -> bytes:
    return result.images[0].tobytes()


@pytest.fixture
def placements(monkeypatch: pytest.MonkeyPatch) -> list[Placement]:
    """Every placement that a picture was drawn with, once for each step."""
    used: list[Placement] = []
    plain = Placement.patch

    @contextmanager
    def counted(self: Placement, moment: Any) -> Iterator[None]:
        used.append(self)
        with plain(self, moment):
            yield

    monkeypatch.setattr(Placement, "patch", counted)
    return used


@pytest.mark.parametrize(
    ("tracks", "join", "placed"),
    [
        ([{}, {}], "mix", True),
        ([{}, {}], "sequence", True),
        ([{}, {}], "morph", True),
        ([{"pan": -0.8}, {"pan": 0.8}], "mix", True),
        ([{"pan": -0.8}, {"pan": 0.8}], "sequence", True),
        ([{"pan": -0.8}, {"pan": 0.8}], "morph", True),
        ([{"pan": -0.8}, {"pan": 0.8, "mute": True}], "morph", False),
        ([{"pan": 0.05}, {}], "mix", True),
        ([{"pan": -0.8, "mute": True}, {}], "mix", False),
        ([{"pan": -0.8}, {"solo": True}], "mix", False),
        ([{"pan": -0.8, "solo": True}, {}], "mix", True),
    ],
)
def test_when_sounds_are_placed(
    tracks: list[dict[str, Any]], join: Any, placed: bool, engine: Engine, recipe: Recipe, placements: list[Placement]
) -> None:
    result = engine.run(recipe.replace(tracks=tuple(Track(**one) for one in tracks), join=join), [tone(), noise()])
    assert (result.recipe.shares is not None) == placed
    assert ("shares" in result.recipe.to_json()) == placed
    assert len(placements) == (2 if placed else 0)
    assert len(set(map(id, placements))) <= 1


def test_each_sound_has_the_word_that_it_has_alone(engine: Engine, recipe: Recipe) -> None:
    made = engine.run(recipe, [tone(), noise()]).recipe
    alone = [
        unpack_word(str(engine.run(recipe.replace(tracks=(track.replace(solo=True), other.replace(pan=0.0))),
                                   clips).recipe.word))
        for track, other, clips in zip(APART, reversed(APART), ([tone(), noise()], [noise(), tone()]), strict=True)
    ]  # fmt: skip
    assert unpack_word(str(made.word)).tobytes() == np.concatenate(alone).tobytes()


@pytest.mark.parametrize("join", ["mix", "sequence"])
def test_a_placed_picture_is_remade_without_its_sounds(
    join: Any, engine: Engine, recipe: Recipe, tmp_path: Path
) -> None:
    tracks = (Track(pan=-0.7, gain=-8, room="church"), Track(mute=True), Track(pan=0.4), Track(pan=0.0, gain=-3))
    clips = [tone(), tone(440), noise(), noise(1.5)]
    made = engine.run(recipe.replace(tracks=tracks, join=join, sound_strength=1.3), clips)
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    assert carried.shares is not None and sum(carried.shares) == pytest.approx(1, abs=1e-3)
    assert carried.shares[1] == 0 and min(carried.shares[0], *carried.shares[2:]) > 0
    assert pixels(engine.run(carried.replace(model=recipe.model))) == pixels(made)


def test_a_picture_from_before_placement_is_remade_as_it_was(engine: Engine, recipe: Recipe) -> None:
    """Its recipe has pans and one word, and no shares: the word acts everywhere."""
    word = pack_word(np.full((2, 32), 0.1, np.float32))
    old = recipe.replace(word=word)
    middle = recipe.replace(word=word, tracks=(Track(), Track()))
    assert pixels(engine.run(old)) == pixels(engine.run(middle))
    assert engine.run(old).recipe.shares is None


def test_a_morph_has_no_places(engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise()]
    still, apart = (recipe.replace(tracks=tracks, join="morph") for tracks in ((Track(), Track()), APART))
    made = engine.run(apart, clips).recipe
    assert made.shares == (0.5, 0.5)
    word = engine.run(still, clips).recipe.word
    assert pixels(engine.run(still.replace(word=word, shares=made.shares))) == pixels(
        engine.run(apart.replace(word=word, shares=made.shares))
    )


@pytest.mark.parametrize(
    ("tracks", "join", "parted"),
    [
        ([{}, {}], "mix", True),
        ([{}, {}], "sequence", True),
        ([{"pan": 0.0}, {"pan": 0.0, "gain": -6.0}, {"mute": True}], "mix", True),
        ([{}, {}], "morph", None),
        ([{}, {}], "side-by-side", None),
        ([{"pan": -0.8}, {"pan": 0.8}], "mix", None),
        ([{"pan": 0.5}, {"pan": 0.5}], "mix", None),
        ([{}], "mix", None),
    ],
)
def test_when_sounds_part_the_picture(
    tracks: list[dict[str, Any]], join: Any, parted: bool | None, engine: Engine, recipe: Recipe, tmp_path: Path
) -> None:
    clips = [tone(), noise(), tone(440)][: len(tracks)]
    made = engine.run(recipe.replace(tracks=tuple(Track(**one) for one in tracks), join=join), clips)
    assert made.recipe.parted is parted
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    assert pixels(engine.run(carried.replace(model=recipe.model))) == pixels(made)


def test_a_mix_from_before_parting_is_remade_as_it_was(engine: Engine, recipe: Recipe) -> None:
    """Its recipe does not say that its sounds part the picture: each word acts everywhere, as in a morph."""
    clips = [tone(), noise()]
    mixed = engine.run(recipe.replace(tracks=(Track(), Track())), clips)
    old = mixed.recipe.replace(parted=None)
    again = engine.run(old)
    assert again.recipe.parted is None
    assert pixels(again) == pixels(engine.run(old.replace(join="morph"))) != pixels(mixed)
    assert engine.run(old.unheard(), clips).recipe.parted is True  # heard anew it is drawn as new ones are


def test_pictures_of_a_parted_mix_are_the_same_alone_and_among_others(engine: Engine, recipe: Recipe) -> None:
    mixed = recipe.replace(tracks=(Track(), Track()))
    several = engine.run(mixed.replace(count=2), [tone(), noise()])
    alone = engine.run(mixed.replace(seed=several.seeds[1]), [tone(), noise()])
    assert several.images[1].tobytes() == alone.images[0].tobytes()


def test_places_matter(engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise()]
    made = engine.run(recipe, clips)
    assert pixels(engine.run(recipe, clips)) == pixels(made)
    both_turned = engine.run(recipe.replace(tracks=(APART[1], APART[0])), [noise(), tone()])
    assert both_turned.heard == made.heard  # the mix knows no order
    others = [recipe.replace(tracks=tracks) for tracks in ((APART[1], APART[0]), (Track(pan=-0.1), APART[1]))]
    assert len({pixels(made), *(pixels(engine.run(other, clips)) for other in others)}) == 3
    alone = recipe.replace(tracks=(Track(pan=0.6),))
    assert pixels(engine.run(alone, tone())) != pixels(engine.run(recipe.replace(tracks=(Track(),)), tone()))


def test_side_by_side_is_a_mix_with_places(engine: Engine, recipe: Recipe) -> None:
    clips = [tone(), noise(), tone(440)]
    tracks = (Track(), Track(mute=True), Track())
    made = engine.run(recipe.replace(tracks=tracks, join="side-by-side"), clips)
    assert [track.pan for track in made.recipe.tracks] == [-1, 0, 1]
    panned = recipe.replace(tracks=(Track(pan=-1), tracks[1], Track(pan=1)))
    assert pixels(engine.run(panned, clips)) == pixels(made)
    assert pixels(engine.run(panned.replace(join="side-by-side"), clips)) == pixels(made)
    assert pixels(engine.run(made.recipe)) == pixels(made)
    alone = recipe.replace(tracks=(Track(), Track(mute=True)), join="side-by-side")
    assert engine.run(alone, clips[:2]).recipe.shares is None
    five = prepare_scene(Recipe(tracks=(Track(),) * 5, join="side-by-side"), [noise()] * 5)
    assert [track.pan for track in five.tracks] == [-1, -0.5, 0, 0.5, 1]
    assert five.shares == (0.2,) * 5


def test_louder_is_larger() -> None:
    def shares(*gains: float) -> tuple[float, ...]:
        tracks = tuple(track.replace(gain=gain) for track, gain in zip(APART, gains, strict=True))
        return prepare_scene(Recipe(tracks=tracks), [noise(), noise()]).shares or ()

    assert shares(0, 0) == (0.5, 0.5)
    assert shares(0, -10) == pytest.approx((2 / 3, 1 / 3), abs=0.01)
    assert shares(-20, 0) == pytest.approx((0.2, 0.8), abs=0.01)
    one_in_the_middle = prepare_scene(Recipe(tracks=(Track(), Track(pan=1.0))), [noise(), noise()]).shares
    assert one_in_the_middle == pytest.approx((0.5, 0.5), abs=0.001), "mono or on one side, as loud as it is heard"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (0.5,)}, "one share for each of the 2 tracks"),
        ({"shares": (0.0, 0.0)}, "at least one share must be above 0"),
        ({"shares": (0.5, 1.5)}, "less than or equal to 1"),
        ({"shares": (0.5, 0.5), "tracks": ()}, "one share for each of the 0 tracks"),
    ],
)
def test_shares_that_fit_no_tracks_are_refused(changes: dict[str, Any], message: str, recipe: Recipe) -> None:
    with pytest.raises(InputError, match=message):
        recipe.replace(**changes)


def test_a_word_that_is_not_one_for_each_sound_is_refused(engine: Engine, recipe: Recipe) -> None:
    word = pack_word(np.zeros((3, 32), np.float32))
    with pytest.raises(InputError, match="3 vectors cannot be the words of its 2 placed sounds"):
        engine.run(recipe.replace(word=word, shares=(0.5, 0.5)))


def test_the_pocket_model_paints_each_sound_on_its_side() -> None:
    """Fire and waves, once each way round: what the classifier sees moves with the pans."""
    engine, classifier = Engine("cpu"), PictureClassifier.load()
    things = [classifier.classes.index(name) for name in ("fire", "sea")]
    sides = []
    for pans in ((-0.8, 0.8), (0.8, -0.8)):
        tracks = tuple(
            Track.of(assets_folder() / "sounds" / f"{name}.ogg", pan=pan)
            for name, pan in zip(("fire", "sea_waves"), pans, strict=True)
        )
        recipe = Recipe(tracks=tracks, seed=1, num_inference_steps=10, preview_every=0)
        sides.append(classifier.probabilities(halves(engine.run(recipe).images[0]))[:, things])
    (left, right), (turned_left, turned_right) = sides
    assert left[0] > left[1] and right[1] > right[0]
    assert turned_left[1] > turned_left[0] and turned_right[0] > turned_right[1]
