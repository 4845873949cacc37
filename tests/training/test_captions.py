"""Captions say what the label and the pixels say, and every word of theirs is one token."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from studio.data.attributes import Attributes, measure
from studio.training.captions import caption, quality, vocabulary
from studio.training.text import MAX_TOKENS, new_text_encoder, new_tokenizer

NOUNS = {"sea": ["sea", "ocean"], "city_street": ["city street", "street"], "lawn_mower": ["lawn mower"]}


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((64, 64, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        (flat((10, 10, 14)), Attributes("dark", "grey", "at night")),
        (flat((250, 250, 250)), Attributes("bright", "grey", "")),
        (flat((20, 140, 30)), Attributes("", "green", "")),
        (flat((200, 30, 30)), Attributes("", "red", "at sunset")),
        (flat((110, 160, 240)), Attributes("", "blue", "in daylight")),
        (flat((128, 128, 128)), Attributes("", "grey", "")),
    ],
)
def test_measured_attributes(photo: np.ndarray, expected: Attributes) -> None:
    assert measure(photo) == expected


def test_source_size_is_said() -> None:
    """By the size of the picture that it is seen at."""
    assert [quality(side / 256) for side in (64, 128, 160, 256)] == ["blurry", "blurry", "soft", "sharp"]
    assert [quality(side / 64) for side in (64, 160)] == ["sharp", "sharp"]


def test_a_blurred_copy_is_called_blurry_and_nothing_else() -> None:
    draw = np.random.default_rng(0)
    texts = [caption(NOUNS["sea"], 1.0, Attributes(), draw, "blurry photo") for _ in range(50)]
    assert all(text.startswith("a blurry photo of") and "sharp" not in text for text in texts)


def captions(count: int = 400) -> Iterator[str]:
    draw = np.random.default_rng(0)
    for _ in range(count):
        yield caption(NOUNS["city_street"], 0.5, Attributes("dark", "blue", "at night"), draw)


def test_captions_vary_and_name_the_thing() -> None:
    texts = list(captions())
    assert all("street" in text for text in texts)
    assert len(set(texts)) > 60
    for part in ("blurry", "dark", "blue", "at night"):
        assert 0.1 < np.mean([part in text for text in texts]) < 0.8
    assert not any("  " in text or text.endswith(",") or "{" in text for text in texts)


def test_every_word_is_one_token_and_survives_saving(tmp_path: object) -> None:
    words = vocabulary(NOUNS)
    tokenizer = new_tokenizer(words)
    assert all(len(tokenizer(word).input_ids) == 3 for word in words)
    assert tokenizer("Dog xyzzy; 42").input_ids[0] == tokenizer.bos_token_id  # anything else falls back to letters
    for text in captions(50):
        assert len(tokenizer(text).input_ids) <= MAX_TOKENS
    assert new_text_encoder(tokenizer).config.vocab_size == len(tokenizer)
