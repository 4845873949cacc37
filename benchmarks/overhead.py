"""What the engine costs beside the U-Net's own time, and beside Diffusers' own pipeline, at the size of SD 1.5.

    python benchmarks/overhead.py --steps 20 -o benchmarks/overhead.md          (on a GPU)
    python benchmarks/overhead.py --device cpu --steps 3 --repeat 1             (on the processor)

Weights are random: speed and memory do not depend on them. The engine goes from a sound file to a picture, with the
embedded ear and the adapter 'concepts'; `StableDiffusionPipeline` goes from the same words, all of it in the U-Net's
number format, as its users run it. Both are timed as a whole, and inside both the time of each network by hooks, so
that other programs on the machine cannot shift one against the other. On the processor times are of the process
(`time.process_time`), and so is the peak of memory; on a GPU they are those of its own clock.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from studio.backbones._single_file import CONFIGS
from studio.backbones.stable_diffusion import StableDiffusion
from studio.device import DeviceChoice, pick_device
from studio.engine import Engine
from studio.paths import assets_folder
from studio.recipe import Recipe, Track
from tests.models import build_tiny_tokenizer

PARTS = ("U-Net", "autoencoder", "text encoder", "ear")


@dataclass
class Run:
    """seconds: of the whole.  parts: of each network inside it.  memory: peak, bytes."""

    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    memory: int = 0

    @property
    def rest(self) -> float:
        """Everything that is no network: reading the sound, prompt, guidance, scheduler, picture."""
        return self.seconds - sum(self.parts.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many, after warming up")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    table = measure(pick_device(arguments.device), arguments.size, arguments.steps, arguments.repeat)
    print(table)
    if arguments.output:
        arguments.output.write_text(table)


def build(choice: DeviceChoice) -> StableDiffusion:
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


@contextmanager
def timed(run: Run, networks: list[tuple[str, Any]], on_gpu: bool) -> Iterator[None]:
    """Sum up in `run.parts` the time inside each network while the context is open."""
    marks: dict[str, list[Any]] = {name: [] for name, _ in networks}
    handles = []

    def now() -> Any:
        if not on_gpu:
            return time.process_time()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    for name, network in networks:
        handles.append(network.register_forward_pre_hook(lambda *_, name=name: marks[name].append(now())))
        handles.append(network.register_forward_hook(lambda *_, name=name: marks[name].append(now())))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if on_gpu:
            torch.cuda.synchronize()
        for name, found in marks.items():
            pairs = zip(found[::2], found[1::2], strict=True)
            run.parts[name] = sum(begin.elapsed_time(end) / 1000 if on_gpu else end - begin for begin, end in pairs)


def peak_memory(on_gpu: bool, forget: bool = False) -> int:
    """The peak of memory in bytes since it was last told to forget."""
    if on_gpu:
        if forget:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if forget:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def best(work: Callable[[], Any], networks: list[tuple[str, Any]], repeat: int, on_gpu: bool) -> Run:
    """The fastest of some runs."""
    runs = []
    for _ in range(repeat):
        run = Run()
        peak_memory(on_gpu, forget=True)
        start = time.perf_counter() if on_gpu else time.process_time()
        with timed(run, networks, on_gpu):
            work()
        run.seconds = (time.perf_counter() if on_gpu else time.process_time()) - start
        run.memory = peak_memory(on_gpu)
        runs.append(run)
    return min(runs, key=lambda one: one.seconds)


def measure(choice: DeviceChoice, size: int, steps: int, repeat: int) -> str:
    """The table."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    backbone, on_gpu = build(choice), choice.device.type == "cuda"
    engine = Engine(choice.device.type)
    engine._models._backbones["bench"] = backbone  # built here, not read from a folder
    sounds = assets_folder() / "sounds"
    recipe = Recipe(
        model="bench", adapter="concepts", tracks=(Track.of(sounds / "rain.ogg"),), negative_prompt="blurry", seed=1,
        num_inference_steps=steps, width=size, height=size, guidance_scale=7.5, preview_every=0,
    )  # fmt: skip
    # Warm up: the ear and the phrases are loaded, kernels chosen; the sound that is timed has not been heard.
    engine.resolve(recipe.replace(tracks=(Track.of(sounds / "fire.ogg"),)))
    warm = torch.zeros(2, 4, size // 8, size // 8, device=choice.device, dtype=choice.dtype)
    with torch.no_grad():
        text = torch.zeros(2, 77, 768, device=choice.device, dtype=choice.dtype)
        backbone.unet(warm, torch.tensor(1, device=choice.device), text)
    ear: Any = engine._hearing.ear("pocket")
    networks = [
        ("U-Net", backbone.unet), ("autoencoder", backbone.vae.decoder), ("text encoder", backbone.text_encoder),
        *(("ear", network) for network in (ear.network, *ear.voters)),
    ]  # fmt: skip

    def ours() -> None:
        engine._hearing._embeddings.clear()  # each run hears the sound itself
        engine.run(recipe)

    own = best(ours, networks, repeat, on_gpu)
    vae, text_encoder = (
        torch.nn.Module.to(copy.deepcopy(part), choice.dtype) for part in (backbone.vae, backbone.text_encoder)
    )
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=backbone.tokenizer, unet=backbone.unet,
        scheduler=backbone.scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)

    def theirs() -> None:
        pipeline("a photo of rain", negative_prompt="blurry", num_inference_steps=steps, height=size, width=size,
                 guidance_scale=7.5)  # fmt: skip

    networks = [("U-Net", backbone.unet), ("autoencoder", vae.decoder), ("text encoder", text_encoder)]
    return report(own, best(theirs, networks, repeat, on_gpu), choice, size, steps)


def report(own: Run, stock: Run, choice: DeviceChoice, size: int, steps: int) -> str:
    """Both runs as Markdown."""
    where = platform.machine() + f", {torch.get_num_threads()} thread(s), processor time"
    where = torch.cuda.get_device_name() if choice.device.type == "cuda" else where
    unet = own.parts["U-Net"]
    rows = [("all", own.seconds, stock.seconds)]
    rows += [(name, own.parts[name], stock.parts[name]) for name in PARTS]
    rows += [("the rest", own.rest, stock.rest)]
    lines = [
        f"SD 1.5's architecture, {size} px, {steps} steps, batch 1 with guidance, {choice.dtype}, on {where}.",
        "",
        "| seconds | engine, sound to picture | Diffusers' pipeline, words to picture |",
        "| --- | --- | --- |",
        *(f"| {name} | {ours:.3f} | {theirs:.3f} |" for name, ours, theirs in rows),
        f"| peak memory, GiB | {own.memory / 2**30:.2f} | {stock.memory / 2**30:.2f} |",
        "",
        f"The U-Net has {unet / own.seconds:.1%} of the engine's time. Beside the networks the engine takes "
        f"{own.rest / unet:.2%} of the U-Net's time (target: 3 %), the pipeline {stock.rest / unet:.2%}; as a whole "
        f"the engine takes {own.seconds / stock.seconds:.3f} times the pipeline's time (target: 1).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
