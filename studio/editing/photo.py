"""Photos and masks as people have them: any size up to 40 megapixels, turned by EXIF, in other colour models.

Letters: H x W picture size in pixels.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from studio.backbones._memory import free_memory
from studio.errors import InputError
from studio.recipe import RECIPE_CHUNK

MAX_PIXELS = 40_000_000
MAX_BYTES = 200_000_000  # of a file; an uncompressed one of 40 megapixels fits
MIN_SIDE = 16  # px; less shows nothing
MAX_RATIO = 8  # of the long side to the short one
MAX_SIDE = 1024  # px, of what is painted, as in a recipe
# Formats that Pillow decodes itself. Others (EPS) would start a program on a stranger's file.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")


@dataclass(frozen=True)
class Photo:
    """A picture that was read: upright, RGB (of a mask: L).

    sha256: digest of the file, or of the pixels where there was none.  name: of the file.  notes: sentences on what
    could not be used of it.  recipe: the text in which a picture of ours says how it was made, not yet understood;
    empty where there is none.
    """

    image: Image.Image
    sha256: str
    name: str = ""
    notes: tuple[str, ...] = ()
    recipe: str = ""


def read_photo(source: str | Path | Image.Image, what: str = "photo") -> Photo:
    """Read a photo. Sizes are checked before a pixel is decoded. what: how messages call it.

    Transparent parts become white, 16 bits a channel become 8, other colour spaces become sRGB; of an animation the
    first picture is used. Raises InputError when it is no picture, damaged, too large or too small.
    """
    if isinstance(source, Image.Image):
        _check_size(source.size, what, "")
        image = _upright_rgb(source, what)
        content = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
        return Photo(image, content)
    path = Path(source).expanduser()
    called = f"{what} {path.name!r}"
    try:
        if path.is_dir():
            raise InputError(f"The {called} is a folder. Give a picture file.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"The {called} has {size // 10**6} MB; at most {MAX_BYTES // 10**6} MB can be read.")
        if not path.is_file():
            raise InputError(f"The {called} is not a file. Give a picture file.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no {called}. Check the path.") from None
    except OSError as error:
        raise InputError(f"The {called} cannot be read ({error.strerror}).") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit is below the one that Pillow warns of
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image.size, what, path.name)
                pictures = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
                photo = _upright_rgb(image, called)
                said = image.info.get(RECIPE_CHUNK) if image.format == "PNG" else None
    except UnidentifiedImageError:
        raise InputError(f"The {called} is not a picture that can be read. Give a JPEG, PNG, WebP or TIFF.") from None
    except Image.DecompressionBombError:
        raise InputError(_too_large(called)) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"The {called} is damaged or cut off ({reason}). Copy it again, or give another.") from None
    notes = (f"The {called} has {pictures} pictures; the first one is used.",) if pictures > 1 else ()
    recipe = said if isinstance(said, str) else ""
    return Photo(photo, hashlib.sha256(data).hexdigest(), path.name, notes, recipe)


def read_mask(source: str | Path | Image.Image, photo: Photo) -> Photo:
    """Read a mask, white where the photo may change, as an L picture in the photo's size.

    It may have another resolution, but must have the photo's form. Raises InputError as `read_photo`, and for a mask
    without any white.
    """
    mask = read_photo(source, "mask")
    wide, high = photo.image.size
    ratio = (mask.image.width / mask.image.height) / (wide / high)
    if not 0.98 <= ratio <= 1.02:
        raise InputError(
            f"The mask has {mask.image.width} x {mask.image.height} px and the photo {wide} x {high} px: they must "
            "have the same form. Draw the mask on the photo itself."
        )
    grey = mask.image.convert("L").resize(photo.image.size, Image.Resampling.BILINEAR)
    if grey.getextrema()[1] < 128:  # type: ignore[operator]  # of one channel it is a pair of numbers
        raise InputError("The mask is black, so nothing of the photo may change: make white what may.")
    return Photo(grey, mask.sha256, mask.name, mask.notes)


def working_size(photo: tuple[int, int], native: int, grid: int, most_pixels: int) -> tuple[int, int]:
    """The size (width, height) that a photo of that size is worked on in.

    The short side gets the model's native size, because a model knows things at their size in its training photos;
    the long one follows the photo's form. Both are multiples of `grid` px, at most 1024, and together at most
    `most_pixels` (never less than the smallest picture that fits the form).
    """
    wide, high = photo
    scale = native / min(wide, high)
    scale = min(scale, MAX_SIDE / max(wide, high), math.sqrt(most_pixels / (wide * high)))
    least = math.ceil(64 / grid) * grid
    return tuple(  # type: ignore[return-value]  # of two
        min(max(round(side * scale / grid) * grid, least), MAX_SIDE // grid * grid) for side in photo
    )


def affordable_pixels(backbone_channels: int, device: torch.device) -> int:
    """How many pixels a picture may have for the memory that is free now.

    The autoencoder's last layers, with `backbone_channels` in float32 at full size, are what takes most: about eight
    such tensors live at once. A quarter of the free memory is used at most, 4 GiB where nobody knows how much is free.
    """
    free = free_memory(device)
    return (4 * 2**30 if free is None else free) // 4 // (backbone_channels * 4 * 8)


def to_pixels(photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """An RGB photo -> float32 [1, 3, H, W] in -1..1, filling `size` (width, height) and cut evenly."""
    fitted = np.asarray(ImageOps.fit(photo, size, Image.Resampling.LANCZOS), np.float32)
    return torch.from_numpy(fitted / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def to_latent_mask(mask: Image.Image, size: tuple[int, int], downscale: int) -> Tensor:
    """An L mask -> float32 [1, 1, h, w] in 0..1: of each latent, the share of its pixels that is white."""
    fitted = np.asarray(ImageOps.fit(mask, size, Image.Resampling.BILINEAR), np.float32) / 255
    return torch.nn.functional.avg_pool2d(torch.from_numpy(fitted)[None, None], downscale)


def paste(painted: Image.Image, photo: Image.Image, mask: Image.Image) -> Image.Image:
    """The painted picture where the mask is white, and the photo itself (same size) where it is black."""
    fitted = ImageOps.fit(mask, painted.size, Image.Resampling.BILINEAR)
    return Image.composite(painted, photo, fitted)


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio of two RGB pictures of one size, in dB; 99 for equal ones."""
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    error = float(np.mean(difference**2))
    return 99.0 if error == 0 else min(99.0, 10 * math.log10(255**2 / error))


def _check_size(size: tuple[int, int], what: str, name: str) -> None:
    wide, high = size
    called = f"{what} {name!r}" if name else what
    if wide * high > MAX_PIXELS:
        raise InputError(_too_large(called, size))
    if min(size) < MIN_SIDE:
        raise InputError(f"The {called} has only {wide} x {high} px; it needs at least {MIN_SIDE} px on each side.")
    if max(size) > MAX_RATIO * min(size):
        raise InputError(
            f"The {called} has {wide} x {high} px and is too narrow: at most {MAX_RATIO} to 1 can be used. Crop it."
        )


def _too_large(called: str, size: tuple[int, int] | None = None) -> str:
    has = "far too many" if size is None else f"{size[0]} x {size[1]}"
    return f"The {called} has {has} pixels; at most {MAX_PIXELS // 10**6} megapixels can be read. Make it smaller."


def _upright_rgb(image: Image.Image, what: str) -> Image.Image:
    """The first picture of a file in 8-bit sRGB, turned as EXIF says."""
    if image.mode == "F":
        raise InputError(f"The {what} holds floating-point numbers, whose range is unknown. Save it as PNG or JPEG.")
    image.load()
    profile = image.info.get("icc_profile")
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):  # 16 bits of grey
        grey = np.asarray(turned).astype(np.int64)
        return Image.fromarray((grey.clip(0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if turned.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in turned.info:
        clear = turned.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        turned = Image.alpha_composite(white, clear).convert("RGB")
    if profile and turned.mode in ("RGB", "CMYK", "L"):
        turned = _to_srgb(turned, profile)
    return turned.convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """From the file's own colours (phones: Display P3; print: CMYK) to sRGB; as it is where the profile is bad."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        found = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if found is None else found
