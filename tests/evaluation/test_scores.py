"""The measures themselves: means over classes, ratios, pairs; and that the report is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.data.photos import Photos
from studio.data.shards import Vocabulary
from studio.evaluation.bench import Made, photo_prompt, recognised, score_photos
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.scores import Score, class_mean, shares, spread
from studio.evaluation.sheets import captioned_sheet, save_grid
from studio.evaluation.sounds import score_sounds
from studio.evaluation.text import score_text

GREY = Image.new("RGB", (32, 32), "grey")
YARDSTICK = Score("real photos", 0.8, 10)


class FixedClassifier(PictureClassifier):
    """Sees the class whose number is the picture's red value."""

    def probabilities(self, pictures: object) -> np.ndarray:
        reds = [int(np.asarray(picture)[0, 0, 0]) for picture in pictures]  # type: ignore[attr-defined]
        return np.eye(len(self.classes))[reds]


def test_small_classes_count_as_much_as_large_ones() -> None:
    hits, names = [True] * 9 + [False], ["sea"] * 9 + ["fire"]
    assert class_mean(hits, names) == 0.5
    assert shares(hits, names) == {"sea": 1.0, "fire": 0.0}


def test_spread_takes_from_everywhere() -> None:
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread("abc", 5) == ["a", "b", "c"] and spread(range(10), 1) == [0]


def test_prompts_have_their_article() -> None:
    assert [photo_prompt(noun) for noun in ("airplane", "sea")] == ["a photo of an airplane", "a photo of a sea"]


def test_text_score_is_a_ratio_to_real_photos() -> None:
    made = [Made("sea", GREY), Made("sea", GREY), Made("fire", GREY)]
    scores, by_class = score_text(made, ["sea", "fire", "fire"], YARDSTICK)
    assert [score.value for score in scores] == pytest.approx([0.75, 0.75 / 0.8])
    assert by_class == {"sea": 0.5, "fire": 1.0}


def test_any_class_of_the_pair_is_right_and_the_ear_is_told_apart() -> None:
    pairs = {"wind": ["desert", "snow"], "dog": ["dog"]}
    made = [Made("wind", GREY, True), Made("wind", GREY, False), Made("dog", GREY, True)]
    scores, _ = score_sounds(made, ["snow", "dog", "cat"], pairs, YARDSTICK)
    assert [score.value for score in scores] == pytest.approx([0.25, 0.25 / 0.8, 0.5 / 0.8])
    assert [score.count for score in scores] == [3, 3, 2]


def test_yardsticks_on_real_photos() -> None:
    pictures = [np.full((2, 2, 3), red, np.uint8) for red in (0, 1, 1, 2)]  # seen as sea, fire, fire, candle
    packed = np.concatenate([picture.ravel() for picture in pictures])
    photos = Photos(packed, np.arange(4) * 12, np.full(4, 2), np.array([0, 0, 1, 1]), [])
    vocabulary = Vocabulary({"sea": ["sea"], "fire": ["fire"], "candle": ["candle"]}, {"fire": ["fire", "candle"]})
    plain, paired = score_photos(FixedClassifier(["sea", "fire", "candle"], [8, 8]), photos, vocabulary)
    assert plain.value == 0.5  # sea 1 of 2, fire 1 of 2
    assert paired.value == 1.0  # both photos of fire are seen as fire or candle
    assert recognised(FixedClassifier(["sea", "fire"], [8, 8]), [GREY.point(lambda _: 1)]) == ["fire"]


def test_classifier_saves_and_loads(tmp_path: Path) -> None:
    model = PictureClassifier(["sea", "fire"], [8, 16]).eval()
    model.half().float()  # what is saved in half precision is compared as such
    model.save(tmp_path)
    again = PictureClassifier.load(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["classes"] == ["sea", "fire"]
    assert np.allclose(model.probabilities([GREY]), again.probabilities([GREY]), atol=2e-3)
    assert model.probabilities([GREY, GREY]).shape == (2, 2)


def test_sheets(tmp_path: Path) -> None:
    assert captioned_sheet([("sea", GREY)] * 5, columns=2, size=32).size == (64, 3 * (32 + 14))
    save_grid([np.zeros((4, 6, 3), np.uint8)] * 3, tmp_path / "grid.png", columns=2)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (8, 12, 3) and (grid[4:, 6:] == 255).all() and (grid[:4] == 0).all()
