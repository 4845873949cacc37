"""The word adapter: A* is as long as an ordinary word, and near the word of what the ear names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from studio.adapters.word import WordAdapter, WordConfig
from studio.backbones.base import BackboneDims
from studio.encoders.base import SoundEmbedding


@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_every_vector_is_as_long_as_a_word(scale: float) -> None:
    adapter = WordAdapter(WordConfig(sound_dim=8, text_width=64, vectors=2, hidden=16, scale=scale)).eval()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 5, 8, generator=generator)
    embedding = SoundEmbedding(
        tokens, torch.ones(3, 5, dtype=torch.bool), torch.randn(3, 8, generator=generator), None
    )
    words = adapter.condition(embedding).word
    assert words.shape == (3, 2, 64)
    assert torch.allclose(words.norm(dim=-1), torch.full((3, 2), scale * 8.0))  # 8 = sqrt(64)
    assert not torch.allclose(words[0], words[1])


def embedding_of(logits: torch.Tensor, seed: int = 0) -> SoundEmbedding:
    generator = torch.Generator().manual_seed(seed)
    count = len(logits)
    tokens, pooled = torch.randn(count, 5, 8, generator=generator), torch.randn(count, 8, generator=generator)
    return SoundEmbedding(tokens, torch.ones(count, 5, dtype=torch.bool), pooled, logits)


def concept_adapter(own: float, favour: tuple[float, ...] = ()) -> WordAdapter:
    """Of an ear with four labels, of which no picture shows the third; the last one can be two things."""
    torch.manual_seed(3)
    config = WordConfig(sound_dim=8, text_width=64, hidden=16, concepts=(0, 1, 3, 3), labels=4, own=own, favour=favour)
    return WordAdapter(config).eval()


def nearest(adapter: WordAdapter, logits: torch.Tensor) -> list[int]:
    """Which of the concepts each word is nearest to."""
    words = adapter.condition(embedding_of(logits)).word[:, 0]
    known = torch.nn.functional.normalize(adapter.network.words.detach(), dim=-1)
    return [int(each) for each in (words @ known.T).argmax(-1)]


def test_the_word_is_that_of_what_is_heard() -> None:
    adapter = concept_adapter(own=0.5)
    sure = torch.tensor([[9.0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 9]])
    first, second, third = nearest(adapter, sure)
    assert (first, second) == (0, 1)
    assert third in (2, 3)


def test_what_no_picture_shows_leaves_it_to_the_second_guess() -> None:
    adapter = concept_adapter(own=0.0)
    assert nearest(adapter, torch.tensor([[0.0, 3, 9, 0]])) == [1]


@pytest.mark.parametrize(("favour", "wanted"), [((0.0, 0.0, 0.0, -4.0), 2), ((0.0, 0.0, -4.0, 0.0), 3)])
def test_what_is_drawn_better_stands_for_a_sound_of_several_things(favour: tuple[float, ...], wanted: int) -> None:
    assert nearest(concept_adapter(own=0.0, favour=favour), torch.tensor([[0.0, 0, 0, 9]])) == [wanted]


def test_choosing_among_the_things_of_a_label_never_speaks_against_the_ear() -> None:
    adapter = concept_adapter(own=0.0)
    with torch.no_grad():
        adapter.network.choose.weight.zero_()
        adapter.network.choose.bias.copy_(torch.tensor([-9.0, -9.0, 9.0, -9.0]))
    assert nearest(adapter, torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1]])) == [0, 2]


def test_favour_has_a_value_for_each_thing() -> None:
    with pytest.raises(ValueError, match="4 values"):
        concept_adapter(own=0.0, favour=(0.0,))


def test_two_sounds_of_one_kind_have_two_words() -> None:
    adapter, logits = concept_adapter(own=0.5), torch.tensor([[9.0, 0, 0, 0]])
    one, other = (adapter.condition(embedding_of(logits, seed)).word[0, 0] for seed in (1, 2))
    cosine = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
    assert 0.6 < cosine < 0.9999  # each turns by at most atan(own)


def test_an_adapter_of_names_needs_them() -> None:
    silent = embedding_of(torch.zeros(1, 4))
    nameless = SoundEmbedding(silent.tokens, silent.mask, silent.pooled, None)
    with pytest.raises(ValueError, match="names"):
        concept_adapter(own=0.5).condition(nameless)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    adapter = concept_adapter(own=0.5)
    adapter.save(tmp_path)
    loaded = WordAdapter.load(tmp_path, BackboneDims(64, 64, 16, 4, 8))
    assert loaded.config == adapter.config
    heard = embedding_of(torch.randn(2, 4, generator=torch.Generator().manual_seed(5)))
    assert torch.allclose(loaded.condition(heard).word, adapter.condition(heard).word, atol=2e-2)
