"""What the image models have in common: an autoencoder, a scheduler's config, a place in memory, and additions.

Letters as in `base`.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from studio.backbones._lora import fold
from studio.backbones._memory import Residence, check_room, free_memory, plan_memory, tiles_needed
from studio.backbones._parts import digest_of, frozen, load_parts, read_json
from studio.backbones._safety import SafetyChecker, checker_wanted
from studio.backbones._variant import Variant
from studio.backbones.base import Backbone, ModelDefaults, TextStates
from studio.device import DeviceChoice
from studio.errors import HearsightError, InputError

# Schedulers of models that were distilled to a few steps, and what their authors draw with.
FEW_STEP_SCHEDULERS = ("LCMScheduler", "TCDScheduler")


class LatentDiffusion(Backbone):
    """A loaded model folder. The denoising network in `choice.dtype`; CLIP and the autoencoder in float32.

    parts: the components by name, tokenizers included; the networks are taken over and changed (number format,
    LoRA files).  scheduler_config: as in the folder.  defaults: hearsight.json's, None = what the config suggests.
    """

    COMPONENTS: ClassVar[dict[str, Any]]  # the class of each, or a function folder -> component
    DENOISER: ClassVar[str] = "unet"
    USUAL: ClassVar[dict[str, Any]] = {}  # steps and guidance usual for this form of model, by ModelDefaults' names

    def __init__(
        self,
        source: Path,
        choice: DeviceChoice,
        parts: dict[str, Any],
        scheduler_config: dict[str, Any],
        defaults: ModelDefaults | None = None,
        variant: Variant | None = None,
    ) -> None:
        super().__init__()
        self.source, self.parts, self.variant = source, parts, variant or Variant()
        self.scheduler_config = scheduler_config
        if self.variant.scheduler:
            self.scheduler_config = {**scheduler_config, "_class_name": self.variant.scheduler}
        self.vae: AutoencoderKL = parts["vae"]
        self._digest: str | None = None
        self._checker: SafetyChecker | None = None
        for lora in self.variant.loras:
            fold(lora, {name: part for name, part in self.modules().items() if name != "vae"})
        self.defaults = defaults or self._own_defaults()
        dtypes = {name: choice.dtype if name == self.DENOISER else self._dtype(name) for name in self.modules()}
        plan = plan_memory(
            {
                name: sum(parameter.numel() for parameter in part.parameters()) * dtypes[name].itemsize
                for name, part in self.modules().items()
            },
            free_memory(choice.device),
            choice.device,
            native_size=self.defaults.native_size,
            vae_channels=self.vae.config["block_out_channels"][0],
        )
        self.choice = choice._replace(reason=f"{choice.reason}; {plan.reason}")
        if plan.offload or plan.slice_attention or plan.tile_vae:
            self.notes = (f"Little memory is free, so this model works more slowly ({plan.reason}).",)
        self.residence = Residence(choice.device, plan.offload)
        for name, part in self.modules().items():
            frozen(part, torch.device("cpu") if plan.offload else choice.device, dtypes[name])
        if plan.slice_attention and hasattr(self.denoiser, "set_attention_slice"):
            self.denoiser.set_attention_slice("auto")
        # Half a side is a quarter of the memory; a tile is whole latent pixels.
        edge = max(64, self.defaults.native_size // 2) // self._downscale * self._downscale
        self.vae.tile_sample_min_size, self.vae.tile_latent_min_size = edge, edge // self._downscale
        if plan.tile_vae:
            self.vae.enable_tiling()

    @classmethod
    def load(cls, folder: Path, choice: DeviceChoice, variant: Variant | None = None) -> Self:
        """Read the folder's components, strictly: every weight must be there, in its shape."""
        variant = variant or Variant()
        kinds = cls.kinds(folder, variant)
        check_room(sum(cls.loaded_bytes(name, weight_files(folder / name)) for name in kinds), folder.name)
        own = folder / "hearsight.json"
        return cls(
            folder,
            choice,
            cls.checked(folder, load_parts(folder, kinds)),
            read_json(folder / "scheduler" / "scheduler_config.json"),
            ModelDefaults(**read_json(own)) if own.exists() else None,
            variant,
        ).with_checker()

    @classmethod
    def kinds(cls, folder: Path, variant: Variant) -> dict[str, Any]:
        """The components to load from this folder."""
        return cls.COMPONENTS

    @classmethod
    def loaded_bytes(cls, component: str, files: list[Path]) -> int:
        """About how much memory loading a component's files takes: they become float32."""
        return sum(file.stat().st_size * (2 if "fp16" in file.name else 1) for file in files)

    @classmethod
    @abstractmethod
    def checked(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """The parts, if they fit together. Raises InputError when not."""

    def with_checker(self) -> Self:
        """Take up the folder's own safety checker, if it has one and it is not switched off."""
        if (self.source / "safety_checker").is_dir() and checker_wanted():
            self._checker = SafetyChecker(self.source)
        return self

    def modules(self) -> dict[str, nn.Module]:
        return {name: part for name, part in self.parts.items() if isinstance(part, nn.Module)}

    @property
    def denoiser(self) -> Any:
        """The network that is called in every step."""
        return self.parts[self.DENOISER]

    def digest(self) -> str:
        """Over every file of the components and every addition; read once, then remembered."""
        if self._digest is None:
            self._digest = digest_of(self.source, (*self.COMPONENTS, "scheduler"), self.variant.marks())
        return self._digest

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        self.residence.bring(self.vae)
        latents = self.vae.encode(pixels.to(self.choice.device)).latent_dist.mode()
        return cast(Tensor, (latents - self._shift) * self.vae.config["scaling_factor"])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        self.residence.bring(self.vae)
        with self._in_tiles_where_needed(latents):
            pixels = self.vae.decode(latents / self.vae.config["scaling_factor"] + self._shift, return_dict=False)[0]
        if not torch.isfinite(pixels).all():
            raise HearsightError(
                "The model computed a picture of invalid numbers. Try another seed or lower guidance; "
                "if it happens always, the model's weights are damaged."
            )
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        pictures = cast("np.ndarray[Any, np.dtype[np.uint8]]", levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())
        if self._checker is not None:
            self._checker.check(pictures)
        return pictures

    def notes_at(self, width: int, height: int) -> tuple[str, ...]:
        if self.vae.use_tiling or not self._too_large(width * height):
            return self.notes
        return (*self.notes, f"Little memory is free for {width} x {height} px, so the picture is decoded in tiles.")

    def _too_large(self, pixels: int) -> bool:
        """Whether pictures beyond the native size, for which memory was planned, need more than is free just now."""
        if pixels <= self.defaults.native_size**2:
            return False
        return tiles_needed(free_memory(self.choice.device), pixels, self.vae.config["block_out_channels"][0])

    @contextmanager
    def _in_tiles_where_needed(self, latents: Tensor) -> Iterator[None]:
        """Decode a picture beyond the native size in tiles where memory is short; afterwards all is as before."""
        height, width = latents.shape[-2:]
        if self.vae.use_tiling or not self._too_large(len(latents) * height * width * self._downscale**2):
            yield
            return
        self.vae.enable_tiling()
        try:
            yield
        finally:
            self.vae.disable_tiling()

    def scheduler(self) -> Any:
        """The folder's own scheduler class, made by its config (prediction type and noise schedule included)."""
        name = str(self.scheduler_config.get("_class_name", "DDIMScheduler"))
        kind = getattr(importlib.import_module("diffusers.schedulers"), name, None) if name.isidentifier() else None
        if kind is None or not name.endswith("Scheduler"):
            raise InputError(f"The model {self.source} asks for a scheduler {name!r} that Diffusers does not have.")
        return kind.from_config(self.scheduler_config)

    def _own_defaults(self) -> ModelDefaults:
        """What a folder without a hearsight.json is best drawn with, by its configs."""
        size = int(self.denoiser.config.get("sample_size") or 64) * self._downscale
        return usual_defaults(self.USUAL, size, self.scheduler_config, self.embeds_guidance)

    def _dtype(self, component: str) -> torch.dtype:
        """The number format of the components that run once a picture."""
        return torch.float32

    @property
    def _downscale(self) -> int:
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    @property
    def _shift(self) -> float:
        return self.vae.config.get("shift_factor") or 0.0


def usual_defaults(
    usual: dict[str, Any], size: int, scheduler_config: dict[str, Any], embeds_guidance: bool
) -> ModelDefaults:
    """Steps, guidance and size by what a model's configs say. usual: of its form.  size: in px."""
    name = str(scheduler_config.get("_class_name", ""))
    values: dict[str, Any] = usual | {"native_size": min(1024, max(64, size))}
    if name in FEW_STEP_SCHEDULERS:
        values |= {"num_inference_steps": 4, "guidance_scale": 8.5 if embeds_guidance else 1.0}
    elif name.startswith("Euler") and scheduler_config.get("timestep_spacing") == "trailing":  # the Turbo models
        values |= {"num_inference_steps": 4, "guidance_scale": 1.0}
    return ModelDefaults(**values)


def unet_defects(folder: Path, unet: Any, vae: Any, text_width: int) -> None:
    """Raise InputError when a U-Net does not fit the text's width or the autoencoder."""
    if unet.config["cross_attention_dim"] != text_width:
        raise InputError(
            f"The model {folder} does not fit together: its U-Net reads text states of width "
            f"{unet.config['cross_attention_dim']}, its text encoder writes {text_width}."
        )
    if unet.config["in_channels"] != vae.config["latent_channels"]:
        raise InputError(
            f"The model {folder} does not draw from text alone: its U-Net reads {unet.config['in_channels']} "
            f"channels, its autoencoder has {vae.config['latent_channels']}. Inpainting models are not supported."
        )


def guidance_inputs(unet: Any, states: TextStates, default: float) -> dict[str, Tensor]:
    """The guidance scale as an input, for a U-Net that has it (Luo et al., "Latent Consistency Models", 2023).

    It is embedded as time is: w = scale - 1, times 1000, sines then cosines of width `time_cond_proj_dim`.
    """
    width = unet.config.get("time_cond_proj_dim")
    if width is None:
        return {}
    scale = torch.full((len(states),), default) if states.guidance is None else states.guidance.float()
    rates = torch.exp(torch.arange(width // 2) * (-np.log(10000.0) / (width // 2 - 1)))
    angles = ((scale.cpu() - 1) * 1000)[:, None] * rates
    return {"timestep_cond": torch.cat([angles.sin(), angles.cos()], dim=1).to(unet.device, unet.dtype)}


def weight_files(folder: Path) -> list[Path]:
    """The weight files that loading a component reads: the full ones, else those in half precision."""
    files = list(folder.glob("*.safetensors")) if folder.is_dir() else []
    return [path for path in files if "fp16" not in path.name] or files
