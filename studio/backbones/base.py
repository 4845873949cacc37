"""What a backbone is: a frozen text-to-image model, cut into the pieces that the denoising loop needs.

Letters: B pictures, L text positions, D text width, E context width, C latent channels, h x w latent size,
H x W picture size in pixels.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from studio.backbones._variant import Variant
from studio.device import DeviceChoice
from studio.fields import Strict, setting


@dataclass(frozen=True)
class BackboneDims:
    """The sizes an adapter must fit.

    text_width: D of the text encoder's input embeddings; the width of the word A*. With several text encoders the sum
        of their widths: each gets its own part of the word.
    context_width: E, the width of the text states that the U-Net's cross-attention reads.
    max_positions: L, the text positions of one prompt, start and end marks included.
    latent_channels: C.  downscale: picture pixels per latent pixel, on each axis.
    patch: latent pixels per token of a transformer, on each axis; 1 = a U-Net, which takes every size.
    """

    text_width: int
    context_width: int
    max_positions: int
    latent_channels: int
    downscale: int
    patch: int = 1


@dataclass(frozen=True)
class TextMarks:
    """Token ids with a meaning: a prompt is start, its tokens, end, then pad to L. filler stands where A* goes.

    start: None for text encoders without a start mark (T5).
    """

    start: int | None
    end: int
    pad: int
    filler: int


@dataclass(frozen=True)
class TextStates:
    """What a model reads of B prompts, row by row: everything but noise and time.

    tokens: float32 [B, L, E], what cross-attention reads.
    pooled: float32 [B, P], a whole prompt in one vector (SDXL).
    mask: bool [B, L], which of the tokens count; None = all of them.
    guidance: float32 [B], the guidance scale, for models that were distilled with it (see Backbone.embeds_guidance).
    """

    tokens: Tensor
    pooled: Tensor | None = None
    mask: Tensor | None = None
    guidance: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice) -> TextStates:
        """Some of the prompts; a slice, so that the rows stay rows."""
        return TextStates(*(None if part is None else part[rows] for part in self._parts()))  # type: ignore[arg-type]

    @staticmethod
    def cat(several: Sequence[TextStates]) -> TextStates:
        """All rows of states of one kind, in order."""
        columns = zip(*(states._parts() for states in several), strict=True)
        return TextStates(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]

    def replace(self, **changes: Tensor | None) -> TextStates:
        """A copy with other tokens, pooled, mask or guidance."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def _parts(self) -> tuple[Tensor | None, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


class ModelDefaults(Strict):
    """A model folder's hearsight.json: what a recipe that leaves these open gets. The values here are SD 1.x's."""

    native_size: int = setting(512, "Width and height the model was trained for.", ge=64, le=1024, multiple_of=8)
    begin_size: int | None = setting(
        None,
        "Short side of a picture's first stage, from which it is doubled up to its size; None = drawn in one stage.",
        ge=32,
        le=1024,
        multiple_of=8,
    )
    picture_size: int | None = setting(
        None, "Width and height of pictures that leave them open; None = native_size.", ge=64, le=1024, multiple_of=8
    )
    num_inference_steps: int = setting(50, "Denoising steps.", ge=1, le=100)
    guidance_scale: float = setting(7.5, "Strength of classifier-free guidance.", ge=0, le=30)
    edit_guidance_scale: float | None = setting(None, "The same for edits of photos; None = the same.", ge=0, le=30)
    negative_prompt: str = setting("", "What the model's pictures should stay away from.", max_length=2000)
    latent_rgb: tuple[tuple[float, float, float], ...] | None = setting(
        None, "[C][3]: picture (RGB, -1..1) from latents, linearly, for previews; fitted on first use when absent."
    )
    latent_rgb_bias: tuple[float, float, float] = setting((0.0, 0.0, 0.0), "[3]: added to it.")

    @property
    def side(self) -> int:
        """Width and height of pictures that leave them open."""
        return self.native_size if self.picture_size is None else self.picture_size


class Backbone(ABC):
    """A loaded model in eval mode, its weights frozen. Nothing that happens in a request may change it.

    `encode_text` and `predict` let gradients through to what is learned outside of it (a word, an adapter's tokens).

    name: set by the registry (the pipeline class in model_index.json).  source: the folder it came from.
    dims, marks, defaults: see their classes.  choice: device, dtype and why.
    embeds_guidance: whether the guidance scale is an input of the network (LCM) and not a second prediction.
    notes: sentences that whoever draws with this model should see, such as that it had to be spread over memories.
    lock: held for the length of one call into the model, never across a yield, so that a request that is abandoned
        half-way neither blocks the others nor leaves a hook behind.
    """

    name: ClassVar[str]
    source: Path
    dims: BackboneDims
    marks: TextMarks
    defaults: ModelDefaults
    choice: DeviceChoice
    embeds_guidance: bool = False
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, choice: DeviceChoice, variant: Variant | None = None) -> Self:
        """Read a model folder in Diffusers' format. variant: LoRA files and the like, None = the model as it is.

        Raises InputError when it cannot be used.
        """

    @abstractmethod
    def digest(self) -> str:
        """16 hex digits over the files that decide what the model draws."""

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """The networks by component name, for training, for checks and for hooks."""

    def notes_at(self, width: int, height: int) -> tuple[str, ...]:
        """`notes`, and what is to be said of pictures of that size in pixels."""
        return self.notes

    @property
    @abstractmethod
    def token_embedding(self) -> nn.Module:
        """The layer token ids [B, L] -> [B, L, D] where a hook places A*; the first one's if there are several."""

    @property
    def token_embeddings(self) -> tuple[nn.Module, ...]:
        """That layer of every text encoder. A* [n, D] is cut along D into one part for each, in this order."""
        return (self.token_embedding,)

    @abstractmethod
    def token_ids(self, text: str) -> list[int]:
        """The ids of a text, without start and end marks."""

    @abstractmethod
    def encode_text(self, ids: Tensor) -> TextStates:
        """int64 [B, L] -> B rows of states. Raises InputError when the model has no text encoder."""

    @abstractmethod
    def predict(self, latents: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        """float32 [B, C, h, w], timestep [] or [B], B rows of states -> the U-Net's float32 [B, C, h, w]."""

    @abstractmethod
    def encode(self, pixels: Tensor) -> Tensor:
        """float32 [B, 3, H, W] in -1..1 -> latents float32 [B, C, h, w] (the mean), scaled as the U-Net knows them."""

    @abstractmethod
    def decode(self, latents: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Latents float32 [B, C, h, w] -> uint8 [B, H, W, 3]. Raises HearsightError when they are not finite."""

    @abstractmethod
    def scheduler(self) -> Any:
        """A fresh Diffusers scheduler from the folder's config; it belongs to one picture."""
