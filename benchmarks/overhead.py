"""What the engine costs beside the U-Net's own time, and beside Diffusers' own pipeline, at the size of SD 1.5.

    python benchmarks/overhead.py --size 512 --steps 20 --device cuda
    python benchmarks/overhead.py --size 256 --steps 2 --device cpu

Weights are random: speed and memory do not depend on them. Three measurements of the same components, prompt and
steps: the U-Net's calls alone, the engine from sound to picture, and `StableDiffusionPipeline`. On the processor times
are of the process (`time.process_time`), so other programs do not count; on a GPU they are wall time, synchronised.
Prints a Markdown table, and writes it where -o says.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from studio.backbones._single_file import CONFIGS
from studio.backbones.base import TextStates
from studio.backbones.stable_diffusion import StableDiffusion
from studio.device import pick_device
from studio.engine import Engine
from studio.recipe import Recipe
from tests.models import build_tiny_tokenizer, tiny_plugins, tone


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--dtype", choices=("bfloat16", "float16", "float32"), help="of the U-Net; default: the engine's"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="the best of so many; the first, to warm up, is not counted"
    )
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    choice = pick_device(arguments.device)
    if arguments.dtype:
        choice = choice._replace(dtype=getattr(torch, arguments.dtype))
    with tiny_plugins():
        table = measure(choice, arguments.size, arguments.steps, arguments.repeat)
    print(table)
    if arguments.output:
        arguments.output.write_text(table)


def build(choice: Any) -> StableDiffusion:
    """SD 1.5's architecture with random weights: 860 M parameters in the U-Net."""
    config, tokenizer = CONFIGS["sd1"], build_tiny_tokenizer()
    tokenizer.model_max_length = 77
    text = config["text_encoder"] | {
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    parts: dict[str, Any] = {"tokenizer": tokenizer}
    with torch.device("meta"):
        parts["unet"] = UNet2DConditionModel(**config["unet"])
        parts["vae"] = AutoencoderKL(**config["vae"])
    generator = torch.Generator().manual_seed(0)
    for name in ("unet", "vae"):
        dtype = choice.dtype if name == "unet" else torch.float32
        state = {}
        for key, value in parts[name].state_dict().items():
            if value.ndim == 1:
                weight = torch.full(value.shape, 1.0 if "norm" in key and key.endswith("weight") else 0.0)
            else:  # signals keep their size on the way through, as they do in a trained network
                weight = torch.empty(value.shape).uniform_(-1, 1, generator=generator) * (3 / value[0].numel()) ** 0.5
            state[key] = weight.to(dtype)
        parts[name].load_state_dict(state, assign=True)
    parts["text_encoder"] = CLIPTextModel(CLIPTextConfig(**text))
    folder = Path(tempfile.mkdtemp())
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return StableDiffusion(folder, choice, parts, config["scheduler"])


def measure(choice: Any, size: int, steps: int, repeat: int) -> str:
    """The table."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    backbone = build(choice)
    engine = Engine(choice.device.type)
    recipe = Recipe(
        model="bench", adapter="tiny-word", prompt="a photo of A* at night", negative_prompt="blurry", seed=1,
        num_inference_steps=steps, width=size, height=size, guidance_scale=7.5, preview_every=0,
    )  # fmt: skip
    engine._models._backbone = ("bench", backbone)  # built here, not read from a folder
    latents = torch.randn(2, 4, size // 8, size // 8, device=choice.device)
    states = TextStates(torch.randn(2, 77, 768, device=choice.device))
    pipeline = StableDiffusionPipeline(
        vae=backbone.vae, text_encoder=backbone.text_encoder, tokenizer=backbone.tokenizer, unet=backbone.unet,
        scheduler=backbone.scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    on_gpu = choice.device.type == "cuda"

    def bare() -> None:
        with torch.no_grad():
            for time_step in torch.linspace(999, 0, steps, device=choice.device).long():
                backbone.unet(latents.to(choice.dtype), time_step, states.tokens.to(choice.dtype), return_dict=False)

    def decode() -> None:
        backbone.decode(latents[:1] * 0.1)

    def ours() -> None:
        engine.run(recipe, tone())

    def theirs() -> None:
        # The pipeline wants one number format throughout; where the U-Net has another, autocast stands in.
        with torch.autocast(choice.device.type, choice.dtype, enabled=choice.dtype != torch.float32):
            pipeline("a photo of rain at night", negative_prompt="blurry", num_inference_steps=steps, height=size,
                     width=size, guidance_scale=7.5)  # fmt: skip

    def best(work: Any) -> tuple[float, float]:
        seconds = []
        clock = time.perf_counter if on_gpu else time.process_time
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        for _ in range(repeat + 1):
            start = clock()
            work()
            if on_gpu:
                torch.cuda.synchronize()
            seconds.append(clock() - start)
        memory = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else float("nan")
        return min(seconds[1:] or seconds), memory

    rows = {name: best(work) for name, work in
            (("U-Net calls alone", bare), ("decoding alone", decode), ("engine, sound to picture", ours),
             ("Diffusers' pipeline", theirs))}  # fmt: skip
    unet, whole = rows["U-Net calls alone"][0], rows["engine, sound to picture"][0]
    stock = rows["Diffusers' pipeline"][0]
    own = whole - unet - rows["decoding alone"][0]
    where = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    lines = [
        f"SD 1.5's architecture, {size} px, {steps} steps, batch 1 with guidance, {choice.dtype}, on {where}.",
        "",
        "| what | seconds | peak memory, GiB |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {seconds:.3f} | {f'{memory:.2f}' if on_gpu else '-'} |"
            for name, (seconds, memory) in rows.items()
        ),
        "",
        f"The U-Net's share of the engine's time is {unet / whole:.1%}. Beside U-Net and decoding the engine takes "
        f"{own:.3f} s, {own / unet:.2%} of the U-Net's time; it is {whole / stock:.3f} "
        "times the stock pipeline's.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
