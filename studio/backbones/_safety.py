"""The safety checker that some model folders bring: a CLIP network that looks at the finished picture.

It is respected where it is there and never asked for where it is not. HEARSIGHT_SAFETY_CHECKER=0 switches it off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from studio.backbones._parts import load_parts, read_json
from studio.errors import HearsightError

SWITCH = "HEARSIGHT_SAFETY_CHECKER"


class PictureBlockedError(HearsightError):
    """The model's safety checker does not let a picture through."""


def checker_wanted() -> bool:
    """Whether safety checkers are used; only the environment variable HEARSIGHT_SAFETY_CHECKER=0 says no."""
    return os.environ.get(SWITCH, "").strip().lower() not in ("0", "false", "no", "off")


class SafetyChecker:
    """A model folder's checker, on the processor in float32. Raises InputError when it is damaged."""

    def __init__(self, folder: Path) -> None:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        parts = load_parts(folder, {"safety_checker": StableDiffusionSafetyChecker})
        self.network = parts["safety_checker"].eval().requires_grad_(False)
        about = folder / "feature_extractor" / "preprocessor_config.json"
        config = read_json(about) if about.exists() else {}
        # CLIP's own values (Radford et al., 2021) where the folder says nothing.
        self.edge = int(self.network.config.vision_config.image_size)
        self.mean = torch.tensor(config.get("image_mean", [0.48145466, 0.4578275, 0.40821073]))
        self.std = torch.tensor(config.get("image_std", [0.26862954, 0.26130258, 0.27577711]))

    @torch.no_grad()
    def check(self, pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """uint8 [B, H, W, 3]. Raises PictureBlockedError when one of them may not be shown."""
        inputs = torch.stack([self._prepared(picture) for picture in pictures])
        # The checker blackens what it is given, and that is not the picture itself.
        blocked = self.network(inputs, [np.zeros(1) for _ in pictures])[1]
        if any(blocked):
            raise PictureBlockedError(
                "The model's own safety checker blocked this picture. Try another seed or prompt; on your own machine "
                f"{SWITCH}=0 switches the checker off."
            )

    def _prepared(self, picture: np.ndarray[Any, np.dtype[np.uint8]]) -> torch.Tensor:
        """CLIP's way: the shorter side to the edge, the middle cut out, normalised. [3, edge, edge]."""
        image = Image.fromarray(picture)
        scale = self.edge / min(image.size)
        size = tuple(max(self.edge, round(side * scale)) for side in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.BICUBIC)
        left, top = ((side - self.edge) // 2 for side in size)
        image = image.crop((left, top, left + self.edge, top + self.edge))
        pixels = torch.from_numpy(np.array(image)).float() / 255
        return ((pixels - self.mean) / self.std).permute(2, 0, 1)
