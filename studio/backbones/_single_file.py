"""Models in one .safetensors file, in the form of the original Stable Diffusion code: 1.x, 2.x and SDXL.

Such a file has no configs and no tokenizer. The configs of the three published models are here; a Diffusers folder of
the file's own name beside it ("style.safetensors" and "style/") overrules them, component by component, and scheduler
and hearsight.json too. So does its tokenizer; without one CLIP's words are read, which all published models share.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from studio.backbones._clip_words import CLIP_TOKENS, clip_tokenizer
from studio.backbones._memory import check_room
from studio.backbones._older_names import openclip_name, unet_name, vae_name
from studio.backbones._parts import load_parts, read_json
from studio.backbones._variant import Variant
from studio.backbones.base import Backbone, ModelDefaults
from studio.device import DeviceChoice
from studio.errors import InputError

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPENCLIP = "cond_stage_model.transformer.text_model.", "cond_stage_model.model."
XL_CLIP, XL_OPENCLIP = "conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model."

_CROSS, _PLAIN = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"), ("DownBlock2D", "UpBlock2D")
_SD_BLOCKS: dict[str, Any] = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (*[_CROSS[0]] * 3, _PLAIN[0]), "up_block_types": (_PLAIN[1], *[_CROSS[1]] * 3),
}  # fmt: skip
_VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512), "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4, "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
}  # fmt: skip
_NOISE: dict[str, Any] = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1,
    "clip_sample": False, "set_alpha_to_one": False,
}  # fmt: skip
_BASE: dict[str, Any] = {
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
_CLIP_L: dict[str, Any] = _BASE | {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "hidden_act": "quick_gelu", "projection_dim": 768,
}  # fmt: skip

# Form -> what its published configs say, by component (Rombach et al.; Stability AI; Podell et al.).
CONFIGS: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {
        "unet": _SD_BLOCKS | {"cross_attention_dim": 768, "attention_head_dim": 8},
        "vae": _VAE,
        "text_encoder": _CLIP_L,
        "scheduler": {"_class_name": "DDIMScheduler", **_NOISE},
    },
    "sd2": {
        "unet": _SD_BLOCKS
        | {
            "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True,
            "sample_size": 96, "upcast_attention": True,
        },
        "vae": _VAE | {"sample_size": 768},
        "text_encoder": _BASE
        | {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
            "hidden_act": "gelu", "projection_dim": 512,
        },
        # The file does not say what it predicts; 2.x's best known model, 2.1 at 768 px, predicts v.
        "scheduler": {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", **_NOISE},
    },
    "sdxl": {
        "unet": {
            "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
            "down_block_types": (_PLAIN[0], _CROSS[0], _CROSS[0]), "up_block_types": (_CROSS[1], _CROSS[1], _PLAIN[1]),
            "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10),
            "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": _VAE | {"sample_size": 1024, "scaling_factor": 0.13025},
        "text_encoder": _CLIP_L,
        "text_encoder_2": _BASE
        | {
            "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
            "hidden_act": "gelu", "projection_dim": 1280,
        },
        "scheduler": {"_class_name": "EulerDiscreteScheduler", **_NOISE},
    },
}  # fmt: skip


def load_single_file(path: Path, choice: DeviceChoice, variant: Variant) -> Backbone:
    """Load such a file. Raises InputError naming the first weight that is missing or has another shape."""
    from studio.backbones import BACKBONES

    check_room(path.stat().st_size, path.name)
    try:
        with safe_open(path, framework="pt") as file:
            found = set(file.keys())
            form = form_of(path, found)
            beside = path.with_suffix("")
            configs = configs_of(path, form)
            parts = _networks(form, configs, lambda key: file.get_tensor(key) if key in found else None, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"The model file {path} cannot be read ({error}). Copy the file again.") from None
    parts["tokenizer"] = _tokenizer(beside, "tokenizer")
    if len(parts["tokenizer"]) != parts["text_encoder"].config.vocab_size:
        raise InputError(no_tokenizer(path))
    if form != "sd1":
        parts["tokenizer_2" if form == "sdxl" else "tokenizer"] = _padded_with_bang(beside, form)
    kind: Any = BACKBONES.get("StableDiffusionXLPipeline" if form == "sdxl" else "StableDiffusionPipeline")
    own = beside / "hearsight.json"
    defaults = ModelDefaults(**read_json(own)) if own.exists() else None
    loaded: Backbone = kind(path, choice, kind.checked(path, parts), configs["scheduler"], defaults, variant)
    return loaded


def configs_of(path: Path, form: str) -> dict[str, dict[str, Any]]:
    """The configs of a model file, by component: those beside it, else the published ones."""
    return {name: _config(path.with_suffix(""), name, config) for name, config in CONFIGS[form].items()}


def form_of(path: Path, keys: set[str]) -> str:
    """Which published form a file has, by its keys. Raises InputError for others."""
    for form, mark in (("sdxl", XL_OPENCLIP), ("sd2", OPENCLIP), ("sd1", CLIP)):
        if any(key.startswith(mark) for key in keys) and any(key.startswith(UNET) for key in keys):
            return form
    raise InputError(
        f"The file {path.name} is not a complete Stable Diffusion 1.x, 2.x or SDXL model: U-Net and text encoder must "
        "be in it. LoRA files are added to a model: MODEL+lora=FILE."
    )


def _networks(
    form: str, configs: dict[str, dict[str, Any]], get: Callable[[str], Tensor | None], path: Path
) -> dict[str, Any]:
    with torch.device("meta"):  # no memory for random numbers that the file replaces anyway
        unet, vae = UNet2DConditionModel(**configs["unet"]), AutoencoderKL(**configs["vae"])
    layers, levels = configs["unet"].get("layers_per_block", 2), len(configs["vae"]["block_out_channels"])
    attentive = ["Attn" in kind for kind in configs["unet"]["up_block_types"]]

    def unet_key(layer: str) -> str:
        block = int(layer.split(".")[1]) if layer.startswith("up_blocks") else 0
        return UNET + str(unet_name(layer, layers, attention=attentive[block]))

    _fill(unet, unet_key, get, path)
    _fill(vae, lambda layer: VAE + vae_name(layer, levels), get, path)
    parts: dict[str, Any] = {"unet": unet, "vae": vae, "text_encoder": CLIPTextModel(_text(configs["text_encoder"]))}
    if form == "sd2":
        _fill_openclip(parts["text_encoder"], OPENCLIP, get, path)
    else:
        prefix = XL_CLIP if form == "sdxl" else CLIP
        _fill(parts["text_encoder"], lambda layer: prefix + layer, get, path)
    if form == "sdxl":
        parts["text_encoder_2"] = CLIPTextModelWithProjection(_text(configs["text_encoder_2"]))
        _fill_openclip(parts["text_encoder_2"], XL_OPENCLIP, get, path)
    return parts


def _fill(network: nn.Module, name: Callable[[str], str], get: Callable[[str], Tensor | None], path: Path) -> None:
    """Give every parameter its weight from the file, in float32."""
    state: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        layer, _, kind = key.rpartition(".")
        state[key] = _fitting(get(f"{name(layer)}.{kind}"), f"{name(layer)}.{kind}", value.shape, path)
    network.load_state_dict(state, assign=True)


def _fill_openclip(network: nn.Module, prefix: str, get: Callable[[str], Tensor | None], path: Path) -> None:
    """OpenCLIP's text encoder: queries, keys and values are one matrix, the projection is the other way round."""
    state: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        layer, _, kind = key.removeprefix("text_model.").rpartition(".")
        first, _, last = layer.rpartition(".")
        if last in ("q_proj", "k_proj", "v_proj"):
            there = f"{prefix}{openclip_name(first).removesuffix('self_attn')}attn.in_proj_{kind}"
            whole = get(there)
            third = "qkv".index(last[0])
            tensor = None if whole is None else whole.chunk(3)[third].contiguous()
        elif layer in ("text_projection", "embeddings.position_embedding"):
            there = prefix + {"text_projection": "text_projection"}.get(layer, "positional_embedding")
            tensor = get(there)
            if tensor is not None and layer == "text_projection":
                tensor = tensor.T.contiguous()
        else:
            there = f"{prefix}{openclip_name(layer)}.{kind}"
            tensor = get(there)
        state[key] = _fitting(tensor, there, value.shape, path)
    network.load_state_dict(state, assign=True)


def _fitting(tensor: Tensor | None, key: str, shape: torch.Size, path: Path) -> Tensor:
    if tensor is None:
        raise InputError(f"The model file {path.name} is incomplete: it has no {key!r}. Copy the file again.")
    if tensor.ndim == 4 and len(shape) == 2 and tensor.shape[2:] == (1, 1):  # attention as 1x1 convolutions
        tensor = tensor[..., 0, 0]
    if tensor.shape != shape:
        raise InputError(
            f"The model file {path.name} is of another form: {key!r} is {list(tensor.shape)}, not {list(shape)}. "
            f"Put the Diffusers configs of the model into a folder {path.stem!r} beside it."
        )
    return tensor.float()


def _config(beside: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The folder's own config of a component, else the published one."""
    own = beside / name / ("scheduler_config.json" if name == "scheduler" else "config.json")
    if not own.is_file():
        return config
    values = read_json(own)
    return values if name == "scheduler" else {key: value for key, value in values.items() if key[0] != "_"}


def _text(config: dict[str, Any]) -> CLIPTextConfig:
    return CLIPTextConfig(**config)


def _tokenizer(beside: Path, name: str) -> CLIPTokenizer:
    """The folder's own, else the one that all published models share."""
    return load_parts(beside, {name: CLIPTokenizer})[name] if (beside / name).is_dir() else clip_tokenizer()


def reads_text(path: Path, vocabulary: int) -> bool:
    """Whether a model file that knows so many tokens has a tokenizer: a folder beside it, or CLIP's own."""
    return (path.with_suffix("") / "tokenizer").is_dir() or vocabulary == CLIP_TOKENS


def no_tokenizer(path: Path) -> str:
    """What to do where there is none."""
    return (
        f"The model file {path.name} has no tokenizer with it, and it does not read the {CLIP_TOKENS} tokens of CLIP: "
        f"put its folder 'tokenizer' into a folder {path.stem!r} beside it."
    )


def _padded_with_bang(beside: Path, form: str) -> CLIPTokenizer:
    """The tokenizer of an OpenCLIP text encoder: the same words, padded with "!" (id 0)."""
    own = "tokenizer_2" if form == "sdxl" and (beside / "tokenizer_2").is_dir() else "tokenizer"
    tokenizer = _tokenizer(beside, own)
    if own == "tokenizer":
        tokenizer.pad_token = "!"
    return tokenizer
