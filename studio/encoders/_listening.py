"""What the ears have in common: parts of samples, and from single clips to one SoundEmbedding.

Letters: N samples, T tokens, D width, L labels, F frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.encoders.base import SoundEmbedding
from studio.sound.clip import Clip


@dataclass(frozen=True)
class Part:
    """What an ear makes of one sound: tokens [T, D], mask bool [T], pooled [D], logits [L] or None."""

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    logits: Tensor | None = None


def repeated(samples: Tensor, length: int) -> Tensor:
    """A sound [N] shorter than `length` samples played again and again until it is that long; else as it is."""
    if len(samples) >= length:
        return samples
    return samples.repeat(-(-length // len(samples)))[:length]


def in_parts(samples: Tensor, longest: int) -> list[Tensor]:
    """A sound [N] as the fewest parts of at most `longest` samples, equally long and one after the other.

    The published programs cut a random or the first window out of a long sound. Here all of it is heard, every second
    counts the same, and a sound that fits into one window is heard exactly as published.
    """
    parts = -(-len(samples) // longest)
    return list(torch.tensor_split(samples, parts))


def embed_each(clips: Sequence[Clip], listen: Callable[[Clip], Part]) -> SoundEmbedding:
    """Listen to the clips one at a time, because lengths differ and a clip must give the same alone and in a batch.

    Tokens of shorter sounds are filled up with zeros, which the mask marks as no sound.
    """
    heard = [listen(clip) for clip in clips]
    longest = max(len(part.tokens) for part in heard)
    tokens = torch.stack([F.pad(part.tokens, (0, 0, 0, longest - len(part.tokens))) for part in heard])
    mask = torch.stack([F.pad(part.mask, (0, longest - len(part.mask)), value=False) for part in heard])
    pooled = torch.stack([part.pooled for part in heard])
    logits = [part.logits.float() for part in heard if part.logits is not None]
    return SoundEmbedding(tokens.float(), mask, pooled.float(), torch.stack(logits) if logits else None)


def kaldi_fbank(waveform: Tensor, *, window: str, htk_compat: bool = False) -> Tensor:
    """Log-mel energies as Kaldi computes them: samples at 16 kHz [N] -> [F, 128], F = 1 + (N - 400) // 160.

    Frames of 25 ms every 10 ms, mean removed, pre-emphasis 0.97, 128 mel bands from 20 Hz to 8 kHz, natural logarithm
    of power, no dither. window: "hanning" or "povey".
    """
    from torchaudio.compliance import kaldi

    return kaldi.fbank(
        waveform[None],
        num_mel_bins=128,
        sample_frequency=16_000,
        window_type=window,
        htk_compat=htk_compat,
        dither=0.0,
    )


def frames_of(samples: int) -> int:
    """How many frames `kaldi_fbank` makes of that many samples."""
    return max(0, 1 + (samples - 400) // 160)


def samples_of(frames: int) -> int:
    """The fewest samples that `kaldi_fbank` makes that many frames of, plus those that do not make another one."""
    return 400 + 160 * (frames - 1) + 159
