"""The f8 autoencoder of the pocket model (Diffusers `AutoencoderKL`).

Trained on 64 px crops: an f8 autoencoder is local, whole photos only judge it. Latents are kept equivariant to
mirroring and to halving the picture (EQ-VAE, Kouzelis et al. 2025: decode(T z) is compared with T x): mirrored
latents are then free augmentation for the diffusion model, and what it learns at 128 px holds at 256 px.

A finished autoencoder goes on with its decoder alone: its latents stay, and with them all that was trained on them.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from studio.data.photos import Photos
from studio.evaluation.sheets import save_grid
from studio.training.loop import Task

CROP = 64
GREEN_SCALE = 10.0
SQUARED = 5.0  # makes the squared error weigh about as much as the absolute one


def new_autoencoder(channels: tuple[int, ...] = (16, 48, 96, 128), latent_channels: int = 8) -> AutoencoderKL:
    """An untrained f8 autoencoder; 3.0 M parameters by default."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=latent_channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,  # keeps it local: any size and shape of picture decodes alike
        sample_size=256,
    )


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in -1..1."""
    return torch.tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(pictures: Tensor) -> np.ndarray:
    """float [B, 3, H, W] in -1..1 -> uint8 [B, H, W, 3]."""
    return ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def edges(x: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical differences; comparing them keeps the decoder from blurring."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def greenness(x: Tensor) -> Tensor:
    """Green against magenta of each 8 px patch: [B, 3, H, W] -> [B, 1, H / 8, W / 8], variance about 1 over photos."""
    return F.avg_pool2d(x[:, 1:2] - x[:, ::2].mean(1, keepdim=True), 8) * GREEN_SCALE


def chroma(x: Tensor) -> Tensor:
    """What is left of [B, 3, H, W] without its lightness."""
    return x - x.mean(1, keepdim=True)


class AutoencoderTask(Task):
    """L1 on pixels, on differences at two scales and on colour, and a light KL term.

    latents: whether the latents are learned too. If not, the encoder stays as it is, and squared errors count as well.
    """

    name = "pocket-vae"

    def __init__(
        self,
        photos: Photos,
        held_out: Photos,
        model: AutoencoderKL,
        device: str = "cpu",
        kl: float = 1e-4,
        latents: bool = True,
    ) -> None:
        self.photos, self.held_out, self.model, self.device, self.kl = photos, held_out, model, device, kl
        nn.Module.to(model, device)
        self.latents = latents
        self.modules: dict[str, nn.Module] = {"vae": model}
        if not latents:
            parts = dict(model.named_children())  # the two of the encoder stay as they are
            self.modules = {name: parts[name] for name in ("decoder", "post_quant_conv")}
            for name in ("encoder", "quant_conv"):
                parts[name].requires_grad_(False)
        # Sharp photos teach fine detail; 64 px ones are seen whole and, doubled, as soft as they come to the image
        # model.
        weights = np.where(photos.sides >= 200, 3.0, np.where(photos.sides >= 100, 2.0, 1.0))
        self.weights = torch.from_numpy(weights)
        large = np.flatnonzero(held_out.sides >= 256)
        self.judged = large[:: max(1, len(large) // 24)][:24]

    def crop(self, index: int, draw: np.random.Generator) -> np.ndarray:
        """One [64, 64, 3] crop at native, half or double scale, mirrored at random."""
        photo = self.photos[index]
        side = photo.shape[0]
        scale = draw.choice([1.0, 2.0, 0.5], p=[0.6, 0.2, 0.2])
        span = int(min(side, CROP * scale))
        top, left = draw.integers(0, side - span + 1, 2)
        piece = photo[top : top + span, left : left + span]
        if span != CROP:
            method = Image.Resampling.BOX if span > CROP else Image.Resampling.BICUBIC
            piece = np.asarray(Image.fromarray(piece).resize((CROP, CROP), method))
        return piece[:, ::-1] if draw.random() < 0.5 else piece

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        chosen = torch.multinomial(self.weights, batch_size, generator=generator).tolist()
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        x = to_tensor(np.stack([self.crop(index, draw) for index in chosen])).to(self.device)
        with torch.set_grad_enabled(self.latents):
            posterior = self.model.encode(x).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        z = mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=generator).to(self.device)
        # Green against magenta varies least of the three colour axes in photos, and training never finds it by itself:
        # meadows came out brown. The last channel is held to it until the budget's end.
        anchor = (mean[:, -1:] - greenness(x)).abs().mean()
        change = draw.random()
        if change < 0.25:
            z, x = z.flip(-1), x.flip(-1)
        elif change < 0.5:
            z, x = F.avg_pool2d(z, 2), F.avg_pool2d(x, 2)
        y = self.model.decode(z).sample.float()
        pixel = (y - x).abs().mean()
        fine = sum((a - b).abs().mean() for a, b in zip(edges(y), edges(x), strict=True))
        small_y, small_x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        coarse = sum((a - b).abs().mean() for a, b in zip(edges(small_y), edges(small_x), strict=True))
        # Pixel losses spend every channel on lightness and let greens and reds go brown: colour is asked for by
        # itself.
        colour = (chroma(small_y) - chroma(small_x)).abs().mean()
        patch = (F.avg_pool2d(y, 4) - F.avg_pool2d(x, 4)).abs().mean()
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        picture = pixel + 0.25 * fine + 0.25 * coarse + colour + 0.5 * patch
        space = 0.1 * anchor + self.kl * divergence if self.latents else SQUARED * (y - x).square().mean()
        return {
            "loss": picture + space,
            "l1": pixel.detach(),
            "colour": colour.detach(),
            "green": anchor.detach(),
            "kl": divergence.detach(),
        }

    def _reconstructions(self) -> tuple[np.ndarray, np.ndarray]:
        originals, copies = [], []
        for index in self.judged:
            original = self.held_out.resized(int(index), 256)[None]
            latent = self.model.encode(to_tensor(original).to(self.device)).latent_dist.mode()
            copies.append(to_pixels(self.model.decode(latent).sample)[0])
            originals.append(original[0])
        return np.stack(originals), np.stack(copies)

    def samples(self, path: Path) -> None:
        originals, copies = self._reconstructions()
        pairs = [np.concatenate(pair, 0) for pair in zip(originals[:12], copies[:12], strict=True)]
        save_grid(pairs, path.with_suffix(".jpg"), columns=6)

    def scores(self) -> dict[str, float]:
        """PSNR in dB on whole held-out 256 px photos, mean of the per-photo values."""
        originals, copies = self._reconstructions()
        error = ((originals.astype(np.float64) - copies) ** 2).mean((1, 2, 3))
        return {"psnr": float((10 * np.log10(255**2 / error)).mean())}

    def export(self, folder: Path) -> None:
        """Diffusers folder, with `scaling_factor` measured so that latents have unit variance."""
        from studio.training.image import forget_origin  # that module reads this one

        if not self.latents:  # scaled as before: the image model was trained on them
            copy.deepcopy(self.model).half().save_pretrained(folder / "vae")
            forget_origin(folder / "vae" / "config.json")
            return
        values = []
        for index in np.linspace(0, len(self.photos) - 1, 96).astype(int):
            picture = to_tensor(self.photos.resized(int(index), 128)[None]).to(self.device)
            values.append(self.model.encode(picture).latent_dist.mode().float().flatten())
        self.model.register_to_config(scaling_factor=float(1 / torch.cat(values).std()))
        self.model.save_pretrained(folder / "vae")
