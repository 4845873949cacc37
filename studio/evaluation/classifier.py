"""The picture classifier that judges generated pictures: 64 px in, one of the photo classes out.

It sees every picture at 64 px, because a third of the photos it learned from are no larger, and so that it judges
what is shown and not how sharp it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.errors import InputError
from studio.paths import assets_folder

SIZE = 64


def shrink(picture: Image.Image) -> np.ndarray:
    """A picture as the classifier sees it: uint8 [64, 64, 3]."""
    return np.asarray(picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _to_tensor(small: np.ndarray) -> Tensor:
    """uint8 [B, 64, 64, 3] -> float32 [B, 3, 64, 64] in -1..1."""
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1


class Block(nn.Module):
    """Pre-activation residual block; halves both axes when `stride` is 2."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inside), nn.BatchNorm2d(outside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        shortcut = self.shortcut(F.avg_pool2d(x, self.stride))
        return self.conv2(F.relu(self.norm2(self.conv1(y)))) + shortcut


class PictureClassifier(nn.Module):
    """Pictures [B, 3, 64, 64] in -1..1 -> logits [B, classes]."""

    def __init__(self, classes: Sequence[str], channels: Sequence[int] = (48, 96, 192, 320)) -> None:
        super().__init__()
        self.classes, self.channels = list(classes), list(channels)
        first, *rest = channels
        layers: list[nn.Module] = [nn.Conv2d(3, first, 3, 2, 1, bias=False), Block(first, first, 1)]
        inside = first
        for width in rest:
            layers += [Block(inside, width, 2), Block(width, width, 1)]
            inside = width
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(inside), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(inside, len(self.classes)))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.pooled(pictures))

    def pooled(self, pictures: Tensor) -> Tensor:
        """The penultimate layer: pictures [B, 3, 64, 64] in -1..1 -> [B, last of `channels`], not negative."""
        return self.body(pictures).mean((2, 3))

    @torch.no_grad()
    def features(self, small: np.ndarray) -> np.ndarray:
        """The penultimate layer of uint8 pictures [B, 64, 64, 3]: float32 [B, last of `channels`]."""
        return self.pooled(_to_tensor(small)).numpy()

    @torch.no_grad()
    def self_similarity(self, picture: Image.Image) -> np.ndarray:
        """How alike each two places of a picture are: float32 [N, N] cosines, the mean over all places taken out.

        The layer is the last but one resolution, 8 x 8 places of the embedded weights. Tumanyan et al., "Splicing ViT
        Features", 2022, compare the structure of pictures so (with another network): colours and textures drop out,
        what belongs together remains.
        """
        x = self.body[: 2 * len(self.channels) - 2](_to_tensor(np.stack([shrink(picture)])))[0].flatten(1).T
        x = F.normalize(x - x.mean(0), dim=1)
        return (x @ x.T).numpy()

    @torch.no_grad()
    def probabilities(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """float32 [B, classes]; each picture and its mirror image, averaged."""
        x = _to_tensor(np.stack([shrink(picture) for picture in pictures]))
        both = [self(x), self(x.flip(-1))]
        return (sum(logits.softmax(-1) for logits in both) / 2).numpy()

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read config.json and model.safetensors; None = the embedded weights. InputError when they are missing."""
        from safetensors.torch import load_file

        folder = folder if folder is not None else assets_folder() / "classifier"
        if not (folder / "model.safetensors").is_file():
            raise InputError(
                f"The folder {folder.name} holds no picture classifier; train one: hearsight train classifier."
            )
        model = cls(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        state = load_file(folder / "model.safetensors")
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        return model.eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config = {"classes": self.classes, "channels": self.channels}
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        state = {k: v.half() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
