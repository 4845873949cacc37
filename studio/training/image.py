"""The pocket image model: text encoder and U-Net trained together on captioned latents, written as a Diffusers folder.

v-prediction (Salimans & Ho 2022) on a cosine schedule (Nichol & Dhariwal 2021), 10 % of the captions empty for
classifier-free guidance. Steps of little noise are weighted as by min-SNR with gamma 5 (Hang et al. 2023, section 3.4:
min(SNR, gamma) / (SNR + 1) for v), those of much noise more than there, by the root.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from studio.backbones.base import ModelDefaults
from studio.backbones.stable_diffusion import StableDiffusion
from studio.data.attributes import Attributes, measure
from studio.data.photos import Photos
from studio.data.shards import Vocabulary
from studio.device import pick_device
from studio.evaluation.paint import paint_text
from studio.evaluation.sheets import save_grid
from studio.training.autoencoder import to_tensor
from studio.training.captions import caption
from studio.training.latents import Latents
from studio.training.loop import Task

SNR_GAMMA = 5.0
EMPTY_CAPTIONS = 0.1
TEXT_GAIN = 4.0
FINER = 2.0  # larger sizes: half of their timesteps lie in the quarter of least noise
SHEET = (
    "sea",
    "forest",
    "dog",
    "train",
    "sunset",
    "piano",
    "fire",
    "stormy sky",
    "city street",
    "frog",
    "church",
    "bird",
)


def new_unet(
    channels: tuple[int, ...] = (64, 128, 256), layers: int = 1, text_width: int = 256, latent_channels: int = 8
) -> UNet2DConditionModel:
    """An untrained U-Net of Stable Diffusion's kind: no attention at the finest level, self- and cross-attention
    below.
    """
    down = ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (len(channels) - 1)
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=down,
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        block_out_channels=channels,
        layers_per_block=layers,
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=16,
    )
    # With the usual start one word of 32 positions moves the output by 1 %; louder values let the text be heard early.
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if name.endswith("attn2.to_v.weight"):
                weight.mul_(TEXT_GAIN)
    return unet


def new_scheduler() -> DDIMScheduler:
    """The noise schedule that model and sampler share: cosine, v-prediction, last timestep first."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )


def encode_text(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, texts: list[str]) -> Tensor:
    """Prompts -> hidden states [B, L, D], padded to the tokenizer's length as Stable Diffusion does."""
    ids = tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
    return text_encoder(ids.to(text_encoder.device)).last_hidden_state


def diffusion_loss(
    unet: UNet2DConditionModel,
    latents: Tensor,
    hidden: Tensor,
    alphas: Tensor,
    generator: torch.Generator,
    finer: float = 1.0,
) -> Tensor:
    """Mean weighted v-prediction error. latents [B, C, h, w], hidden [B, L, D], alphas [1000] cumulative.

    finer: from 1 up; with 2, the timesteps, 0..1 of all, are drawn as squares of even ones: more of them near 0.
    """
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    # Stratified over the batch: less noise in the loss than independent draws.
    positions = (torch.arange(len(latents)) + torch.rand(len(latents), generator=generator)) / len(latents)
    timesteps = (positions**finer * len(alphas)).long().clamp(max=len(alphas) - 1).to(latents.device)
    alpha = alphas.to(latents.device)[timesteps].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    dtype = unet.dtype  # a frozen U-Net may be in half precision
    predicted = unet(noisy.to(dtype), timesteps, encoder_hidden_states=hidden.to(dtype)).sample.float()
    # In terms of alpha = SNR / (SNR + 1), min-SNR is min(alpha, gamma (1 - alpha)). It all but ignores much noise,
    # where words matter most (with the wrong noun the error grows by 1 % at SNR 3, by 5 % at 0.08). The root is
    # half-way to counting all steps alike.
    weight = torch.minimum(alpha.sqrt(), SNR_GAMMA * (1 - alpha))
    return (weight * (predicted - velocity).square()).mean()


@dataclass(frozen=True)
class SizeSet:
    """What is drawn at one size. size: px.  weights: float64 [M], how often each latent.  batch: share of a batch."""

    latents: Latents
    size: int
    weights: Tensor
    batch: float


class ImageTask(Task):
    """Text encoder and U-Net on cached latents; classes are drawn nearly evenly, whatever their number of photos.

    latents : those of each size to train at, the smallest first. With several sizes a step takes one of them: half of
        the steps the smallest, where whole things are learned and all photos are sharp, the rest the larger ones, with
        so many fewer samples that a step takes as long, and more often with little noise, as what they are for is to
        add detail.
    train_text : the first stage trains both. A later stage leaves the text encoder as it is: it tells the words apart
        by then, and its share is a third of the step's time.
    favoured : picture classes that make up half of all draws; for things that a finished model draws badly.
    """

    name = "pocket-image"
    # At the U-Net's rate the text encoder's layers drift to one state for all texts before the U-Net listens to them.
    rates: ClassVar[dict[str, float]] = {"text_encoder": 0.1}

    def __init__(
        self,
        photos: Photos,
        latents: Sequence[Latents],
        vocabulary: Vocabulary,
        vae: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        unet: UNet2DConditionModel,
        device: str = "cpu",
        train_text: bool = True,
        favoured: Sequence[str] = (),
    ) -> None:
        self.photos, self.vocabulary, self.device = photos, vocabulary, device
        self.vae, self.tokenizer, self.text_encoder, self.unet = vae, tokenizer, text_encoder, unet
        self.modules = {"text_encoder": text_encoder, "unet": unet} if train_text else {"unet": unet}
        if not train_text:
            text_encoder.eval().requires_grad_(False).to(device)
        if device == "cpu":  # for maps this small the plain products are 1.4 times as fast as the fused attention
            unet.set_attn_processor(AttnProcessor())
        self.scheduler = new_scheduler()
        self.favoured = [vocabulary.pictures.index(name) for name in favoured]
        smallest = latents[0].values.shape[-1]
        self.sets = []
        for one in latents:
            edge = one.values.shape[-1]
            details = edge > smallest
            self.sets.append(SizeSet(one, edge * 8, self._weights(one, edge * 8, details), (smallest / edge) ** 2))
        self.sizes = [one.size for one in self.sets]  # px
        self.attributes: list[Attributes] = [measure(photos[index]) for index in range(len(photos))]

    def _weights(self, latents: Latents, size: int, details: bool) -> Tensor:
        """Per-class share ~ count^0.2, so that 35 photos of the night sky are not drawn as often as 1,009 of the sea;
        styled copies are 10 % of all draws. For details also fewer of the photos that are smaller than `size` px.
        """
        labels = self.photos.labels[latents.photos]
        counts = np.bincount(labels, minlength=len(self.vocabulary.pictures))
        plain = np.array([style == "photo" for style in latents.styles])
        weight = np.where(plain, 1.0, 0.0) * counts[labels] ** -0.8
        if details:
            weight *= np.minimum(1.0, self.photos.sides[latents.photos] / size) ** 2
        more = np.isin(labels, self.favoured)
        if more.any():
            weight = np.where(more, weight / weight[more].sum(), weight / weight[~more].sum())
        styled = np.where(plain, 0.0, 1.0)
        return torch.from_numpy(0.9 * weight / weight.sum() + 0.1 * styled / max(1.0, styled.sum()))

    def captions(self, part: SizeSet, rows: list[int], draw: np.random.Generator) -> list[str]:
        """One for each of `rows` of a size; a tenth are empty."""
        texts = []
        for row in rows:
            photo = int(part.latents.photos[row])
            nouns = self.vocabulary.nouns[self.vocabulary.pictures[int(self.photos.labels[photo])]]
            share = float(self.photos.sides[photo]) / part.size
            text = caption(nouns, share, self.attributes[photo], draw, part.latents.styles[row])
            texts.append("" if draw.random() < EMPTY_CAPTIONS else text)
        return texts

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        choice, larger = float(torch.rand(1, generator=generator)), len(self.sets) - 1
        number = 0 if choice < 0.5 else min(larger, 1 + int((choice - 0.5) * 2 * larger))
        part = self.sets[number]
        batch = max(1, round(batch_size * part.batch))
        rows = torch.multinomial(part.weights, batch, generator=generator).tolist()
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        latents = torch.from_numpy(part.latents.values[np.array(rows)].astype(np.float32)).to(self.device)
        mirrored = torch.rand(batch, generator=generator).to(self.device) < 0.5
        latents = torch.where(mirrored.view(-1, 1, 1, 1), latents.flip(-1), latents)
        hidden = encode_text(self.tokenizer, self.text_encoder, self.captions(part, rows, draw))
        finer = 1.0 if number == 0 else FINER
        loss = diffusion_loss(self.unet, latents, hidden, self.scheduler.alphas_cumprod, generator, finer)
        return {"loss": loss, f"loss_{part.size}": loss.detach()}

    def backbone(self) -> StableDiffusion:
        """The present state as the engine would load it; copies, because a backbone changes the number format."""
        text_encoder, unet, vae = (copy.deepcopy(self.text_encoder), copy.deepcopy(self.unet), copy.deepcopy(self.vae))
        config = {"_class_name": "DDIMScheduler", **self.scheduler.config}
        return StableDiffusion(
            Path("."),
            pick_device(self.device),
            {"tokenizer": self.tokenizer, "text_encoder": text_encoder, "unet": unet, "vae": vae},
            config,
            ModelDefaults(**drawn_by_default(self.sizes)),
        )

    def samples(self, path: Path) -> None:
        backbone = self.backbone()
        prompts = [f"a photo of {'an' if noun[0] in 'aeiou' else 'a'} {noun}" for noun in SHEET]
        painted = (
            paint_text(backbone, prompt, seed, size=self.sizes[-1], num_inference_steps=12)
            for seed, prompt in enumerate(prompts)
        )
        pictures = [np.asarray(picture) for picture in painted]
        save_grid(pictures, path.with_suffix(".jpg"), columns=6)

    def export(self, folder: Path) -> None:
        parts = (self.vae, self.tokenizer, self.text_encoder, self.unet)
        export_model(folder, *parts, self.photos, self.sizes)


def forget_origin(config: Path) -> None:
    """Take out of a saved config.json the folder that its model was once loaded from: it is nobody's business."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values.pop("_name_or_path", None)
    config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def latent_to_rgb(vae: AutoencoderKL, photos: Photos) -> tuple[list[list[float]], list[float]]:
    """Least-squares linear map from scaled latents to RGB in -1..1, for previews without the decoder: [C][3], [3]."""
    inputs, targets = [], []
    for index in np.linspace(0, len(photos) - 1, 128).astype(int):
        pixels = photos.resized(int(index), 128)[None]
        mean = vae.encode(to_tensor(pixels).to(vae.device)).latent_dist.mode().float() * vae.config["scaling_factor"]
        inputs.append(mean[0].flatten(1).T.cpu())
        targets.append(F.avg_pool2d(to_tensor(pixels), 8)[0].flatten(1).T)
    x = torch.cat(inputs)
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), torch.cat(targets)).solution
    return [[round(v, 5) for v in row] for row in solution[:-1].tolist()], [round(v, 5) for v in solution[-1].tolist()]


def drawn_by_default(sizes: Sequence[int]) -> dict[str, Any]:
    """The settings for a model trained at these sizes, in px, the smallest first.

    Pictures begin at the smallest and end at the largest, at least twice as large: detail is much alike at both.
    Photos are edited at the largest up to 128 px, where the U-Net has the 16 x 16 places that a layout needs; that is
    the native size, at least 64 px.
    """
    edited = [size for size in sizes if size <= 128]
    return {
        "native_size": max(64, edited[-1]) if edited else sizes[0],
        "begin_size": sizes[0],
        "picture_size": min(1024, max(sizes[-1], 2 * sizes[0])),
        "num_inference_steps": 20,
        "guidance_scale": 5.0,
        "edit_guidance_scale": 4.5,
        "negative_prompt": "blurry",
    }


def export_model(
    folder: Path,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    photos: Photos,
    sizes: Sequence[int],
) -> None:
    """Write a Diffusers folder (safetensors, float16 to halve it) with the studio's defaults beside it.

    sizes: that the model was trained at, in px, the smallest first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix, bias = latent_to_rgb(vae, photos)
    parts: dict[str, Any] = {"vae": vae, "text_encoder": text_encoder, "unet": unet}
    for name, module in parts.items():
        dtype = module.dtype
        module.half().save_pretrained(folder / name)
        module.to(dtype)
        forget_origin(folder / name / "config.json")
    tokenizer.save_pretrained(folder / "tokenizer")
    new_scheduler().save_pretrained(folder / "scheduler")
    components = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(components, indent=2) + "\n")
    defaults = {**drawn_by_default(sizes), "latent_rgb": matrix, "latent_rgb_bias": bias}
    (folder / "hearsight.json").write_text(json.dumps(defaults, indent=1) + "\n")
