"""Photos as latents of the frozen autoencoder, computed once and kept in a cache file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from tqdm import tqdm

from studio.data.photos import Photos
from studio.training.autoencoder import to_tensor
from studio.training.loop import autocast


def painting(photo: Image.Image) -> Image.Image:
    """A photo as flat, saturated patches of colour."""
    flat = photo.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.ModeFilter(7))
    return ImageEnhance.Contrast(ImageEnhance.Color(flat).enhance(1.6)).enhance(1.1)


def drawing(photo: Image.Image) -> Image.Image:
    """A photo as dark lines on white."""
    lines = ImageOps.invert(photo.convert("L").filter(ImageFilter.SMOOTH).filter(ImageFilter.FIND_EDGES))
    lines = ImageOps.autocontrast(lines.crop((2, 2, lines.width - 2, lines.height - 2)).resize(lines.size), cutoff=1)
    return lines.convert("RGB")


def black_and_white(photo: Image.Image) -> Image.Image:
    """A photo without colour."""
    return ImageOps.autocontrast(photo.convert("L"), cutoff=0.5).convert("RGB")


def blurry(photo: Image.Image) -> Image.Image:
    """A photo out of focus."""
    return photo.filter(ImageFilter.GaussianBlur(photo.width / 32))


FILTERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "painting": painting,
    "drawing": drawing,
    "black and white photo": black_and_white,
    "blurry photo": blurry,
}


@dataclass
class Latents:
    """Scaled latents of photos and of styled copies of some.

    values : float16 [M, C, h, w], unit variance
    photos : int [M], which photo
    styles : the style of each, "photo" for the plain ones
    """

    values: np.ndarray
    photos: np.ndarray
    styles: list[str]

    def __len__(self) -> int:
        return len(self.photos)


def chosen(photos: Photos, size: int, details: bool = False) -> list[tuple[int, str]]:
    """Which photos are used at `size` px, and in which style: all, and up to 60 of each class in another than "photo".

    details: the size is to teach detail and not things, so few photos do, the largest first: 200 of each class at
        128 px, a quarter of that with each doubling, at least half as large as `size`; a fifth as many in a style.
    """
    most = round(200 * (128 / size) ** 2) if details else len(photos.sides)
    plain: list[int] = []
    styled: list[tuple[int, str]] = []
    for label in np.unique(photos.labels):
        fit = np.flatnonzero((photos.labels == label) & (2 * photos.sides >= (size if details else 0)))
        members = fit[np.argsort(-photos.sides[fit], kind="stable")][:most]
        plain += [int(index) for index in members]
        few = members[: min(60, most // 5)]
        styled += [(int(index), list(FILTERS)[number % len(FILTERS)]) for number, index in enumerate(few)]
    return [(index, "photo") for index in plain] + styled


@torch.no_grad()
def encode_photos(
    photos: Photos, vae: AutoencoderKL, size: int, cache: Path, device: str = "cpu", details: bool = False
) -> Latents:
    """Latents at `size` px of the `chosen` photos. `cache` is a folder; one file a model, size and choice."""
    digest = hashlib.sha256()
    for value in vae.state_dict().values():
        digest.update(value.cpu().half().numpy().tobytes())  # the same before and after export in float16
    jobs = chosen(photos, size, details)
    file = cache / f"latents-{size}-{len(jobs)}-{digest.hexdigest()[:12]}.npy"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        edge = size // 8
        values = np.zeros((len(jobs), vae.config["latent_channels"], edge, edge), np.float16)
        batch = max(1, 32 * 128 * 128 // size**2)
        for start in tqdm(range(0, len(jobs), batch), desc=f"encoding photos at {size} px"):
            pixels = []
            for index, style in jobs[start : start + batch]:
                picture = photos.resized(index, size)
                if style != "photo":
                    picture = np.asarray(FILTERS[style](Image.fromarray(picture)))
                pixels.append(picture)
            with autocast(device):
                mean = vae.encode(to_tensor(np.stack(pixels)).to(device)).latent_dist.mode()
            scaled = mean.float() * vae.config["scaling_factor"]
            values[start : start + len(pixels)] = scaled.cpu().numpy().astype(np.float16)
        partial = file.with_suffix(".partial.npy")
        np.save(partial, values)
        partial.replace(file)
    return Latents(np.load(file, mmap_mode="r"), np.array([index for index, _ in jobs]), [style for _, style in jobs])
