"""Trains the picture classifier that scores generated pictures, on the photos at 64 px."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from studio.data.photos import Photos
from studio.evaluation.classifier import SIZE, PictureClassifier
from studio.training.loop import Task


def small_copies(photos: Photos) -> Tensor:
    """All photos as uint8 [N, 3, 64, 64]."""
    return torch.from_numpy(np.stack([photos.resized(i, SIZE) for i in range(len(photos))])).permute(0, 3, 1, 2)


class ClassifierTask(Task):
    """Cross-entropy on mirrored, shifted, recoloured and mixed photos; classes are drawn nearly evenly."""

    name = "classifier"

    def __init__(self, photos: Photos, held_out: Photos, model: PictureClassifier, device: str = "cpu") -> None:
        self.model, self.device = model, device
        self.modules = {"classifier": model}
        self.pictures, self.labels = small_copies(photos), torch.from_numpy(photos.labels)
        self.test, self.test_labels = small_copies(held_out), torch.from_numpy(held_out.labels)
        counts = np.bincount(photos.labels, minlength=len(model.classes)).clip(1)
        self.weights = torch.from_numpy(counts[photos.labels] ** -0.7)

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        rows = torch.multinomial(self.weights, batch_size, replacement=True, generator=generator)
        x = self.pictures[rows].float() / 127.5 - 1
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        x = torch.stack([picture.flip(-1) if draw.random() < 0.5 else picture for picture in x])
        # A random zoom and shift of every picture, by one resampling.
        zoom = torch.from_numpy(draw.uniform(0.75, 1.05, (batch_size, 2))).float()
        shift = torch.from_numpy(draw.uniform(-0.2, 0.2, (batch_size, 2))).float()
        matrix = torch.zeros(batch_size, 2, 3)
        matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = zoom[:, 0], zoom[:, 1], shift
        grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        tint = torch.from_numpy(draw.normal(1, 0.12, (batch_size, 3, 1, 1))).float()
        light = torch.from_numpy(draw.normal(0, 0.1, (batch_size, 1, 1, 1))).float()
        x = (x * tint + light).clamp(-1, 1)
        # Generated pictures are softer than photos: some are blurred, so that softness says nothing about the class.
        soft = torch.from_numpy(draw.random(batch_size) < 0.3).view(-1, 1, 1, 1)
        x = torch.where(soft, F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear"), x)
        share = float(draw.beta(0.2, 0.2))
        other = torch.randperm(batch_size, generator=generator)
        logits = self.model((share * x + (1 - share) * x[other]).to(self.device)).float()
        labels = self.labels[rows].to(self.device)
        first = F.cross_entropy(logits, labels, label_smoothing=0.05)
        second = F.cross_entropy(logits, labels[other], label_smoothing=0.05)
        return {"loss": share * first + (1 - share) * second}

    def scores(self) -> dict[str, float]:
        """Accuracy on held-out photos: over all, and the mean of the classes' own."""
        right = []
        for start in range(0, len(self.test), 128):
            x = self.test[start : start + 128].float().to(self.device) / 127.5 - 1
            guess = (self.model(x).float().softmax(-1) + self.model(x.flip(-1)).float().softmax(-1)).argmax(-1).cpu()
            right.append(guess == self.test_labels[start : start + 128])
        hits = torch.cat(right).float().numpy()
        labels = self.test_labels.numpy()
        by_class = [hits[labels == label].mean() for label in np.unique(labels)]
        return {"accuracy": float(hits.mean()), "class_mean": float(np.mean(by_class))}

    def export(self, folder: Path) -> None:
        self.model.save(folder)
