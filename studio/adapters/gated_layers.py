"""Gated cross-attention: layers of our own between the text cross-attention and the feed-forward of a frozen U-Net.

SonicDiffusion (Biner et al., "SonicDiffusion: Audio-Driven Image Generation and Editing with Pretrained Diffusion
Models", 2024), after GLIGEN (Li et al., 2023): h <- h + strength * tanh(gate) * attention(norm(h), sound tokens), in
the transformer blocks of the U-Net's middle and of its way up. Names of weights are those of the published files.

Letters: R rows of the batch, N latent pixels, d width of a block, M sound tokens of width E.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

from studio.errors import InputError

FIRST_GATE = 0.1  # as in the released code; the paper says 0


@dataclass(frozen=True)
class Place:
    """A transformer block that has a gated layer: its path in the U-Net, its width d, its number of heads."""

    path: str
    width: int
    heads: int


def gated_places(unet: nn.Module) -> tuple[Place, ...]:
    """The transformer blocks of a U-Net's middle and way up, as its structure has them; the middle first."""
    found = [
        Place(name, block.attn2.to_q.in_features, block.attn2.heads)
        for name, block in unet.named_modules()
        if isinstance(block, BasicTransformerBlock)
        and block.attn2 is not None
        and name.startswith(("mid_block.", "up_blocks."))
    ]
    return tuple(sorted(found, key=lambda place: place.path))


def check_places(places: tuple[Place, ...], unet: nn.Module) -> None:
    """Raise InputError when a U-Net has other blocks than those that gated layers were made for."""
    if gated_places(unet) != places:
        raise InputError(
            "The gated adapter was made for an image model of another structure. "
            "Use the model it was trained on, or train the adapter for this one."
        )


class GatedAttention(nn.Module):
    """Cross-attention to sound tokens, as wide and with as many heads as the block it stands in."""

    def __init__(self, width: int, heads: int, token_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.attn_adapter = nn.ModuleDict(
            {
                "to_q": nn.Linear(width, width, bias=False),
                "to_k": nn.Linear(token_width, width, bias=False),
                "to_v": nn.Linear(token_width, width, bias=False),
                "to_out": nn.ModuleList([nn.Linear(width, width)]),
            }
        )
        self.norm_adapter = nn.LayerNorm(width)
        self.gate_adapter = nn.Parameter(torch.full((1,), FIRST_GATE))

    def forward(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """hidden [R, N, d], tokens [R, M, E] -> what is to be added to hidden, [R, N, d]."""
        attention: Any = self.attn_adapter
        queries, keys, values = (
            line.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for line in (attention.to_q(self.norm_adapter(hidden)), attention.to_k(tokens), attention.to_v(tokens))
        )
        read = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        return torch.tanh(self.gate_adapter) * attention.to_out[0](read)


class GatedLayers(nn.Module):
    """All gated layers of a U-Net. Their weights are named PLACE.attn_adapter.to_q.weight and so on."""

    def __init__(self, places: Sequence[Place], token_width: int) -> None:
        super().__init__()
        self.places = tuple(places)
        for place in self.places:
            branch: nn.Module = self
            *path, last = place.path.split(".")
            for name in path:
                if name not in branch._modules:
                    branch.add_module(name, nn.Module())
                branch = branch.get_submodule(name)
            branch.add_module(last, GatedAttention(place.width, place.heads, token_width))

    def copy_text_attention(self, unet: nn.Module) -> None:
        """Begin as the blocks' own cross-attention to the text, as IP-Adapter does (Ye et al., 2023).

        Possible, and useful, where tokens are trained to stand in the space of the text states.
        """
        for place in self.places:
            layer, block = self.get_submodule(place.path), unet.get_submodule(place.path)
            norm, attention, text = layer.norm_adapter, layer.attn_adapter, block.attn2
            assert isinstance(attention, nn.ModuleDict) and isinstance(text, nn.Module)
            state = {name: value.float() for name, value in text.state_dict().items()}
            attention.load_state_dict({name: state[name] for name in attention.state_dict()})
            assert isinstance(norm, nn.LayerNorm) and isinstance(block.norm2, nn.LayerNorm)
            norm.load_state_dict({name: value.float() for name, value in block.norm2.state_dict().items()})

    @contextmanager
    def attached(self, unet: nn.Module, tokens: Tensor, strength: float = 1.0) -> Iterator[None]:
        """While the context is open, the last R rows of the U-Net's batch read their rows of tokens [R, M, E].

        Rows before them read nothing, to the last bit.

        strength: factor on what the layers add; at 0 they are not even computed.
        Nothing of the U-Net is replaced: a hook before `norm2` sees the residual stream, one after `attn2` adds to it.
        Raises InputError when the U-Net has other blocks than the one the layers were made for.
        """
        check_places(self.places, unet)
        handles: list[Any] = []
        try:
            for place in self.places if strength else ():
                block: Any = unet.get_submodule(place.path)
                listener = _Listener(self.get_submodule(place.path), tokens, strength)
                handles.append(block.norm2.register_forward_pre_hook(listener.before_text))
                handles.append(block.attn2.register_forward_hook(listener.after_text))
            yield
        finally:
            for handle in handles:
                handle.remove()


class _Listener:
    """The two hooks of one block."""

    def __init__(self, layer: nn.Module, tokens: Tensor, strength: float) -> None:
        self.layer, self.strength = layer, strength
        self.dtype = next(layer.parameters()).dtype  # a frozen U-Net may be in half precision, and layers in training
        self.tokens = tokens.to(self.dtype)
        self.stream: Tensor | None = None

    def before_text(self, _norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.stream = inputs[0]

    def after_text(self, _attention: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        assert self.stream is not None
        hidden, self.stream = self.stream + output, None
        without = len(hidden) - len(self.tokens)
        heard = self.strength * self.layer(hidden[without:].to(self.dtype), self.tokens).to(output.dtype)
        return output + heard if without == 0 else torch.cat([output[:without], output[without:] + heard])
