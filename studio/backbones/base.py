"""What a backbone is: a frozen text-to-image model, cut into the pieces that the denoising loop needs.

Letters: B pictures, L text positions, D text width, E context width, C latent channels, h x w latent size,
H x W picture size in pixels.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor, nn

from studio.device import DeviceChoice
from studio.fields import Strict, setting


@dataclass(frozen=True)
class BackboneDims:
    """The sizes an adapter must fit.

    text_width: D of the text encoder's input embeddings; the width of the word A*.
    context_width: E, the width of the text states that the U-Net's cross-attention reads.
    max_positions: L, the text positions of one prompt, start and end marks included.
    latent_channels: C.  downscale: picture pixels per latent pixel, on each axis.
    """

    text_width: int
    context_width: int
    max_positions: int
    latent_channels: int
    downscale: int


@dataclass(frozen=True)
class TextMarks:
    """Token ids with a meaning: a prompt is start, its tokens, end, then pad to L. filler stands where A* goes."""

    start: int
    end: int
    pad: int
    filler: int


class ModelDefaults(Strict):
    """A model folder's hearsight.json: what a recipe that leaves these open gets. The values here are SD 1.x's."""

    native_size: int = setting(512, "Width and height the model was trained for.", ge=64, le=1024, multiple_of=8)
    num_inference_steps: int = setting(50, "Denoising steps.", ge=1, le=100)
    guidance_scale: float = setting(7.5, "Strength of classifier-free guidance.", ge=0, le=30)
    negative_prompt: str = setting("", "What the model's pictures should stay away from.", max_length=2000)
    latent_rgb: tuple[tuple[float, float, float], ...] | None = setting(
        None, "[C][3]: picture (RGB, -1..1) from latents, linearly, for previews; fitted on first use when absent."
    )
    latent_rgb_bias: tuple[float, float, float] = setting((0.0, 0.0, 0.0), "[3]: added to it.")


class Backbone(ABC):
    """A loaded model in eval mode, without gradients. Nothing that happens in a request may change it.

    name: set by the registry (the pipeline class in model_index.json).  source: the folder it came from.
    dims, marks, defaults: see their classes.  choice: device, dtype and why.
    lock: held for the length of one call into the model, never across a yield, so that a request that is abandoned
        half-way neither blocks the others nor leaves a hook behind.
    """

    name: ClassVar[str]
    source: Path
    dims: BackboneDims
    marks: TextMarks
    defaults: ModelDefaults
    choice: DeviceChoice

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, choice: DeviceChoice) -> Self:
        """Read a model folder in Diffusers' format. Raises InputError when it cannot be used."""

    @abstractmethod
    def digest(self) -> str:
        """16 hex digits over the files that decide what the model draws."""

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """The networks by component name, for training, for checks and for hooks."""

    @property
    @abstractmethod
    def token_embedding(self) -> nn.Module:
        """The layer token ids [B, L] -> [B, L, D] where a hook places A*."""

    @abstractmethod
    def token_ids(self, text: str) -> list[int]:
        """The ids of a text, without start and end marks."""

    @abstractmethod
    def encode_text(self, ids: Tensor) -> Tensor:
        """int64 [B, L] -> float32 [B, L, E], the states that cross-attention reads."""

    @abstractmethod
    def predict(self, latents: Tensor, timestep: Tensor, states: Tensor) -> Tensor:
        """float32 [B, C, h, w], timestep [] or [B], float32 [B, L, E] -> the U-Net's float32 [B, C, h, w]."""

    @abstractmethod
    def encode(self, pixels: Tensor) -> Tensor:
        """float32 [B, 3, H, W] in -1..1 -> latents float32 [B, C, h, w] (the mean), scaled as the U-Net knows them."""

    @abstractmethod
    def decode(self, latents: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Latents float32 [B, C, h, w] -> uint8 [B, H, W, 3]. Raises HearsightError when they are not finite."""

    @abstractmethod
    def scheduler(self) -> Any:
        """A fresh Diffusers scheduler from the folder's config; it belongs to one picture."""
