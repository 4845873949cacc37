"""Microsoft CLAP of 2022 (Elizalde et al.): the ear of SonicDiffusion. Its sound side, Cnn14 and a projection.

Mono at 44.1 kHz, 10 s (shorter sounds repeated), power spectrum of 1024 samples every 320 (Hann window, reflected at
the ends), 64 mel bands 50..14000 Hz (Slaney), decibels without a floor but 1e-10; Cnn14 (Kong et al. 2020) -> 2048 ->
1024.

Reads `CLAP_weights_2022.pth` itself, and its mel bands from it. Tested with random weights of that format against a
computation written out in the test. Nobody has run the published file in Hearsight yet. The text side (BERT) is not
read: its vocabulary is not in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders._listening import Part, embed_each, in_parts, repeated
from studio.encoders._weights import (
    Published,
    fit,
    read_checkpoint,
    read_config,
    save_network,
    tensors,
    weights_file,
    weights_folder,
)
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.sound.clip import Clip

AUDIO = "audio_encoder."
# Of the published file: the text side, the classes of AudioSet that Cnn14 once named, and a Fourier transform as
# weights.
NOT_READ = ("caption_encoder.", "logit_scale", "base.fc_audioset.", "base.spectrogram_extractor.")


@dataclass(frozen=True)
class Clap2022Config:
    """The published sizes. `channels` of the six blocks, `hidden` of Cnn14's embedding, `dim` of the projection;
    `seconds` is the window.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    hidden: int = 2048
    dim: int = 1024
    mels: int = 64
    sample_rate: int = 44_100
    n_fft: int = 1024
    hop: int = 320
    seconds: int = 10


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, then the mean of each 2x2 (`pool`) field."""

    def __init__(self, inside: int, outside: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, self.pool) if self.pool > 1 else x


class MelBands(nn.Module):
    """Power spectrum [B, F, bins] -> decibels in mel bands [B, F, mels]."""

    melW: Tensor

    def __init__(self, config: Clap2022Config) -> None:
        super().__init__()
        self.register_buffer("melW", torch.zeros(config.n_fft // 2 + 1, config.mels))

    def forward(self, power: Tensor) -> Tensor:
        return 10 * torch.log10((power @ self.melW).clamp(min=1e-10))


class Cnn14(nn.Module):
    """Waveform [B, N] -> what it is about [B, hidden]."""

    def __init__(self, config: Clap2022Config) -> None:
        super().__init__()
        self.config = config
        self.logmel_extractor = MelBands(config)
        self.bn0 = nn.BatchNorm2d(config.mels)
        inside = (1, *config.channels)
        last = len(config.channels)
        for index, (before, after) in enumerate(zip(inside, config.channels, strict=False), start=1):
            setattr(self, f"conv_block{index}", ConvBlock(before, after, pool=1 if index == last else 2))
        self.fc1 = nn.Linear(config.channels[-1], config.hidden)

    def forward(self, waveform: Tensor) -> Tensor:
        config = self.config
        window = torch.hann_window(config.n_fft, device=waveform.device)
        spectrum = torch.stft(
            waveform, config.n_fft, config.hop, window=window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        x = self.logmel_extractor(power.transpose(1, 2))[:, None]  # [B, 1, F, mels]
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)  # each band has its own mean and deviation
        for index in range(len(config.channels)):
            x = getattr(self, f"conv_block{index + 1}")(x)
        x = x.mean(3)  # over what is left of the bands: [B, C, time]
        return F.relu(self.fc1(x.amax(2) + x.mean(2)))


class Projection(nn.Module):
    """[B, hidden] -> [B, dim] in the space shared with text."""

    def __init__(self, config: Clap2022Config) -> None:
        super().__init__()
        self.linear1 = nn.Linear(config.hidden, config.dim, bias=False)
        self.linear2 = nn.Linear(config.dim, config.dim, bias=False)
        self.layer_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor) -> Tensor:
        first = self.linear1(x)
        return self.layer_norm(first + self.linear2(F.gelu(first)))


class Clap2022Network(nn.Module):
    """Waveform [B, N] -> unit vectors [B, dim]."""

    def __init__(self, config: Clap2022Config) -> None:
        super().__init__()
        self.base = Cnn14(config)
        self.projection = Projection(config)

    def forward(self, waveform: Tensor) -> Tensor:
        return F.normalize(self.projection(self.base(waveform)), dim=-1)


@ENCODERS.register("clap-2022")
class Clap2022Ear(nn.Module, Encoder):
    """One unit vector a sound, which SonicDiffusion's projector turns into 77 tokens; it names nothing.

    pooled: [B, 1024].  tokens: [B, 1, 1024], the same. A sound longer than 10 s is heard in equal parts, and their
    mean is made one long again; the published program takes a random window.
    """

    published: ClassVar[Published] = Published(
        title="Microsoft CLAP 2022 (microsoft/msclap, CLAP_weights_2022.pth)",
        files=("CLAP_weights_2022.pth",),
        source="huggingface.co/microsoft/msclap",
        repository="microsoft/msclap",
    )

    def __init__(self, config: Clap2022Config, network: Clap2022Network) -> None:
        super().__init__()
        self.config, self.network = config, network
        self.sample_rate, self.dim, self.labels = config.sample_rate, config.dim, ()

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read CLAP_weights_2022.pth, or what `save` wrote. A config.json gives sizes other than the published
        ones.
        """
        folder = folder if folder is not None else weights_folder("clap-2022", cls.published)
        path, config = weights_file(folder, cls.published), read_config(folder, Clap2022Config)
        if config.mels < 2 ** (len(config.channels) - 1):
            raise InputError(f"{folder / 'config.json'} has too few mel bands ({config.mels}) for its blocks.")
        contents = read_checkpoint(path)
        state = tensors(contents.get("model", contents), path)
        if path.suffix != ".safetensors":
            state = {name.removeprefix(AUDIO): value for name, value in state.items()}
            state = {name: value for name, value in state.items() if not name.startswith(NOT_READ)}
        with torch.device("meta"):
            network = Clap2022Network(config)
        fit(network, state, f"The file {path.name}")
        return cls(config, network).eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors: the sound side alone, a tenth of the published file."""
        save_network(self.network, self.config, folder)

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        return embed_each(clips, self._listen)

    def _listen(self, clip: Clip) -> Part:
        window, device = self.config.seconds * self.sample_rate, self.network.base.fc1.weight.device
        parts = in_parts(self.waveform(clip), window)
        heard = torch.cat([self.network(repeated(part, window)[None].to(device)) for part in parts])
        pooled = F.normalize(heard.mean(0), dim=-1)
        return Part(pooled[None], torch.ones(1, dtype=torch.bool, device=device), pooled)
