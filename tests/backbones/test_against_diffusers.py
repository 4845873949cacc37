"""Every form draws what Diffusers' own pipeline draws from the same folder, prompt and noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.diffusion.loop import denoise, initial_noise
from studio.diffusion.prompt import embed
from tests.models import build_tiny_stable_diffusion
from tests.real_forms import FORMS, build_tiny_pixart, build_tiny_sdxl

PROMPT, NEGATIVE = "a photo of the sea at night", "blurry"


def _ours(backbone: Backbone, noise: torch.Tensor, negative: str) -> torch.Tensor:
    states = embed(backbone, [negative, PROMPT], torch.zeros(1, backbone.dims.text_width))
    moments = denoise(
        backbone, noise, states[:1], states[1:],
        num_inference_steps=3, guidance_scale=3.0, generator=torch.Generator().manual_seed(9),
    )  # fmt: skip
    return list(moments)[-1].latents


def _pipeline(form: str, folder: Path, backbone: Any) -> Any:
    import diffusers

    if form == "PixArtAlphaPipeline":  # Diffusers needs another library for the tokenizer's file
        parts = {name: backbone.parts[name] for name in ("tokenizer", "text_encoder", "transformer", "vae")}
        pipeline: Any = diffusers.PixArtAlphaPipeline(**parts, scheduler=backbone.scheduler())
    else:
        pipeline = getattr(diffusers, form).from_pretrained(folder, safety_checker=None, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _theirs(pipeline: Any, noise: torch.Tensor, **more: Any) -> torch.Tensor:
    return pipeline(
        prompt=PROMPT, num_inference_steps=3, guidance_scale=3.0, height=64, width=96, latents=noise.clone(),
        output_type="latent", generator=torch.Generator().manual_seed(9), **more,
    ).images  # fmt: skip


CASES: dict[str, tuple[Callable[..., Path], dict[str, Any], str, dict[str, Any]]] = {
    "sd1": (build_tiny_stable_diffusion, {}, "StableDiffusionPipeline", {"negative_prompt": NEGATIVE}),
    "sd2": (FORMS["tiny-sd2"], {}, "StableDiffusionPipeline", {"negative_prompt": NEGATIVE}),
    "lcm": (FORMS["tiny-lcm"], {}, "LatentConsistencyModelPipeline", {}),
    "sdxl": (FORMS["tiny-sdxl"], {}, "StableDiffusionXLPipeline", {"negative_prompt": NEGATIVE}),
    "sdxl without a negative prompt": (build_tiny_sdxl, {"turbo": True}, "StableDiffusionXLPipeline", {}),
    "pixart": (FORMS["tiny-pixart"], {}, "PixArtAlphaPipeline", {"negative_prompt": NEGATIVE}),
    "pixart 1024": (build_tiny_pixart, {"large": True}, "PixArtAlphaPipeline", {"negative_prompt": ""}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_latents(case: str, tmp_path: Path) -> None:
    build, options, form, said = CASES[case]
    folder = build(tmp_path / "model", **options)
    backbone = load_backbone(str(folder), pick_device("cpu")._replace(dtype=torch.float32))
    noise = initial_noise(backbone, 96, 64, torch.Generator().manual_seed(1))
    ours = _ours(backbone, noise, str(said.get("negative_prompt", "")))
    more: dict[str, Any] = {"clean_caption": False, "use_resolution_binning": False} if "pixart" in case else {}
    theirs = _theirs(_pipeline(form, folder, backbone), noise, **said, **more)
    assert torch.isfinite(ours).all()
    assert torch.allclose(ours, theirs, atol=2e-4 * float(theirs.abs().max())), (ours - theirs).abs().max()
