"""Tiny random models for the tests: real classes, real folder format, random weights. Nothing here is a mock.

`build_tiny_stable_diffusion` writes a complete Diffusers folder in well under a second. `tiny_plugins` registers a
random ear and two random adapters under the names "tiny-ear", "tiny-word" and "tiny-gated" while a test needs them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter, Conditioning
from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import Place
from studio.backbones.base import BackboneDims
from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.registry import Registry
from studio.sound.clip import Clip

WORDS = "a photo painting of the in style street dog sea rain night red blurry and with at ( ) , . : * 1 2 3"
WIDTH = 32  # of the text encoder
POSITIONS = 24
TINY_PLACES = tuple(
    Place(f"{path}.transformer_blocks.0", 32, 4)
    for path in ("mid_block.attentions.0", "up_blocks.0.attentions.0", "up_blocks.0.attentions.1")
)


def build_tiny_tokenizer(words: str = WORDS) -> CLIPTokenizer:
    """A CLIP tokenizer that knows every byte and has merges for the given words."""
    letters = sorted(ByteLevel.alphabet())
    vocabulary = letters + [letter + "</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in words.split():
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = ["".join(pair), *parts[2:]]
            if parts[0] not in vocabulary:
                vocabulary.append(parts[0])
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(vocabulary)},
        merges=merges,  # type: ignore[arg-type]  # pairs are what it takes, whatever its annotation says
        model_max_length=POSITIONS,
    )


def build_tiny_stable_diffusion(
    folder: Path,
    *,
    seed: int = 0,
    prediction_type: str = "v_prediction",
    scheduler: Any = None,
    native_size: int = 64,
    width: int = WIDTH,
    latent_rgb: list[list[float]] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a random Stable-Diffusion-format folder: f8 autoencoder, 4 latent channels.

    scheduler: a Diffusers scheduler to save instead of DDIM.  width: of the text states, and of its cross-attention.
    latent_rgb: [4][3] for hearsight.json.
    The pictures are noise, but they depend on prompt, word and seed.
    """
    tokenizer = build_tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=POSITIONS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=native_size // 8,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=width,
            attention_head_dim=4,
            norm_num_groups=8,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=native_size,
        )
        for module in (text_encoder, unet):  # fresh networks hardly react to the text; these do
            for name, parameter in module.named_parameters():
                if "to_v" in name or "to_out" in name or "token_embedding" in name:
                    nn.init.normal_(parameter, std=0.3)
    tokenizer.save_pretrained(folder / "tokenizer")
    transformers_logging.disable_progress_bar()
    for name, module in (("text_encoder", text_encoder), ("unet", unet), ("vae", vae)):
        nn.Module.to(module, dtype)
        module.save_pretrained(folder / name)
    if scheduler is None:
        scheduler = DDIMScheduler(
            beta_schedule="scaled_linear",
            prediction_type=prediction_type,
            clip_sample=False,
            set_alpha_to_one=False,
            timestep_spacing="trailing",
            rescale_betas_zero_snr=prediction_type == "v_prediction",
        )
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", type(scheduler).__name__],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    defaults: dict[str, Any] = {
        "native_size": native_size,
        "num_inference_steps": 4,
        "guidance_scale": 3.0,
        "negative_prompt": "blurry",
    }
    if latent_rgb is not None:
        defaults |= {"latent_rgb": latent_rgb, "latent_rgb_bias": [0.1, 0.0, -0.1]}
    (folder / "hearsight.json").write_text(json.dumps(defaults))
    return folder


class TinyEar(nn.Module, Encoder):
    """A random ear: loudness in 16 stretches of time, through one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.sample_rate, self.dim, self.labels = 8000, 24, ("rain", "dog", "sea")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.project = nn.Linear(1, self.dim)
            self.head = nn.Linear(self.dim, len(self.labels))

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        return cls().eval().requires_grad_(False)

    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        tokens = torch.stack([self._tokens(clip) for clip in clips])
        pooled = tokens.mean(dim=1)
        return SoundEmbedding(
            tokens,
            torch.ones(tokens.shape[:2], dtype=torch.bool),
            pooled,
            torch.stack([self.head(one) for one in pooled]),
        )

    def _tokens(self, clip: Clip) -> Tensor:
        samples = self.waveform(clip)
        energy = torch.nn.functional.adaptive_avg_pool1d(samples.square()[None], 16)[0]
        return torch.tanh(self.project((energy + 1e-6).log()[:, None] / 4))


class TinyAdapter(nn.Module, Adapter):
    """A random adapter: two vectors per word, linear in the pooled embedding."""

    encoder = "tiny-ear"

    def __init__(self, width: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            self.project = nn.Linear(24, 2 * width)

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        return cls(backbone_dims.text_width).eval().requires_grad_(False)

    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        return Conditioning(torch.stack([self.project(one).reshape(2, -1) for one in embedding.pooled]))


class TinyGated(GatedAdapter):
    """A random gated adapter for the tiny model: three tokens, and gates wide open so that sounds are seen."""

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        width = backbone_dims.context_width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            adapter = cls(
                GatedConfig(TINY_PLACES, "tiny-ear", sound_dim=24, count=3, width=width, hidden=32, text_width=width)
            )
            for name, parameter in adapter.network.layers.named_parameters():
                if "gate" in name or "to_v" in name:
                    nn.init.normal_(parameter, std=2.0)
        return adapter.eval().requires_grad_(False)


@contextmanager
def registered(registry: Registry[Any], name: str, item: Any) -> Iterator[None]:
    """While the context is open, the registry knows `item` as `name`."""
    registry.names()  # scanned first, so that the scan does not happen half-way
    registry.register(name)(item)
    try:
        yield
    finally:
        del registry._items[name]


@contextmanager
def tiny_plugins() -> Iterator[None]:
    """While the context is open, there are the ear "tiny-ear" and the adapters "tiny-word" and "tiny-gated"."""
    with (
        registered(ENCODERS, "tiny-ear", TinyEar),
        registered(ADAPTERS, "tiny-word", TinyAdapter),
        registered(ADAPTERS, "tiny-gated", TinyGated),
    ):
        yield


def tone(seconds: float = 1.0, rate: int = 16_000, hertz: float = 440.0, name: str = "tone.wav") -> Clip:
    """A sine that swells, so that it has a loudest part."""
    time = torch.arange(int(seconds * rate)) / rate
    swell = 0.2 + 0.6 * torch.sin(torch.pi * time / seconds)
    return Clip((swell * torch.sin(2 * torch.pi * hertz * time)).numpy()[None], rate, name)


def noise(seconds: float = 1.0, rate: int = 16_000, seed: int = 0, name: str = "noise.wav") -> Clip:
    """White noise at about -20 dBFS."""
    generator = torch.Generator().manual_seed(seed)
    return Clip((0.1 * torch.randn(1, int(seconds * rate), generator=generator)).numpy(), rate, name)


def fingerprint(module: nn.Module) -> dict[str, bytes]:
    """Every parameter, buffer and hook of a network, to see whether anything has changed."""
    state = {name: value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
             for name, value in [*module.named_parameters(), *module.named_buffers()]}  # fmt: skip
    hooks = {
        f"hooks of {name}": repr([len(part._forward_hooks), len(part._forward_pre_hooks), part.training]).encode()
        for name, part in module.named_modules()
    }
    return state | hooks
