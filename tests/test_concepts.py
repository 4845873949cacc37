"""What A* is made of, as people write it."""

from __future__ import annotations

import numpy as np
import pytest

from studio.concepts import joined, read_concepts, write_concepts
from studio.errors import InputError
from studio.recipe import Recipe
from studio.word import blend_words, spread_words


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("rain:0.7, river:0.3", (("rain", 0.7), ("river", 0.3))),
        ("rain", (("rain", 1.0),)),
        ("  church   bells : 2 ,dog:.5", (("church bells", 2.0), ("dog", 0.5))),
        ("rain:1, dog:1, rain:2", (("rain", 3.0), ("dog", 1.0))),
        ("ein Hügel:0, dog:1", (("ein Hügel", 0.0), ("dog", 1.0))),
    ],
)
def test_phrases_and_weights(text: str, read: tuple[tuple[str, float], ...]) -> None:
    assert read_concepts(text) == read
    assert read_concepts(write_concepts(read)) == read
    assert Recipe(concepts=text).concepts == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must have 1 to 60 characters"),
        ("rain,,dog", "must have 1 to 60 characters"),
        ("x" * 61, "must have 1 to 60 characters"),
        ("rain:much", "The weight 'much' of 'rain'"),
        ("rain:-1", "The weight '-1' of 'rain'"),
        ("rain:101", "from 0 to 100"),
        ("rain:nan", "from 0 to 100"),
        ("rain:", "The weight '' of 'rain'"),
        ("rain:0, dog:0", "all weights are 0"),
        (", ".join(f"thing {number}" for number in range(17)), "17 phrases are too many"),
    ],
)
def test_what_is_no_list_of_phrases(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_concepts(text)
    assert said in str(caught.value) and "rain:0.7, river:0.3" in str(caught.value)
    with pytest.raises(InputError):
        Recipe(concepts=text)


def test_several_sounds_together() -> None:
    one, other = (("rain", 0.75), ("river", 0.25)), (("river", 3.0), ("dog", 1.0))
    assert joined([(one, 1.0)]) == one
    assert joined([(one, 0.5), (other, 0.5)]) == (("river", 0.5), ("rain", 0.375), ("dog", 0.125))


def test_words_of_several_lengths() -> None:
    rain, bells = np.eye(4, dtype=np.float32)[:1], np.eye(4, dtype=np.float32)[1:3]
    spread, same = spread_words([rain, bells])
    assert np.array_equal(spread, rain[[0, 0]]) and np.array_equal(same, bells)
    assert np.array_equal(spread_words([bells, np.zeros((3, 4), np.float32)])[0], bells[[0, 0, 1]])
    assert blend_words([rain, bells], [1, 0]) is rain
    between = blend_words([rain, bells], [1, 1])
    assert between.shape == (2, 4)
    assert np.allclose(np.linalg.norm(between, axis=-1), 1)
    assert np.allclose(between[0, :2], 0.5**0.5)


def test_heard_anew_keeps_what_was_written_by_hand() -> None:
    word = "1x1:AAAAAA=="
    assert Recipe(concepts="rain").unheard().concepts == "rain"
    heard = Recipe(concepts="rain", word=word, loudness=0.5).unheard()
    assert (heard.concepts, heard.word, heard.loudness) == (None, None, None)
