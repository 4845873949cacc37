"""Tiny random weights for the adapters that come without any, in the forms that `hearsight adapters import` writes.

`write_adapters(home)` writes `home/adapters/NAME` for each; with HEARSIGHT_MODELS=home the adapters find them as a
user's. A new adapter of that kind adds its entry here, and the contract tests pick it up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.ears import BEATS_SIZES, lively
from tests.models import TINY_PLACES, WIDTH


@dataclass(frozen=True)
class AdapterForm:
    """write: writes the tiny weights into a folder.  form: of `tests.real_forms.FORMS`, the image model they fit; None
    = the tiny Stable Diffusion.
    """

    write: Callable[[Path], None]
    form: str | None = None


def tiny_audiotoken(folder: Path) -> None:
    """For the tiny BEATs and the tiny Stable Diffusion, with a LoRA as published."""
    from studio.adapters.audiotoken import AudioTokenAdapter, AudioTokenConfig, Embedder

    sound_dim, width, path = 3 * BEATS_SIZES["encoder_embed_dim"], WIDTH, TINY_PLACES[0].path
    lora: dict[str, torch.Tensor] = {}
    for attention, part, source in (("attn1", "to_q", 32), ("attn2", "to_v", WIDTH), ("attn2", "to_out", 32)):
        name = f"{path}.{attention}.processor.{part}_lora"
        lora |= {f"{name}.down.weight": torch.randn(2, source), f"{name}.up.weight": torch.randn(32, 2)}
    config = AudioTokenConfig(sound_dim=sound_dim, text_width=width, lora=True)
    AudioTokenAdapter(config, lively(Embedder(sound_dim, width)), lora).save(folder)


def tiny_context(folder: Path) -> None:
    """For the tiny AST, whose window has 2 + 8 x 64 patches, and the tiny PixArt."""
    from studio.adapters.context import ContextAdapter, ContextConfig

    lively(ContextAdapter(ContextConfig(sound_dim=32, count=514, width=24))).save(folder)


ADAPTER_FORMS: dict[str, AdapterForm] = {
    "audiotoken": AdapterForm(tiny_audiotoken),
    "context": AdapterForm(tiny_context, "tiny-pixart"),
}


def write_adapters(home: Path) -> Path:
    """Write them all to where HEARSIGHT_MODELS=home makes the adapters look."""
    for name, one in ADAPTER_FORMS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            one.write(home / "adapters" / name)
    return home
