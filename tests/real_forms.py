"""Tiny random folders in the formats of the models that artists use: SD 2.x, LCM, SDXL, PixArt. No mocks.

Each `build_*` writes a complete Diffusers folder with the published components, file names and config keys.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.pixart_transformer_2d import PixArtTransformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from tests.models import POSITIONS, WORDS, build_tiny_tokenizer

NOISE: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def _clip(tokenizer: CLIPTokenizer, width: int, act: str, projection: int | None = None) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=POSITIONS, hidden_act=act, projection_dim=projection or width,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return CLIPTextModel(config) if projection is None else CLIPTextModelWithProjection(config)


def _openclip_tokenizer() -> CLIPTokenizer:
    """The same words, padded with "!" as OpenCLIP's are."""
    tokenizer = build_tiny_tokenizer(WORDS)
    tokenizer.pad_token = "!"
    return tokenizer


def _unet(width: int, size: int, **more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=size // 8, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=width,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8, **({"attention_head_dim": 4} | more),
    )  # fmt: skip


def _vae(size: int, scaling: float = 0.18215) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=1,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=4, sample_size=size,
        scaling_factor=scaling,
    )  # fmt: skip


def _write(folder: Path, form: str, parts: dict[str, Any], **index: Any) -> Path:
    described: dict[str, Any] = {"_class_name": form, **index}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            for key, parameter in part.named_parameters():  # fresh networks hardly react to the text; these do
                if name != "vae" and ("to_v" in key or "to_out" in key or "token_embedding" in key):
                    nn.init.normal_(parameter, std=0.3)
        part.save_pretrained(folder / name)
        library = "transformers" if name.startswith(("text", "token")) else "diffusers"
        described[name] = [library, type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(described))
    return folder


def _seeded(build: Callable[..., Path]) -> Callable[..., Path]:
    def seeded(folder: Path, **options: Any) -> Path:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(options.pop("seed", 0)))
            return build(folder, **options)

    return seeded


@_seeded
def build_tiny_sd2(folder: Path) -> Path:
    """Stable Diffusion 2.x: OpenCLIP's text encoder, v-prediction, linear projections, heads of one width."""
    tokenizer = _openclip_tokenizer()
    scheduler = DDIMScheduler(
        prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1, **NOISE
    )
    parts = {
        "tokenizer": tokenizer, "text_encoder": _clip(tokenizer, 48, "gelu"),
        "unet": _unet(48, 96, attention_head_dim=(2, 4), use_linear_projection=True), "vae": _vae(96),
        "scheduler": scheduler,
    }  # fmt: skip
    return _write(folder, "StableDiffusionPipeline", parts)


@_seeded
def build_tiny_lcm(folder: Path) -> Path:
    """A latent consistency model: the guidance scale is an input of the U-Net."""
    tokenizer = build_tiny_tokenizer(WORDS)
    parts = {
        "tokenizer": tokenizer, "text_encoder": _clip(tokenizer, 32, "quick_gelu"),
        "unet": _unet(32, 64, time_cond_proj_dim=16), "vae": _vae(64),
        "scheduler": LCMScheduler(clip_sample=False, set_alpha_to_one=True, **NOISE),
    }  # fmt: skip
    return _write(folder, "LatentConsistencyModelPipeline", parts)


@_seeded
def build_tiny_sdxl(folder: Path, turbo: bool = False) -> Path:
    """SDXL: two text encoders of different width, pooled text and picture size as further inputs."""
    scheduler = EulerDiscreteScheduler(timestep_spacing="trailing" if turbo else "leading", steps_offset=1, **NOISE)
    one, two = build_tiny_tokenizer(WORDS), _openclip_tokenizer()
    unet = _unet(
        32 + 40, 64, attention_head_dim=(2, 4), use_linear_projection=True, transformer_layers_per_block=(1, 2),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 6 * 8,
    )  # fmt: skip
    parts = {
        "tokenizer": one, "tokenizer_2": two, "text_encoder": _clip(one, 32, "quick_gelu"),
        "text_encoder_2": _clip(two, 40, "gelu", projection=24), "unet": unet, "vae": _vae(64, 0.13025),
        "scheduler": scheduler,
    }  # fmt: skip
    return _write(folder, "StableDiffusionXLPipeline", parts, force_zeros_for_empty_prompt=True)


PIECES = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS.split()), "▁", *"abcdefghijklmnopqrstuvwxyz,.:*()"]


@_seeded
def build_tiny_pixart(folder: Path, text: bool = True, large: bool = False) -> Path:
    """PixArt-alpha: T5 in two shards with a SentencePiece file, a transformer with learned variance, DPM-Solver.

    text: False leaves T5 out.  large: with the picture's size as an input, as the 1024 px model.
    """
    transformer = PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=12, num_layers=2, cross_attention_dim=24,
        sample_size=128 if large else 8, caption_channels=32, norm_num_groups=8,
    )  # fmt: skip
    nn.init.normal_(transformer.proj_out.weight, std=0.3)
    parts = {"transformer": transformer, "vae": _vae(64), "scheduler": DPMSolverMultistepScheduler(**NOISE)}
    _write(folder, "PixArtAlphaPipeline", parts, text_encoder=[None, None], tokenizer=[None, None])
    if not text:
        return folder
    encoder = T5EncoderModel(
        T5Config(vocab_size=len(PIECES), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                 feed_forward_proj="gated-gelu")
    )  # fmt: skip
    nn.init.normal_(encoder.shared.weight, std=1.0)
    encoder.save_pretrained(folder / "text_encoder", max_shard_size="20KB")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(sentencepiece_file(PIECES))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"text_encoder": ["transformers", "T5EncoderModel"], "tokenizer": ["transformers", "T5Tokenizer"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def sentencepiece_file(pieces: list[str]) -> bytes:
    """A SentencePiece model as its protocol buffer has it: pieces with scores, a trainer's part, no normaliser."""

    def field(number: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    written = b""
    for index, piece in enumerate(pieces):
        score = bytes([2 << 3 | 5]) + struct.pack("<f", -0.1 * index)
        written += field(1, field(1, piece.encode()) + score + bytes([3 << 3, 1]))
    return written + field(2, bytes([3 << 3, 1]))


FORMS: dict[str, Callable[..., Path]] = {
    "tiny-sd2": build_tiny_sd2,
    "tiny-lcm": build_tiny_lcm,
    "tiny-sdxl": build_tiny_sdxl,
    "tiny-pixart": build_tiny_pixart,
}
