"""What every ear promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.sound.clip import Clip
from tests.contracts.conftest import NAMES
from tests.models import noise, tone


@pytest.fixture(params=NAMES["encoder"])
def ear(request: pytest.FixtureRequest, tiny_plugins: None, installed_ears: None) -> Encoder:
    kind = ENCODERS.get(request.param)
    assert kind.name == request.param
    return kind.load()


def _equal(one: SoundEmbedding, other: SoundEmbedding) -> bool:
    return torch.equal(one.tokens, other.tokens) and torch.equal(one.pooled, other.pooled)


@pytest.mark.parametrize(
    "clip",
    [
        tone(0.05, 44_100),
        tone(1.0, 8000),
        noise(12.0, 48_000),
        Clip(np.concatenate([tone().samples, noise().samples]), 16_000),
        tone(0.5, 1000, hertz=100),
    ],
    ids=["50 ms", "8 kHz", "12 s", "stereo", "1 kHz"],
)
def test_declared_shapes(ear: Encoder, clip: Clip) -> None:
    heard = ear.encode([clip])
    assert heard.tokens.shape[0] == 1
    assert heard.tokens.shape[2] == ear.dim == heard.pooled.shape[1]
    assert heard.tokens.dtype == heard.pooled.dtype == torch.float32
    assert heard.mask.any(dim=1).all()
    assert torch.isfinite(heard.tokens).all()
    assert torch.isfinite(heard.pooled).all()
    probabilities = ear.probabilities(heard)
    assert probabilities.shape == (1, len(ear.labels))
    assert len(set(ear.labels)) == len(ear.labels)
    if ear.labels:
        assert torch.isfinite(probabilities).all()
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_same_sound_same_embedding(ear: Encoder) -> None:
    torch.manual_seed(1)
    first = ear.encode([tone()])
    torch.manual_seed(2)
    assert _equal(ear.encode([tone()]), first)
    assert not _equal(ear.encode([noise()]), first)


@pytest.mark.parametrize("clip", [tone(0.3, 44_100), noise(2.0, 48_000)], ids=["short", "48 kHz"])
def test_what_it_gets_sounds_the_same_to_it(ear: Encoder, clip: Clip) -> None:
    """The samples that the page plays as heard are those that are heard."""
    stereo = Clip(np.concatenate([clip.samples, -0.5 * clip.samples[:, ::-1]]), clip.rate)
    samples = ear.waveform(stereo)
    assert samples.ndim == 1 and samples.dtype == torch.float32
    assert len(samples) >= int(clip.seconds * ear.sample_rate)
    assert _equal(ear.encode([Clip(samples.numpy()[None], ear.sample_rate)]), ear.encode([stereo]))


def test_a_batch_equals_singles(ear: Encoder) -> None:
    clips = [tone(1.0), noise(2.0), tone(3.0, hertz=2000)]
    batch = ear.encode(clips)
    for row, clip in enumerate(clips):
        single = ear.encode([clip])
        heard = batch.tokens[row][batch.mask[row]]
        assert torch.allclose(heard, single.tokens[0][single.mask[0]], atol=1e-4)
        assert torch.allclose(batch.pooled[row], single.pooled[0], atol=1e-4)


def test_listening_changes_nothing(ear: Encoder) -> None:
    clip = noise()
    before, state = clip.samples.copy(), torch.random.get_rng_state()
    ear.encode([clip])
    assert np.array_equal(clip.samples, before)
    assert torch.equal(torch.random.get_rng_state(), state)
