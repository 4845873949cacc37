"""Pictures from plain text: the engine insists on A*, scores and training samples also ask what words alone give."""

from __future__ import annotations

from functools import partial

import torch
from PIL import Image

from studio.backbones.base import Backbone
from studio.diffusion.coarse_to_fine import paint, stages
from studio.diffusion.loop import denoise
from studio.diffusion.prompt import embed


def paint_text(
    backbone: Backbone,
    prompt: str,
    seed: int,
    *,
    size: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
) -> Image.Image:
    """One picture of `prompt` (without A*); what is None is the model's own default. size in pixels, square."""
    own = backbone.defaults
    no_word = torch.zeros(1, backbone.dims.text_width)
    states = embed(backbone, [own.negative_prompt, prompt], no_word)
    generator = torch.Generator().manual_seed(seed)
    edge = size or own.side
    scale = own.guidance_scale if guidance_scale is None else guidance_scale
    draw = partial(denoise, backbone, negative=states[:1], positive=states[1:])
    plan = stages(backbone, edge, edge, num_inference_steps or own.num_inference_steps)
    for moment in paint(backbone, plan, draw, scale, generator, lambda _: []):
        latents = moment.latents
    return Image.fromarray(backbone.decode(latents)[0])
