"""The pocket ear: a small residual network on log-mel pictures of sound that names what it hears.

It listens at 16 kHz to bands up to 7.5 kHz, because some of the recordings it learned from hold nothing above. Beside
the spectrogram it sees the spectrogram with each band's mean over time removed (relaxed frequency-wise normalisation,
Kim et al. 2022), which carries what happens rather than which microphone heard it, and simple statistics of every
band.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.paths import assets_folder
from studio.sound.clip import Clip

SHORTEST = 1.0  # seconds; shorter sounds are followed by silence up to this length: played twice they are named worse
BRIEF = (0.6, 2.0)  # seconds; up to the first the networks for brief sounds have `BRIEF_SAY`, from the second on none
BRIEF_SAY = 0.85


@dataclass(frozen=True)
class EarConfig:
    """Sizes of the ear. `channels` of the four stages, `dim` of the embedding, `mels` bands between `low` and `high`
    Hz.

    voters: further networks of the same sizes, trained apart from the first, that have a say in the names.
    brief: networks that were trained on pieces of up to a second; they have most of the say in such short sounds.
    temperature: what the logits are divided by so that the ear is as sure as it is right (Guo et al. 2017).
    """

    labels: tuple[str, ...]
    channels: tuple[int, ...] = (16, 48, 96, 160)
    dim: int = 256
    sample_rate: int = 16_000
    n_fft: int = 512
    hop: int = 320
    mels: int = 64
    low: float = 40.0
    high: float = 7_500.0
    voters: int = 0
    brief: int = 0
    temperature: float = 1.0


class LogMel(nn.Module):
    """Waveform [B, N] -> log-mel [B, mels, frames], natural logarithm of power, roughly -14..6."""

    window: Tensor
    bank: Tensor

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        import torchaudio.functional as AF

        self.config = config
        bank = AF.melscale_fbanks(
            config.n_fft // 2 + 1, config.low, config.high, config.mels, config.sample_rate, mel_scale="slaney"
        )
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        config = self.config
        with torch.autocast(waveform.device.type, enabled=False):  # small powers vanish in bfloat16
            spectrum = torch.stft(
                waveform.float(),
                config.n_fft,
                config.hop,
                window=self.window,
                return_complex=True,
                pad_mode="constant",
            )
            return (torch.einsum("bft,fm->bmt", spectrum.abs().square(), self.bank) + 1e-6).log()


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut; halves both axes when `stride` is 2."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else nn.Identity()
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(self.pool(x)))


def band_statistics(mel: Tensor) -> Tensor:
    """[B, mels, frames] -> [B, 6 * mels]: mean, deviation, 10 and 90 % points, movement and its deviation per band."""
    difference = mel[..., 1:] - mel[..., :-1]
    tenth, ninetieth = torch.quantile(mel.float(), torch.tensor([0.1, 0.9], device=mel.device), dim=-1)
    parts = [mel.mean(-1), mel.std(-1), tenth, ninetieth, difference.abs().mean(-1), difference.std(-1)]
    return torch.cat(parts, -1)


class EarNetwork(nn.Module):
    """Log-mel [B, mels, frames] -> tokens [B, T, dim], pooled [B, dim], logits [B, labels]; T = frames / 16, rounded
    up.
    """

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        self.config = config
        first, *rest = config.channels
        self.stem = nn.Sequential(nn.Conv2d(2, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        stages, inside = [Residual(first, first, 1)], first
        for width in rest:
            stages += [Residual(inside, width, 2), Residual(width, width, 1)]
            inside = width
        self.stages = nn.Sequential(*stages)
        self.statistics = nn.Sequential(
            nn.BatchNorm1d(6 * config.mels), nn.Dropout(0.3), nn.Linear(6 * config.mels, config.dim), nn.ReLU()
        )
        bands = -(-config.mels // 16)
        self.project = nn.Linear(inside * bands, config.dim)
        self.attend = nn.Linear(config.dim, 1)
        self.pool = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * config.dim, config.dim), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(config.dim, len(config.labels)))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        level = (mel + 5.0) / 4.0
        moved = mel - mel.mean(-1, keepdim=True)
        y = self.stages(self.stem(torch.stack([level, moved / 2.0], 1)))  # [B, C, mels / 16, T]
        tokens = F.relu(self.project(y.flatten(1, 2).transpose(1, 2)))  # [B, T, dim]
        share = self.attend(tokens).softmax(1)
        means = torch.cat(
            [(share * tokens).sum(1), tokens.mean(1), tokens.amax(1), self.statistics(band_statistics(mel))], -1
        )
        pooled = self.pool(means)
        return tokens, pooled, self.head(pooled)


def brief_say(seconds: float) -> float:
    """How much the networks for brief sounds say of a sound so long, 0..1; it falls evenly between the two `BRIEF`."""
    start, end = BRIEF
    return BRIEF_SAY * min(1.0, max(0.0, (end - seconds) / (end - start)))


def _mean_opinion(logits: Sequence[Tensor]) -> Tensor:
    """Several networks' logits [B, labels] -> those of the mean of their probabilities."""
    return torch.stack([opinion.float().softmax(-1) for opinion in logits]).mean(0).log()


@ENCODERS.register("pocket")
class PocketEar(nn.Module, Encoder):
    """The embedded ear. Names one of its labels; embeds with `dim` 256, one token for 0.32 s.

    What a sound is called is the mean opinion of its networks, those for brief sounds included where it is one; the
    embedding is the first one's alone.
    """

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.dim, self.labels = config.sample_rate, config.dim, config.labels
        self.mel = LogMel(config)
        self.network = EarNetwork(config)
        self.voters = nn.ModuleList(EarNetwork(config) for _ in range(config.voters))
        self.brief = nn.ModuleList(EarNetwork(config) for _ in range(config.brief))

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        from safetensors.torch import load_file

        folder = folder if folder is not None else assets_folder() / "ear"
        config, weights = folder / "config.json", folder / "model.safetensors"
        if not config.is_file() or not weights.is_file():
            raise InputError(f"The folder {folder.name} holds no ear: it needs config.json and model.safetensors.")
        values = json.loads(config.read_text(encoding="utf-8"))
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        ear = cls(EarConfig(**sizes))
        state = {
            name: value.float() if value.is_floating_point() else value for name, value in load_file(weights).items()
        }
        ear.load_state_dict(state)
        return ear.eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=1) + "\n", encoding="utf-8")
        state = {k: v.half() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")

    def waveform(self, clip: Clip) -> Tensor:
        """As every ear's, and after a sound shorter than a second silence up to one second."""
        samples = super().waveform(clip)
        return F.pad(samples, (0, max(0, int(SHORTEST * self.sample_rate) - len(samples))))

    def listen(self, mel: Tensor, say: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Log-mel [B, mels, frames] -> tokens [B, T, dim], pooled [B, dim], logits [B, labels] of all networks.

        say: of the networks for brief sounds, see `brief_say`.
        """
        tokens, pooled, logits = self.network(mel)
        if self.voters:
            logits = _mean_opinion([logits, *(voter(mel)[2] for voter in self.voters)])
        if say > 0 and self.brief:
            theirs = _mean_opinion([network(mel)[2] for network in self.brief])
            logits = ((1 - say) * logits.softmax(-1) + say * theirs.softmax(-1)).log()
        return tokens, pooled, logits / self.config.temperature

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        device = next(self.network.parameters()).device
        # One at a time: lengths differ, and a clip must give the same embedding alone and in a batch.
        results = [
            self.listen(self.mel(self.waveform(clip)[None].to(device)), brief_say(clip.seconds)) for clip in clips
        ]
        longest = max(tokens.shape[1] for tokens, _, _ in results)
        tokens = torch.stack([F.pad(t[0], (0, 0, 0, longest - t.shape[1])) for t, _, _ in results])
        lengths = torch.tensor([t.shape[1] for t, _, _ in results], device=device)
        mask = torch.arange(longest, device=device)[None] < lengths[:, None]
        pooled, logits = torch.cat([p for _, p, _ in results]), torch.cat([h for _, _, h in results])
        return SoundEmbedding(tokens.float(), mask, pooled.float(), logits.float())
