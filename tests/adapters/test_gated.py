"""The gated adapter: published form, places, hooks that add exactly what they should and leave nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import GatedLayers, Place, gated_places
from studio.adapters.projectors import SonicProjector
from studio.adapters.sonic_diffusion import sonic_config
from studio.backbones.base import Backbone, BackboneDims, TextStates
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from tests.models import fingerprint

SD14 = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}


def _embedding(count: int = 2, width: int = 24) -> SoundEmbedding:
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randn(count, 6, width, generator=generator)
    mask = torch.ones(count, 6, dtype=torch.bool)
    mask[-1, 4:] = False
    return SoundEmbedding(tokens, mask, torch.randn(count, width, generator=generator))


def _adapter(backbone: Backbone, seed: int = 0) -> GatedAdapter:
    torch.manual_seed(seed)
    unet = backbone.modules()["unet"]
    width = backbone.dims.context_width
    config = GatedConfig(gated_places(unet), "tiny-ear", sound_dim=24, count=3, width=width, text_width=width)
    return GatedAdapter(config).eval().requires_grad_(False)


def _exact(backbone: Backbone) -> nn.Module:
    """The U-Net in float32, whatever this processor prefers."""
    return copy.deepcopy(backbone.modules()["unet"]).float()


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_stable_diffusion_1_4_gets_the_published_layers() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD14)
        layers = GatedLayers(gated_places(unet), 768)
        projector = SonicProjector()
    paths = [f"up_blocks.{block}.attentions.{layer}" for block in (1, 2, 3) for layer in (0, 1, 2)]
    paths = [f"{path}.transformer_blocks.0" for path in ["mid_block.attentions.0", *paths]]
    parts = ["attn_adapter.to_q.weight", "attn_adapter.to_k.weight", "attn_adapter.to_v.weight",
             "attn_adapter.to_out.0.weight", "attn_adapter.to_out.0.bias", "norm_adapter.weight", "norm_adapter.bias",
             "gate_adapter"]  # fmt: skip
    state = layers.state_dict()
    assert set(state) == {f"{path}.{part}" for path in paths for part in parts}
    assert (len(state), _count(layers)) == (80, 28_491_210)
    assert state[f"{paths[-1]}.attn_adapter.to_k.weight"].shape == (320, 768)
    assert {place.heads for place in layers.places} == {8}
    assert _count(projector) == 6_130_050
    names = {f"audio_emb_projection.{n}.{part}" for n in (0, 2, 4, 5, 7, 8, 10, 12) for part in ("weight", "bias")}
    names |= {f"cross_attention.{n}.to_{part}_adapter.weight" for n in range(4) for part in "qkv"}
    names |= {f"between_attention.{n}.{m}.{part}" for n in range(4) for m in (0, 2) for part in ("weight", "bias")}
    assert set(projector.state_dict()) == names | {"to_out_adapter.0.weight", "to_out_adapter.0.bias"}
    assert sonic_config().places == layers.places


def test_the_hooks_add_what_the_definition_says(tiny_backbone: Backbone) -> None:
    """One block against a plain computation of all its parts."""
    adapter, unet = _adapter(tiny_backbone), _exact(tiny_backbone)
    place = adapter.network.layers.places[0]
    block: Any = unet.get_submodule(place.path)
    layer: Any = adapter.network.layers.get_submodule(place.path)
    generator = torch.Generator().manual_seed(1)
    hidden, states, tokens = (
        torch.randn(2, n, w, generator=generator) for n, w in ((9, place.width), (5, 32), (3, 32))
    )

    def attend(name: Any, x: Tensor, y: Tensor) -> Tensor:
        query, key, value = name["to_q"](x), name["to_k"](y), name["to_v"](y)
        size = place.width // place.heads
        heads = [
            (q @ k.transpose(1, 2) / size**0.5).softmax(-1) @ v
            for q, k, v in zip(*(part.split(size, -1) for part in (query, key, value)), strict=True)
        ]
        out: Tensor = name["to_out"][0](torch.cat(heads, -1))
        return out

    with torch.no_grad():
        x = hidden + block.attn1(block.norm1(hidden))
        x = x + block.attn2(block.norm2(x), encoder_hidden_states=states)
        x = x + 0.5 * torch.tanh(torch.tensor(0.1)) * attend(layer.attn_adapter, layer.norm_adapter(x), tokens)
        x = x + block.ff(block.norm3(x))
        with adapter.network.layers.attached(unet, tokens, 0.5):
            ours = block(hidden, encoder_hidden_states=states)
    assert torch.allclose(ours, x, atol=1e-4)


def test_strength_tokens_and_rows_act_and_nothing_stays(tiny_backbone: Backbone) -> None:
    adapter, before = _adapter(tiny_backbone), fingerprint(tiny_backbone.modules()["unet"])
    latents, time = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(500)
    states = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(1))
    tokens = adapter.condition(_embedding()).tokens
    assert tokens is not None

    def predict(tokens: Tensor, strength: float) -> Tensor:
        with adapter.hooks(tiny_backbone, tokens, strength):
            return tiny_backbone.predict(latents, time, TextStates(states))

    plain = tiny_backbone.predict(latents, time, TextStates(states))
    assert torch.equal(predict(tokens, 0.0), plain)
    near, far = (float((predict(tokens, strength) - plain).abs().mean()) for strength in (0.3, 1.0))
    assert 0 < near < far
    one = predict(tokens[1:], 1.0)
    assert torch.equal(one[0], plain[0]), "rows without tokens read nothing"
    assert torch.allclose(one[1], predict(tokens, 1.0)[1], atol=1e-3)
    swapped = predict(tokens.flip(0), 1.0)
    assert not torch.allclose(swapped[0], predict(tokens, 1.0)[0])
    with pytest.raises(RuntimeError, match="half-way"), adapter.hooks(tiny_backbone, tokens):
        raise RuntimeError("half-way")
    assert fingerprint(tiny_backbone.modules()["unet"]) == before
    assert torch.equal(tiny_backbone.predict(latents, time, TextStates(states)), plain)


def test_padding_is_not_heard(tiny_backbone: Backbone) -> None:
    adapter, heard = _adapter(tiny_backbone), _embedding()
    loud = SoundEmbedding(heard.tokens + 9 * ~heard.mask[..., None], heard.mask, heard.pooled)
    ours, theirs = adapter.condition(heard), adapter.condition(loud)
    assert ours.tokens is not None and theirs.tokens is not None
    assert torch.equal(ours.tokens, theirs.tokens)
    assert ours.word.shape == (2, 0, 32)


def test_another_model_or_other_tokens_are_refused(tiny_backbone: Backbone, tmp_path: Path) -> None:
    adapter = _adapter(tiny_backbone)
    with pytest.raises(InputError, match="this adapter reads \\[3, 32\\]"):
        adapter.hooks(tiny_backbone, torch.zeros(1, 4, 32))
    other = GatedAdapter(
        GatedConfig((Place("mid_block.attentions.0.transformer_blocks.0", 64, 2),), count=3, width=32)
    )
    with pytest.raises(InputError, match="another structure"), other.hooks(tiny_backbone, torch.zeros(1, 3, 32)):
        pass
    adapter.save(tmp_path)
    with pytest.raises(InputError, match="words are 32 wide, and this one's are 768 wide"):
        GatedAdapter.load(tmp_path, BackboneDims(768, 768, 77, 4, 8))
    with pytest.raises(InputError, match=r"needs config\.json and model\.safetensors"):
        GatedAdapter.load(tmp_path / "nothing", tiny_backbone.dims)


def test_saved_and_loaded_it_says_the_same(tiny_backbone: Backbone, tmp_path: Path) -> None:
    adapter = _adapter(tiny_backbone)
    adapter.save(tmp_path)
    again = GatedAdapter.load(tmp_path, tiny_backbone.dims)
    assert again.config == adapter.config
    one, two = adapter.condition(_embedding()).tokens, again.condition(_embedding()).tokens
    assert one is not None and two is not None
    assert torch.allclose(one, two, atol=0.02)  # float16 on the disk
    assert again.digest() == GatedAdapter.load(tmp_path, tiny_backbone.dims).digest()
    assert again.digest() != _adapter(tiny_backbone, 1).digest()
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_layers_may_begin_as_the_text_s_attention(tiny_backbone: Backbone) -> None:
    unet = _exact(tiny_backbone)
    layers = GatedLayers(gated_places(unet), 32)
    layers.copy_text_attention(unet)
    for place in layers.places:
        block: Any = unet.get_submodule(place.path)
        layer: Any = layers.get_submodule(place.path)
        hidden, states = torch.randn(1, 4, place.width), torch.randn(1, 5, 32)
        expected = torch.tanh(torch.tensor(0.1)) * block.attn2(block.norm2(hidden), encoder_hidden_states=states)
        assert torch.allclose(layer(hidden, states), expected, atol=1e-4)
