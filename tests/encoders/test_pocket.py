"""The pocket ear on sounds that are shorter than what its network needs."""

from __future__ import annotations

import pytest
import torch

from studio.encoders.pocket import EarConfig, PocketEar
from tests.models import noise


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.999])
def test_a_short_sound_is_followed_by_silence(seconds: float) -> None:
    ear, sound = PocketEar(EarConfig(labels=("rain", "dog"))), noise(seconds)
    waveform = ear.waveform(sound)
    count = sound.samples.shape[1]
    assert len(waveform) == ear.sample_rate
    assert torch.equal(waveform[:count], torch.tensor(sound.samples[0])) and not waveform[count:].any()


def test_a_sound_of_a_second_is_left_as_it_is() -> None:
    ear, sound = PocketEar(EarConfig(labels=("rain", "dog"))), noise(1.0)
    assert torch.equal(ear.waveform(sound), torch.tensor(sound.samples[0]))
