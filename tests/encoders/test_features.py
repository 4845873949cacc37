"""What the networks are shown of a sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from studio.encoders._listening import frames_of, in_parts, kaldi_fbank, repeated, samples_of
from tests.encoders import plain
from tests.models import noise, tone


@pytest.mark.parametrize("window", ["hanning", "povey"])
@pytest.mark.parametrize("htk_compat", [False, True])
def test_kaldi_fbank_is_the_written_out_one(window: str, htk_compat: bool) -> None:
    samples = torch.tensor((noise(0.3).samples + 0.1 * tone(0.3).samples)[0]) + 0.01
    found = kaldi_fbank(samples, window=window, htk_compat=htk_compat).numpy()
    wanted = plain.kaldi_fbank(samples.double().numpy(), window)
    assert found.shape == wanted.shape == (frames_of(len(samples)), 128)
    assert np.abs(found - wanted).max() < 2e-3  # float32 against float64, in the logarithm


def test_frames_and_samples_are_inverse() -> None:
    for frames in (1, 2, 1024):
        assert frames_of(samples_of(frames)) == frames
        assert frames_of(samples_of(frames) + 1) == frames + 1
    assert frames_of(399) == 0


def test_parts_hold_the_whole_sound_once() -> None:
    samples = torch.arange(25.0)
    assert [len(part) for part in in_parts(samples, 25)] == [25]
    parts = in_parts(samples, 10)
    assert [len(part) for part in parts] == [9, 8, 8]
    assert torch.equal(torch.cat(parts), samples)


def test_a_short_sound_is_repeated() -> None:
    assert repeated(torch.tensor([1.0, 2.0]), 5).tolist() == [1, 2, 1, 2, 1]
    assert repeated(torch.tensor([1.0, 2.0]), 2).tolist() == [1, 2]
