"""The measure of placement: what its halves show the classifier, and what counts as found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.evaluation.couples import photo_pair
from studio.evaluation.placement import (
    Placed,
    Places,
    halves,
    look,
)

CLASSES = list("abcdefghijklmnop")


class Colours:
    """Stands in for the classifier: it sees a in red, b in green, c in blue, by how much of the picture they are."""

    classes = CLASSES

    def probabilities(self, pictures: list[Image.Image]) -> np.ndarray:
        sure = np.full((len(pictures), len(CLASSES)), 0.01)
        for row, picture in enumerate(pictures):
            sure[row, :3] = np.asarray(picture, float).mean((0, 1)) / 255
        return sure


def two(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (64, 32)) -> Image.Image:
    picture = Image.new("RGB", size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_halves_are_mirrored_and_keep_the_proportions() -> None:
    picture = Image.fromarray(np.arange(64 * 32 * 3, dtype=np.uint32).reshape(32, 64, 3).astype(np.uint8))
    whole = np.asarray(picture)
    for half, part in zip(halves(picture), (whole[:, :32], whole[:, 32:]), strict=True):
        assert half.size == picture.size
        np.testing.assert_array_equal(np.asarray(half)[:, :32], part)
        np.testing.assert_array_equal(np.asarray(half)[:, 32:], part[:, ::-1])
    assert [half.size for half in halves(Image.new("RGB", (33, 20)))] == [(32, 20), (32, 20)]


@pytest.mark.parametrize(
    ("picture", "found", "named"),
    [
        (two(RED, GREEN), (True, True), True),
        (two(GREEN, RED), (False, False), False),
        (two(RED, RED), (True, False), False),
        (two((200, 90, 0), (90, 200, 0)), (True, True), True),
        (two((200, 90, 0), (200, 90, 0)), (True, True), False),
    ],
)
def test_what_is_found_where(picture: Image.Image, found: tuple[bool, bool], named: bool) -> None:
    classifier: Any = Colours()
    places = look(classifier, picture, (["a"], ["b"]))
    assert (places.found, places.named, places.both) == (found, named, all(found))


def test_real_photos_are_put_together() -> None:
    class Photos(list[tuple[int, int, int]]):
        def resized(self, index: int, size: int) -> np.ndarray:
            return np.full((size, size, 3), self[index], np.uint8)

    photos = Photos([RED, GREEN, RED])
    bench: Any = SimpleNamespace(held_out_photos=photos, photo_names=lambda _photos: ["fire", "sea", "fire"])
    made = photo_pair(bench, (["fire"], ["sea"]), seed=0)
    assert made is not None and made.tobytes() == two(RED, GREEN, (256, 256)).tobytes()
    assert photo_pair(bench, (["fire"], ["dog"]), seed=0) is None


def test_both_kinds_of_couples_have_the_same_lines() -> None:
    hit, miss = Places((True, True), True, True), Places((True, False), False, False)
    placed = Placed([hit, hit, hit, miss], [hit, miss, miss, miss], [hit, miss], {}, [])
    lines = {line.name: line for line in placed.scores("placement, of these")}
    assert lines["placement, of these: each in its half, first five classes, panned apart"].value == 0.75
    assert lines["placement, of these: each in its half, both in the middle"].value == 0.25
    multiple = lines["placement, of these: the first as a multiple of the second"]
    assert (multiple.value, multiple.count, multiple.goal) == (3.0, 4, 2.0)
    assert lines["placement, of these: one of them in its half, panned apart"].value == 0.875
    assert lines["placement, of these: halves of two real photos, each in its half"].count == 2
    never = Placed([hit], [miss], [], {}, []).scores("placement")
    assert [line.value for line in never if "multiple" in line.name] == [2.0]
