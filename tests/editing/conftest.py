"""A photo with something in it, and what reading it with the tiny model leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.prompt import embed
from studio.editing.base import Job
from studio.editing.photo import to_pixels
from studio.editing.sources import Source, read_source
from studio.recipe import Edit
from tests.models import WIDTH

STEPS = 4


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """96 x 64 px: a bright disc on a slope of colours."""
    high, wide = np.mgrid[0:64, 0:96]
    disc = (high - 30) ** 2 + (wide - 60) ** 2 < 300
    colours = np.stack([wide * 2, high * 3, 200 - wide], axis=-1)
    return Image.fromarray(np.where(disc[..., None], 240, colours).astype(np.uint8))


@pytest.fixture(scope="session")
def exact(tiny_folder: Path) -> Backbone:
    """The tiny model in float32, where rounding hides nothing."""
    return load_backbone(str(tiny_folder), pick_device("cpu")._replace(dtype=torch.float32))


@pytest.fixture(scope="session")
def word() -> torch.Tensor:
    return 0.3 * torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="session")
def make_job(exact: Backbone, photo: Image.Image) -> Callable[..., Job]:
    """A job on that photo, read under the source prompt with the layers named."""

    def make(edit: Edit, layers: tuple[str, ...], prompt: str = "a photo of A*") -> Job:
        latents = exact.encode(to_pixels(photo, photo.size)).float()
        states = embed(exact, [edit.source_prompt], torch.zeros(0, WIDTH))
        *_, source = read_source(exact, latents, states, STEPS, layers)
        assert isinstance(source, Source)
        return Job(exact, edit, ddim_scheduler(exact, STEPS), STEPS, prompt, 2, 1.0, latents, None, source)

    return make


@pytest.fixture
def fused_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each call of torch's fused attention."""
    calls, fused = [], F.scaled_dot_product_attention

    def counted(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return fused(*arguments, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    return calls
