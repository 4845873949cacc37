"""The names that the original Stable Diffusion files have for the layers of Diffusers' and Transformers' networks.

Single .safetensors files and LoRA files made for them use these. Each function takes a name as Diffusers has it.
"""

from __future__ import annotations

import re

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
_OPENCLIP = {
    "embeddings.token_embedding": "token_embedding", "final_layer_norm": "ln_final", "layer_norm1": "ln_1",
    "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def unet_name(layer: str, layers_per_block: int, *, attention: bool = True) -> str | None:
    """A U-Net's layer; None where there is none of that name. attention: whether its block has attention."""
    if layer in _UNET:
        return _UNET[layer]
    rows = layers_per_block + 1
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)", layer)
    if match:
        side, block, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        number = block * rows + index + (side == "down")
        place = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{int(kind == 'attentions')}"
        return f"{place}.{_RESNET[rest] if kind == 'resnets' else rest}"
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", layer):
        if match[1] == "attentions":
            return f"middle_block.1.{match[3]}"
        return f"middle_block.{2 * int(match[2])}.{_RESNET[match[3]]}"
    if match := re.fullmatch(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", layer):
        return f"input_blocks.{(int(match[1]) + 1) * rows}.0.op"
    if match := re.fullmatch(r"up_blocks\.(\d+)\.upsamplers\.0\.conv", layer):
        return f"output_blocks.{int(match[1]) * rows + rows - 1}.{2 if attention else 1}.conv"
    return None


def vae_name(layer: str, levels: int) -> str:
    """An autoencoder's layer. levels: how many sizes it works at."""
    layer = layer.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    layer = re.sub(r"mid_block\.resnets\.(\d+)", lambda match: f"mid.block_{int(match[1]) + 1}", layer)
    if match := re.fullmatch(r"(\w+)\.mid_block\.attentions\.0\.(.+)", layer):
        parts = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
        return f"{match[1]}.mid.attn_1.{parts[match[2]]}"
    layer = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", layer)
    layer = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", layer)
    layer = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda match: f"up.{levels - 1 - int(match[1])}.block.", layer)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda match: f"up.{levels - 1 - int(match[1])}.upsample", layer)


def openclip_name(layer: str) -> str:
    """A layer of OpenCLIP's text encoder, but for the queries, keys and values, which lie in one matrix there."""
    layer = layer.replace("encoder.layers.", "transformer.resblocks.")
    for ours, theirs in _OPENCLIP.items():
        layer = layer.replace(ours, theirs)
    return layer
