"""Edits on tiny models in the forms that artists use; what has no U-Net says so, and is painted over all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Edit, Recipe, Track
from studio.word import pack_word
from tests.models import build_tiny_stable_diffusion, fingerprint
from tests.real_forms import FORMS


def _one(folder: Path) -> Path:
    """Stable Diffusion 1.x predicts the noise."""
    return build_tiny_stable_diffusion(folder, prediction_type="epsilon")


UNETS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "1.x": (_one, 32),
    "2.x": (FORMS["tiny-sd2"], 48),
    "XL": (FORMS["tiny-sdxl"], 72),
}


def _recipe(folder: Path, width: int, **edit: Any) -> Recipe:
    word = np.random.default_rng(0).normal(0, 0.3, (2, width)).astype(np.float32)
    return Recipe(
        model=str(folder), tracks=(Track(name="a.wav"),), word=pack_word(word), seed=1, num_inference_steps=3,
        guidance_scale=3, edit=Edit.of("photo.png", source_prompt="a dog", **edit),
    )  # fmt: skip


@pytest.mark.parametrize("form", UNETS)
def test_a_model_with_a_unet(form: str, photo: Image.Image, tmp_path: Path) -> None:
    build, width = UNETS[form]
    folder, engine, pictures = build(tmp_path / form), Engine("cpu"), []
    settings: list[dict[str, Any]] = [{}, {"keep_layout": 0, "keep_detail": 0}, {"method": "p2p"}]
    for edit in (*settings, {"method": "sdedit"}):
        result = engine.run(_recipe(folder, width, **edit), photo=photo)
        assert abs(result.images[0].width / result.images[0].height - 1.5) < 0.1
        assert (result.read is not None) and ((result.read.psnr is not None) == (edit.get("method") != "sdedit"))
        pictures.append(result.images[0].tobytes())
    assert len(set(pictures)) == len(pictures)
    unet = engine.image_model(str(folder)).modules()["unet"]
    assert fingerprint(unet) == fingerprint(Engine("cpu").image_model(str(folder)).modules()["unet"])


@pytest.mark.parametrize("method", ["pnp", "p2p"])
def test_a_model_without_one(method: str, photo: Image.Image, tmp_path: Path) -> None:
    folder, engine = FORMS["tiny-pixart"](tmp_path / "pixart"), Engine("cpu")
    with pytest.raises(InputError, match=r"no U-Net.*use sdedit"):
        engine.run(_recipe(folder, 32, method=method), photo=photo)
    assert engine.run(_recipe(folder, 32, method="sdedit"), photo=photo).images[0].width > 64
