"""The word adapter: A* is as long as an ordinary word."""

from __future__ import annotations

import pytest
import torch

from studio.adapters.word import WordAdapter, WordConfig
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
