"""Volume and words: what counts as a picture that reacts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from studio.data.attributes import ATTRIBUTES, levels, measure, strength
from studio.evaluation.bench import Job
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.control import WORDS, moves
from studio.evaluation.volume import chosen_jobs, pair_probability, rank_correlation

COLOURED = {
    "red": (200, 30, 30),
    "orange": (230, 130, 20),
    "brown": (110, 60, 20),
    "yellow": (220, 210, 30),
    "green": (20, 140, 30),
    "turquoise": (30, 190, 180),
    "blue": (30, 60, 200),
    "purple": (110, 30, 200),
    "pink": (230, 60, 190),
    "grey": (128, 128, 128),
}


def flat(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def test_rank_correlation() -> None:
    found = rank_correlation(np.array([[1, 2, 3, 4], [4, 3, 2, 1], [5, 5, 5, 5], [1, 3, 2, 4]], float))
    assert found == pytest.approx([1, -1, 0, 0.8])


def test_pair_probability_sums_over_the_accepted_classes() -> None:
    model = PictureClassifier(["sea", "fire", "candle"], [8, 8]).eval()
    picture = [flat((200, 100, 10))]
    everything = model.probabilities(picture)[0]
    assert pair_probability(model, picture, ["fire", "candle"]) == pytest.approx([1 - everything[0]], abs=1e-6)


def test_a_few_of_each_sound_are_chosen() -> None:
    jobs = [Job(name, row, row) for row, name in enumerate(["dog", "dog", "sea", "dog", "sea"])]
    assert [job.row for job in chosen_jobs(jobs, 1)] == [0, 2]
    assert [job.row for job in chosen_jobs(jobs, 2)] == [0, 1, 2, 4]


@pytest.mark.parametrize("word", COLOURED)
def test_colour_words_move_towards_their_colour(word: str) -> None:
    before = flat(COLOURED["green" if word != "green" else "red"])
    assert measure(np.asarray(flat(COLOURED[word]))).colour == word
    assert moves(before, flat(COLOURED[word]), word)
    assert not moves(flat(COLOURED[word]), before, word) and not moves(before, before, word)


@pytest.mark.parametrize(
    ("word", "colour"),
    [
        ("dark", (40, 40, 40)),
        ("at night", (20, 20, 30)),
        ("bright", (240, 240, 240)),
        ("at sunset", (230, 140, 60)),
        ("in daylight", (150, 190, 250)),
    ],
)
def test_light_words_move_towards_their_light(word: str, colour: tuple[int, int, int]) -> None:
    assert moves(flat((120, 120, 120)), flat(colour), word)
    assert not moves(flat(colour), flat((120, 120, 120)), word)


def test_every_word_is_measured_and_others_are_refused() -> None:
    photo = np.asarray(flat((90, 120, 60)))
    assert set(WORDS.values()) == set(ATTRIBUTES)
    assert all(-1 <= strength(photo, word) <= 1 for word in ATTRIBUTES)
    with pytest.raises(ValueError, match="loud"):
        strength(photo, "loud")


def test_levels_of_a_photo_in_two_colours() -> None:
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[:16] = COLOURED["blue"]
    photo[16:24] = COLOURED["red"]
    found = levels(photo)
    assert found.coloured == pytest.approx(0.75)
    assert found.colours == pytest.approx({"blue": 2 / 3, "red": 1 / 3}, abs=0.01)
    assert found.sky == pytest.approx(np.array(COLOURED["blue"]) / 255, abs=1e-4)
