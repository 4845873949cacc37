"""LoRA files, folded into the weights: W += scale * alpha / rank * up @ down (Hu et al., "LoRA", 2021, Section 4.1).

Two ways of naming are in use. Diffusers and PEFT: "unet.down_blocks.0...to_q.lora_A.weight". Kohya's scripts:
"lora_unet_down_blocks_0_..._to_q.lora_down.weight" with an alpha beside it, for SDXL also by the blocks' older names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from studio.backbones._older_names import unet_name
from studio.backbones._variant import Lora
from studio.errors import InputError

# (ending of the key, which of the two matrices)
_ENDINGS = {
    ".lora_down.weight": "down", ".lora_up.weight": "up",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora_A.default.weight": "down", ".lora_B.default.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down", "_lora.up.weight": "up",
    ".alpha": "alpha",
}  # fmt: skip
# Kohya's prefixes, and those of Diffusers and PEFT, with the component that each names.
_PREFIXES = {
    "lora_unet_": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder",
    "lora_transformer_": "transformer", "unet.": "unet", "text_encoder_2.": "text_encoder_2",
    "text_encoder.": "text_encoder", "transformer.": "transformer",
}  # fmt: skip


def fold(lora: Lora, modules: dict[str, nn.Module]) -> int:
    """Add a LoRA file to the weights of components by name; returns how many layers it changed.

    Every layer is checked before the first one is changed. Raises InputError naming the first key that does not fit.
    """
    matrices, file_alpha = _read(lora)
    names = {component: dict(_names(module)) for component, module in modules.items()}
    changes: list[tuple[nn.Module, Tensor]] = []
    for base, parts in matrices.items():
        layer = _find(base, names, modules)
        if layer is None:
            raise InputError(f"The LoRA {lora.path.name} does not fit this model, which has no layer for {base!r}.")
        if "down" not in parts or "up" not in parts:
            raise InputError(f"The LoRA {lora.path.name} is damaged: {base!r} has only one of its two matrices.")
        down, up = parts["down"].float(), parts["up"].float()
        weight: Tensor = layer.weight  # type: ignore[assignment]  # only layers with a weight have a name here
        rank = len(down)
        whole = (up.shape[0], *down.shape[1:])
        fits = down.ndim == up.ndim == weight.ndim and up.shape[1] == rank and whole == tuple(weight.shape)
        # A 1x1 convolution and a matrix are the same thing; old and new models differ in which one they use.
        same = down.ndim in (2, 4) and up[0].numel() == rank and up.shape[0] * down[0].numel() == weight.numel()
        if not (fits or (same and up.shape[0] == len(weight))):
            raise InputError(
                f"The LoRA {lora.path.name} does not fit this model: {base!r} changes weights of {list(whole)}, "
                f"the model's are {list(weight.shape)}. It was made for another model."
            )
        alpha = float(parts["alpha"]) if "alpha" in parts else file_alpha or rank
        delta = up.reshape(len(up), rank) @ down.reshape(rank, -1)
        changes.append((layer, (lora.scale * alpha / rank) * delta.reshape(weight.shape)))
    with torch.no_grad():
        for layer, delta in changes:
            layer.weight += delta.to(layer.weight)  # type: ignore[operator, arg-type]
    return len(changes)


def _read(lora: Lora) -> tuple[dict[str, dict[str, Tensor]], float | None]:
    """The file's matrices by layer, and an alpha that holds for all of them."""
    matrices: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(lora.path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                ending = next((ending for ending in _ENDINGS if key.endswith(ending)), None)
                if ending is None:
                    raise InputError(
                        f"The LoRA {lora.path.name} has a part that is not understood, {key!r}. "
                        "Plain LoRA files work; LoHa, LoKr and DoRA do not."
                    )
                matrices.setdefault(key[: -len(ending)], {})[_ENDINGS[ending]] = file.get_tensor(key)
            about = (file.metadata() or {}).get("lora_adapter_metadata", "{}")
    except (OSError, SafetensorError) as error:
        raise InputError(f"The LoRA {lora.path.name} cannot be read ({error}). Copy the file again.") from None
    if not matrices:
        raise InputError(f"The LoRA {lora.path.name} is empty.")
    try:
        alphas = {value for key, value in json.loads(about).items() if key.split(".")[-1] == "lora_alpha"}
        return matrices, float(alphas.pop()) if len(alphas) == 1 else None
    except (ValueError, AttributeError, TypeError):
        return matrices, None


def _find(base: str, names: dict[str, dict[str, nn.Module]], modules: dict[str, nn.Module]) -> nn.Module | None:
    base = base.removeprefix("base_model.model.")
    prefix = next((prefix for prefix in _PREFIXES if base.startswith(prefix)), "")
    component = _PREFIXES.get(prefix) or ("transformer" if "transformer" in modules else "unet")
    layer = base[len(prefix) :].replace(".processor.", ".").replace("to_out_lora", "to_out.0")
    flat = re.sub(r"[._]", "_", layer)
    if component.startswith("text"):
        flat = flat.removeprefix("text_model_")
    found = names.get(component, {})
    return found.get(flat) or found.get(flat + "_0")  # "to_out" of old files is today's "to_out.0"


def _names(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every layer with a matrix, under all of its names, dots and underscores being one."""
    layers = len(network.down_blocks[0].resnets) if hasattr(network, "down_blocks") else 0  # type: ignore
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        flat = name.replace(".", "_").removeprefix("text_model_")
        yield flat, layer
        if layers and (older := unet_name(name, layers)):
            yield older.replace(".", "_"), layer
