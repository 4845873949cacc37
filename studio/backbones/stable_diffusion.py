"""Stable Diffusion 1.x's form, which the embedded model shares: CLIP text encoder, U-Net, autoencoder.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022. Letters as in `base`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import numpy as np
import torch

# The modules themselves and not `diffusers`: the package's front door imports every pipeline it knows.
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.utils import logging as transformers_logging

from studio.backbones import BACKBONES
from studio.backbones.base import Backbone, BackboneDims, ModelDefaults, TextMarks
from studio.device import DeviceChoice
from studio.errors import HearsightError, InputError

COMPONENTS: dict[str, Any] = {
    "tokenizer": CLIPTokenizer,
    "text_encoder": CLIPTextModel,
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
}

Network = TypeVar("Network", bound=nn.Module)


@BACKBONES.register("StableDiffusionPipeline")
class StableDiffusion(Backbone):
    """A loaded Stable Diffusion folder. U-Net in `choice.dtype`; text encoder and autoencoder in float32."""

    def __init__(
        self,
        source: Path,
        choice: DeviceChoice,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        scheduler_config: dict[str, Any],
        defaults: ModelDefaults,
    ) -> None:
        super().__init__()
        self.source, self.choice, self.defaults = source, choice, defaults
        self.tokenizer = tokenizer
        self.scheduler_config = scheduler_config
        self._digest: str | None = None
        self.text_encoder = _frozen(text_encoder, choice.device, torch.float32)
        self.unet = _frozen(unet, choice.device, choice.dtype)
        self.vae = _frozen(vae, choice.device, torch.float32)
        text, special = text_encoder.config, set(tokenizer.all_special_ids)
        self.dims = BackboneDims(
            text_width=text.hidden_size,
            context_width=unet.config["cross_attention_dim"],
            max_positions=min(text.max_position_embeddings, tokenizer.model_max_length),
            latent_channels=unet.config["in_channels"],
            downscale=2 ** (len(vae.config["block_out_channels"]) - 1),
        )
        self.marks = TextMarks(
            start=cast(int, tokenizer.bos_token_id),
            end=cast(int, tokenizer.eos_token_id),
            pad=cast(int, tokenizer.pad_token_id),
            # Any ordinary token does: its embedding is overwritten. The end mark would not, CLIP looks for it.
            filler=next(token for token in range(text.vocab_size) if token not in special),
        )

    @classmethod
    def load(cls, folder: Path, choice: DeviceChoice) -> Self:
        """Read the folder's components, strictly: every weight must be there, in its shape."""
        parts: dict[str, Any] = {}
        for name, kind in COMPONENTS.items():
            try:
                with _no_progress_bar():
                    parts[name] = _load_part(folder / name, kind)
            except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise InputError(
                    f"The model {folder} cannot be loaded: its {name!r} is missing or damaged ({reason}). "
                    "Copy the complete Diffusers folder again."
                ) from error
        unet, text_encoder, vae = parts["unet"], parts["text_encoder"], parts["vae"]
        if unet.config["cross_attention_dim"] != text_encoder.config.hidden_size:
            raise InputError(
                f"The model {folder} does not fit together: its U-Net reads text states of width "
                f"{unet.config['cross_attention_dim']}, its text encoder writes {text_encoder.config.hidden_size}."
            )
        if unet.config["in_channels"] != vae.config["latent_channels"]:
            raise InputError(
                f"The model {folder} does not draw from text alone: its U-Net reads {unet.config['in_channels']} "
                f"channels, its autoencoder has {vae.config['latent_channels']}. Inpainting models are not supported."
            )
        defaults = folder / "hearsight.json"
        return cls(
            source=folder,
            choice=choice,
            scheduler_config=_read_json(folder / "scheduler" / "scheduler_config.json"),
            defaults=ModelDefaults(**_read_json(defaults)) if defaults.exists() else ModelDefaults(),
            **parts,
        )

    def digest(self) -> str:
        """Over every file of the components; read once, then remembered."""
        if self._digest is None:
            total = hashlib.sha256()
            for part in (*COMPONENTS, "scheduler"):
                for path in sorted((self.source / part).iterdir()):
                    if path.suffix in (".json", ".txt", ".safetensors", ".bin"):
                        with path.open("rb") as file:
                            content = hashlib.file_digest(file, "sha256").digest()
                        total.update(f"{part}/{path.name}:".encode() + content)
            self._digest = total.hexdigest()[:16]
        return self._digest

    def modules(self) -> dict[str, nn.Module]:
        return {"text_encoder": self.text_encoder, "unet": self.unet, "vae": self.vae}

    @property
    def token_embedding(self) -> nn.Module:
        return self.text_encoder.get_input_embeddings()

    def token_ids(self, text: str) -> list[int]:
        # split_special_tokens: a prompt that spells out an end mark gets letters, not the mark.
        return cast(list[int], self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)

    @torch.no_grad()
    def encode_text(self, ids: Tensor) -> Tensor:
        return cast(Tensor, self.text_encoder(ids.to(self.choice.device)).last_hidden_state)

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, states: Tensor) -> Tensor:
        dtype = self.choice.dtype
        output = self.unet(latents.to(dtype), timestep, states.to(dtype), return_dict=False)[0]
        return cast(Tensor, output.float())

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        latents = self.vae.encode(pixels.to(self.choice.device)).latent_dist.mode()
        return cast(Tensor, (latents - self._shift) * self.vae.config["scaling_factor"])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        pixels = self.vae.decode(latents / self.vae.config["scaling_factor"] + self._shift, return_dict=False)[0]
        if not torch.isfinite(pixels).all():
            raise HearsightError(
                "The model computed a picture of invalid numbers. Try another seed or lower guidance; "
                "if it happens always, the model's weights are damaged."
            )
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return cast("np.ndarray[Any, np.dtype[np.uint8]]", levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())

    @property
    def _shift(self) -> float:
        return self.vae.config.get("shift_factor") or 0.0

    def scheduler(self) -> Any:
        """The folder's own scheduler class, made by its config (prediction type and noise schedule included)."""
        name = str(self.scheduler_config.get("_class_name", "DDIMScheduler"))
        kind = getattr(importlib.import_module("diffusers.schedulers"), name, None) if name.isidentifier() else None
        if kind is None or not name.endswith("Scheduler"):
            raise InputError(f"The model {self.source} asks for a scheduler {name!r} that Diffusers does not have.")
        return kind.from_config(self.scheduler_config)


def _load_part(folder: Path, kind: Any) -> Any:
    """One component from its folder, never from the network. Raises ValueError when weights are missing."""
    if not folder.is_dir():
        raise OSError(f"there is no folder {folder}")
    if kind is CLIPTokenizer:
        return kind.from_pretrained(folder, local_files_only=True)
    # float32 first: asking the libraries for another dtype makes them change torch's global default while they load.
    # Diffusers would load with less memory through accelerate, and warns at every start that it is not there.
    plain = {"low_cpu_mem_usage": False} if issubclass(kind, ModelMixin) else {}
    part, report = kind.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, dtype=torch.float32, **plain
    )
    # The libraries fill what is missing with random numbers and only log it.
    if missing := sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"]):
        raise ValueError(f"{len(missing)} weights are missing or of the wrong shape, the first is {missing[0]}")
    return part


def _frozen(module: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network on its device, in eval mode, without gradients."""
    module.requires_grad_(False)
    # torch's own methods: Diffusers' `to` warns about layers that it then names as [].
    nn.Module.to(nn.Module.eval(module), device, dtype)
    if device.type == "cpu" and dtype == torch.float32:
        # The processor's convolutions are 2-3 times faster with channels last in float32, and slower in bfloat16.
        nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"The model file {path} is missing or damaged ({error}).") from None
    if not isinstance(values, dict):
        raise InputError(f"The model file {path} is damaged: it must be a JSON object.")
    return values


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Transformers draws a bar on stderr while it loads; ours would be broken by it."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
