"""Where a U-Net's layers are, found from its structure, and hooks that read or replace what layers give.

Everything works on the outputs of ordinary layers (the projections to queries, keys and values, a convolution), so
the attention itself stays whatever it is: torch's fused kernel.

Letters: R rows of the batch, N positions of the picture, L text positions, E width of a layer, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from studio.backbones.base import Backbone
from studio.errors import InputError


class UNetLayers(NamedTuple):
    """Names of modules of a U-Net, in the order in which they compute.

    features: the convolutions whose output plug-and-play takes over: the last one of a residual block of the decoder,
        before its shortcut is added.  layout: the self-attentions of the decoder from a third of the way up.
    self_attention, cross_attention: all there are.
    """

    features: tuple[str, ...]
    layout: tuple[str, ...]
    self_attention: tuple[str, ...]
    cross_attention: tuple[str, ...]


def unet_of(backbone: Backbone) -> nn.Module:
    """The network that predicts. Raises InputError when it is no U-Net with decoder blocks."""
    unet = backbone.modules().get("unet")
    if unet is None or not hasattr(unet, "up_blocks"):
        raise InputError("This model has no U-Net, so a photo cannot be edited with it by its layers: use sdedit.")
    return unet


PLACES = 16  # on each axis: what a layout needs, and what Stable Diffusion's chosen block has


def layers_of(backbone: Backbone) -> UNetLayers:
    """The layers of a loaded model, see `unet_layers`."""
    return unet_layers(unet_of(backbone), backbone.defaults.native_size // backbone.dims.downscale)


def unet_layers(unet: nn.Module, side: int) -> UNetLayers:
    """Find the layers of a U-Net in Stable Diffusion's form, of any size. side: latents on each axis, natively.

    Tumanyan et al., "Plug-and-Play Diffusion Features", CVPR 2023, take features where the decoder has 16 x 16 places,
    and the self-attention from there on, which is from a third of the way up. SonicDiffusion takes the last two of the
    three residual blocks there, and so does this. In pocket, whose latents are 16 x 16, that is the topmost block:
    held at 8 x 8 places, as a third of the way up would be, a mountain set on fire kept hardly more of its shape than
    a new picture had (self-similarity 0.33 away from the photo's, a new one 0.37, held at 16 x 16 it is 0.27).
    """
    names = [name for name, _ in unet.named_modules()]
    blocks: list[tuple[str, list[str]]] = []  # each residual block of the decoder, and the self-attentions behind it
    up_blocks = cast("nn.ModuleList", unet.up_blocks)
    for number, block in enumerate(up_blocks):
        attentions = len(cast("nn.ModuleList", getattr(block, "attentions", ())) or ())
        for index in range(len(cast("nn.ModuleList", block.resnets))):
            place = f"up_blocks.{number}.attentions.{index}."
            behind = [name for name in names if name.startswith(place) and name.endswith(".attn1")]
            blocks.append((f"up_blocks.{number}.resnets.{index}.conv2", behind if index < attentions else []))
    third = len(blocks) // 3
    # Each decoder block but the last doubles the places at its end.
    halvings = len(up_blocks) - 1
    chosen = next(n for n in range(len(up_blocks)) if side >> (halvings - n) >= min(side, PLACES))
    residual = [name for name, _ in blocks if name.startswith(f"up_blocks.{chosen}.")]
    order = ("down_blocks", "mid_block", "up_blocks")

    def every(end: str) -> tuple[str, ...]:
        return tuple(name for part in order for name in names if name.startswith(part) and name.endswith(end))

    return UNetLayers(
        features=tuple(residual[-2:]),
        layout=tuple(name for _, behind in blocks[third:] for name in behind),
        self_attention=every(".attn1"),
        cross_attention=every(".attn2"),
    )


def projections(attentions: Iterable[str], *which: str) -> tuple[str, ...]:
    """Names of the projections `which` ("to_q", "to_k", "to_v") of attention layers."""
    return tuple(f"{name}.{one}" for name in attentions for one in which)


@contextmanager
def hooked(unet: nn.Module, hooks: Mapping[str, Callable[[nn.Module, Any, Tensor], Tensor | None]]) -> Iterator[None]:
    """Forward hooks by layer name while the context is open; gone afterwards, whatever happens in it."""
    with ExitStack() as handles:
        for name, hook in hooks.items():
            handle = unet.get_submodule(name).register_forward_hook(hook)
            handles.callback(handle.remove)
        yield


@contextmanager
def recorded(unet: nn.Module, names: Iterable[str], into: dict[str, Tensor]) -> Iterator[None]:
    """While open, what the named layers give is written into `into`, as it is."""

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, output: into.__setitem__(name, output.detach())

    with hooked(unet, {name: keep(name) for name in names}):
        yield


ALL = slice(None)


@contextmanager
def replaced(unet: nn.Module, values: Mapping[str, Tensor], rows: slice = ALL) -> Iterator[None]:
    """While open, the named layers give these values [1, ...] instead, in every row of the batch or in some."""

    def put(value: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            there = value.to(output)
            if rows == ALL:
                return there.expand_as(output)
            mixed = output.clone()
            mixed[rows] = there
            return mixed

        return hook

    with hooked(unet, {name: put(value) for name, value in values.items()}):
        yield


def heads_apart(values: Tensor, heads: int) -> Tensor:
    """[N, E] -> [H, N, E / H]."""
    return values.unflatten(-1, (heads, -1)).transpose(0, 1)


def attention_maps(queries: Tensor, keys: Tensor, heads: int, scale: float) -> Tensor:
    """How much each position looks at each word: queries [N, E], keys [L, E] -> float32 [H, N, L], adding up to 1."""
    scores = heads_apart(queries.float(), heads) @ heads_apart(keys.float(), heads).transpose(1, 2)
    return (scores * scale).softmax(dim=-1)
