"""Trains the ear to name sounds. Splits go by recording: pieces of one recording are alike.

Augmentation stands for other rooms, microphones and distances: gain, a second sound mixed in with its share of the
label (between-class learning, Tokozume et al. 2018), reverberation, pink noise, silence before or after, low-pass,
cropping down to half a second and rolling in time, masked bands and frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio.functional as AF
from torch import Tensor

from studio.data.recordings import Sounds, held_out
from studio.encoders.pocket import PocketEar
from studio.evaluation.conditions import with_length
from studio.training.loop import Task

LENGTHS = (0.15, 0.2, 0.2, 0.2, 0.25)  # how often pieces of 1, 2, 3, 4 and 5 s are drawn
IN_A_ROOM = 0.3
IN_NOISE = 0.3
IN_SILENCE = 0.2
AT_ITS_LOUDEST = 0.5  # of brief pieces: whoever records half a second records what sounds
_ENVELOPE = 400  # samples between two values of a sound's energy


class EarTask(Task):
    """Cross-entropy with soft labels on augmented pieces; classes are drawn evenly."""

    name = "ear"

    def __init__(
        self,
        sounds: Sounds,
        ear: PocketEar,
        device: str = "cpu",
        never: frozenset[str] = frozenset(),
        brief: bool = False,
    ) -> None:
        """never: recordings kept out of training beside the test split (the starter sounds).

        brief: whether only pieces of a quarter second to a second are learned from.
        """
        self.brief = brief
        self.sounds, self.ear, self.device = sounds, ear, device
        self.modules = {"network": ear.network}
        self.waves = [ear.waveform(clip) for clip in sounds.clips]
        test = np.array([held_out(recording) for recording in sounds.recordings])
        self.test = np.flatnonzero(test)
        kept = np.array([recording not in never for recording in sounds.recordings])
        self.train_rows = np.flatnonzero(~test & kept)
        labels = sounds.labels[self.train_rows]
        self.weights = torch.from_numpy(np.bincount(labels, minlength=len(sounds.classes))[labels] ** -0.7)

    def piece(self, row: int, length: int, draw: np.random.Generator) -> Tensor:
        """A random stretch of a sound, [length] samples; short sounds stand somewhere in silence or are repeated."""
        wave = self.waves[row]
        if len(wave) >= length:
            start = int(draw.integers(0, len(wave) - length + 1))
            return wave[start : start + length]
        if draw.random() < 0.5:
            return wave.repeat(-(-length // len(wave))).roll(int(draw.integers(0, len(wave))))[:length]
        before = int(draw.integers(0, length - len(wave) + 1))
        return F.pad(wave, (before, length - len(wave) - before))

    def loud_piece(self, row: int, length: int, draw: np.random.Generator) -> Tensor:
        """As `piece`, but rather where the sound has its energy."""
        wave = self.waves[row]
        if len(wave) < length:
            return self.piece(row, length, draw)
        steps = max(1, length // _ENVELOPE)
        energy = F.avg_pool1d(wave.square()[None, None], _ENVELOPE, ceil_mode=True)[0, 0].double().numpy()
        whole = np.convolve(energy, np.ones(min(steps, len(energy))), "valid") ** 1.5
        chances = whole / whole.sum() if whole.sum() > 0 else np.full(len(whole), 1 / len(whole))
        start = int(draw.choice(len(whole), p=chances)) * _ENVELOPE + int(draw.integers(-_ENVELOPE, _ENVELOPE))
        return wave[(start := min(max(start, 0), len(wave) - length)) : start + length]

    def lengths(self, draw: np.random.Generator) -> tuple[int, int]:
        """Samples of a batch's pieces, and of what the network gets: silence follows what is shorter than 1 s."""
        rate = self.ear.sample_rate
        if self.brief:
            seconds = float(draw.choice([1.0, 0.5, draw.uniform(0.25, 1.0)], p=[0.2, 0.3, 0.5]))
            return int(seconds * rate), rate
        length = int(draw.choice([1.0, 2.0, 3.0, 4.0, 5.0], p=LENGTHS) * rate)
        return (length // 2 if length == rate and draw.random() < 0.5 else length), length

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        rows = self.train_rows[
            torch.multinomial(self.weights, 2 * batch_size, replacement=True, generator=generator).numpy()
        ]
        part, length = self.lengths(draw)
        loud = draw.random(len(rows)) < (AT_ITS_LOUDEST if self.brief else 0)
        pieces = zip(rows.tolist(), loud, strict=True)
        waves = torch.stack([(self.loud_piece if one else self.piece)(row, part, draw) for row, one in pieces])
        # Equal loudness first, so that the mixing share is the share in what is heard.
        waves = waves / waves.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-4) * 0.1
        labels = F.one_hot(torch.from_numpy(self.sounds.labels[rows]), len(self.sounds.classes)).float()
        share = torch.from_numpy(np.where(draw.random(batch_size) < 0.6, draw.beta(0.8, 0.8, batch_size), 1.0)).float()
        share = torch.maximum(share, 1 - share)[:, None]
        first, second = waves.chunk(2)
        mixed = (share * first + (1 - share) * second) / (share.square() + (1 - share).square()).sqrt()
        mixed = self.surroundings(mixed, draw, generator)
        target = share * labels[:batch_size] + (1 - share) * labels[batch_size:]
        gain = torch.from_numpy(10 ** (draw.uniform(-30, 12, batch_size) / 20)).float()[:, None]
        mixed = mixed * gain + torch.randn(mixed.shape, generator=generator) * gain * 10 ** (-draw.uniform(2.2, 4.5))
        for row in np.flatnonzero(draw.random(batch_size) < IN_SILENCE):  # true silence, so after all noise
            silent = int(part * draw.uniform(0.02, 0.4))
            mixed[row, slice(0, silent) if draw.random() < 0.5 else slice(part - silent, part)] = 0
        mel = self.ear.mel(F.pad(mixed, (0, length - part)).to(self.device))
        mel = self.mask(mel, draw)
        logits = self.ear.network(mel)[2].float()
        loss = F.cross_entropy(logits, target.to(self.device), label_smoothing=0.05)
        return {"loss": loss}

    def surroundings(self, waves: Tensor, draw: np.random.Generator, generator: torch.Generator) -> Tensor:
        """Some of the sounds [B, N] in a room (RT60 0.2 to 1.5 s), some in pink noise (5 to 30 dB below them)."""
        waves = waves.clone()
        count, rate = waves.shape[1], self.ear.sample_rate
        for row in np.flatnonzero(draw.random(len(waves)) < IN_A_ROOM):
            seconds = draw.uniform(0.2, 1.5)
            time = torch.arange(int(seconds * rate)) / rate
            response = torch.randn(len(time), generator=generator) * 10 ** (-3 * time / seconds)  # -60 dB at RT60
            response /= response.square().sum().sqrt()
            response[0] = 10 ** (draw.uniform(-6, 9) / 20)  # the direct sound, near or far
            wet = AF.fftconvolve(waves[row], response)[:count]
            waves[row] = wet * (waves[row].square().mean() / wet.square().mean().clamp_min(1e-12)).sqrt()
        frequency = torch.fft.rfftfreq(count, 1 / rate).clamp_min(20.0)
        for row in np.flatnonzero(draw.random(len(waves)) < IN_NOISE):
            noise = torch.fft.irfft(torch.fft.rfft(torch.randn(count, generator=generator)) / frequency.sqrt(), count)
            level = (waves[row].square().mean() / noise.square().mean()).sqrt() * 10 ** (-draw.uniform(5, 30) / 20)
            waves[row] += level * noise
        return waves

    def mask(self, mel: Tensor, draw: np.random.Generator) -> Tensor:
        """Low-pass, two masked bands and two masked stretches for each sound, at the level of its quiet parts."""
        mel = mel.clone()
        for one in mel:
            floor = torch.quantile(one, 0.05)
            for _ in range(2):
                width, start = draw.integers(0, 9), draw.integers(0, one.shape[0])
                one[start : start + width] = floor
                width, start = draw.integers(0, one.shape[1] // 8), draw.integers(0, one.shape[1])
                one[:, start : start + width] = floor
            if draw.random() < 0.25:
                one[int(draw.integers(40, 62)) :] = floor
        # A random tilt of the spectrum stands for another microphone.
        tilt = torch.from_numpy(draw.normal(0, 1.0, (len(mel), 2))).float().to(mel.device)
        ramp = torch.linspace(-1, 1, mel.shape[1], device=mel.device)
        return mel + (tilt[:, :1] * ramp + tilt[:, 1:] * (ramp.square() - 0.33))[..., None]

    def scores(self) -> dict[str, float]:
        """Top-1 and top-3 on the test split: of whole clips as they are, or of their loudest half seconds."""
        ranks = []
        for row in self.test:
            wave = self.waves[row]
            if self.brief:
                wave = self.ear.waveform(with_length(self.sounds.clips[row], 0.5))
            logits = self.ear.network(self.ear.mel(wave[None].to(self.device)))[2][0]
            ranks.append(int((logits > logits[int(self.sounds.labels[row])]).sum()))
        top = np.array(ranks)
        return {
            "top1": float((top < 1).mean()),
            "top3": float((top < 3).mean()),
            "recordings_held_out": float(len(top)),
        }

    def export(self, folder: Path) -> None:
        self.ear.save(folder)
