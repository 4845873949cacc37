"""A model's name with additions: "FOLDER+lora=FILE:0.8+scheduler=LCMScheduler".

The additions belong to the name, so a recipe replays them without fields of its own, and two models that differ by a
LoRA are two models: each is loaded apart, and nothing has to be taken out of the weights again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from studio.backbones.hub import own_model
from studio.errors import InputError

MAX_LORAS = 8
FORM = "MODEL, MODEL+lora=FILE, MODEL+lora=FILE:0.8, MODEL+scheduler=LCMScheduler, MODEL+text=none"


@dataclass(frozen=True)
class Lora:
    """path: a .safetensors file.  scale: how much of it, -2..2."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True)
class Variant:
    """loras: folded into the weights in this order.  scheduler: a Diffusers class instead of the folder's own.
    text: False leaves a large text encoder (T5) out of memory; then only sounds steer the model.
    """

    loras: tuple[Lora, ...] = ()
    scheduler: str | None = None
    text: bool = True

    def marks(self) -> list[Path | str]:
        """What a digest of the model has to take in, in order; nothing for a plain model."""
        found: list[Path | str] = []
        for lora in self.loras:
            found += [lora.path, f"lora:{lora.scale:g}"]
        return found + ([f"scheduler:{self.scheduler}"] if self.scheduler else [])


def split_name(name: str) -> tuple[str, Variant]:
    """A model's name -> the name without additions, and the additions. Raises InputError for ones it does not know."""
    base, *additions = re.split(r"\+(?=[a-z]+=)", name)
    loras: list[Lora] = []
    scheduler, text = None, True
    for addition in additions:
        key, _, value = addition.partition("=")
        if key == "lora" and value:
            loras.append(_lora(value))
        elif key == "scheduler" and re.fullmatch(r"[A-Za-z]\w*Scheduler", value):
            scheduler = value
        elif key == "text" and value == "none":
            text = False
        else:
            raise InputError(f"The model's name {name!r} ends in {'+' + addition!r}. Write it as one of: {FORM}.")
    if len(loras) > MAX_LORAS:
        raise InputError(f"The model's name has {len(loras)} LoRA files; at most {MAX_LORAS} can be joined.")
    return base, Variant(tuple(loras), scheduler, text)


def absolute_name(name: str, embedded: Collection[str]) -> str:
    """The same model with its folder, or file, and its LoRA files by their absolute paths: that works from elsewhere.

    embedded: names that stay as they are.
    """
    base, variant = split_name(name)
    path = own_model(base) or Path(base).expanduser()
    whole = str(path.absolute()) if base not in embedded and path.exists() else base
    for lora in variant.loras:
        whole += f"+lora={lora.path}" + ("" if lora.scale == 1 else f":{lora.scale:g}")
    whole += f"+scheduler={variant.scheduler}" if variant.scheduler else ""
    return whole if variant.text else f"{whole}+text=none"


def _lora(value: str) -> Lora:
    file, colon, scale = value.rpartition(":")
    if not colon or scale.endswith(".safetensors"):  # no scale; a colon may also belong to a drive's letter
        file, scale = value, "1"
    try:
        number = float(scale)
    except ValueError:
        number = 99.0
    if not -2 <= number <= 2:
        raise InputError(f"The LoRA's scale {scale!r} is not a number from -2 to 2: write +lora=FILE:0.8.")
    path = Path(file).expanduser().absolute()
    if path.suffix != ".safetensors" or not path.is_file():
        raise InputError(f"There is no LoRA file {file!r}. Give an existing .safetensors file.")
    return Lora(path, number)
