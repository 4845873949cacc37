"""SonicDiffusion's published form: the projector against a plain computation, its quirk, its null sound, its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from studio.adapters.gated import GatedAdapter
from studio.adapters.gated_layers import GatedLayers, Place
from studio.adapters.projectors import SonicProjector
from studio.adapters.sonic_diffusion import load_published
from studio.backbones.base import BackboneDims
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError


def plain_tokens(weights: dict[str, Tensor], pooled: Tensor) -> Tensor:
    """The released computation, written out on the published names, in float64: pooled [1024] -> [77, 768]."""

    def gelu(x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.erf(x / 2**0.5))

    def convolved(number: int, x: Tensor, padding: int, stride: int = 1) -> Tensor:
        name = f"audio_emb_projection.{number}"
        windows = F.pad(x, (padding, padding)).unfold(1, 17, stride)  # [C, places, 17]
        return torch.einsum("oct,cpt->op", weights[f"{name}.weight"], windows) + weights[f"{name}.bias"][:, None]

    def normalised(number: int, x: Tensor) -> Tensor:
        """Over tokens and width together."""
        name = f"audio_emb_projection.{number}"
        x = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def widened(x: Tensor) -> Tensor:
        """Convolution 8, transposed with stride 3: each input adds its kernel to 17 places of the output."""
        kernel, places = weights["audio_emb_projection.8.weight"], x.shape[1]  # [in, out, 17]
        whole = torch.zeros(kernel.shape[1], 3 * (places - 1) + 17, dtype=x.dtype)
        for tap in range(17):
            whole[:, tap : tap + 3 * places - 2 : 3] += kernel[:, :, tap].T @ x
        return whole[:, 7:-7] + weights["audio_emb_projection.8.bias"][:, None]

    x = gelu(convolved(0, pooled[None], 8))
    x = normalised(4, gelu(convolved(2, x, 8)))
    x = normalised(7, gelu(convolved(5, x, 8)))
    x = gelu(normalised(10, gelu(widened(x))))
    x = convolved(12, x, 7, stride=4)
    # Four blocks read the same x, and each overwrites what the one before it gave: the fourth alone is heard.
    for block in range(4):
        query, key, value = (x @ weights[f"cross_attention.{block}.to_{part}_adapter.weight"].T for part in "qkv")
        heads = []
        for head in range(8):
            part = slice(40 * head, 40 * head + 40)
            share = (query[:, part] @ key[:, part].T / 40**0.5).softmax(-1)
            heads.append(share @ value[:, part])
        name = f"between_attention.{block}"
        y = gelu(torch.cat(heads, -1) @ weights[f"{name}.0.weight"].T + weights[f"{name}.0.bias"])
        y = y @ weights[f"{name}.2.weight"].T + weights[f"{name}.2.bias"] + x
    return y @ weights["to_out_adapter.0.weight"].T + weights["to_out_adapter.0.bias"]


def test_the_tokens_and_the_null_sound_are_those_of_the_published_computation(
    published: tuple[Path, Path],
) -> None:
    adapter = load_published(*published)
    weights = {name: value.double() for name, value in torch.load(published[1], weights_only=True).items()}
    for name, value in weights.items():  # fresh norms are 1 and 0, and would hide where they stand
        if value.ndim == 2 and "audio_emb_projection" in name:
            value += 0.3 * torch.randn_like(value)
    adapter.network.projector.load_state_dict({name: value.float() for name, value in weights.items()})
    pooled = F.normalize(torch.randn(2, 1024), dim=-1)
    said = adapter.condition(SoundEmbedding(pooled[:, None], torch.ones(2, 1, dtype=torch.bool), pooled))
    assert said.tokens is not None and said.word.shape == (2, 0, 768)
    for row in range(2):
        wanted = plain_tokens(weights, pooled[row].double())
        assert wanted.shape == (77, 768)
        assert torch.allclose(said.tokens[row].double(), wanted, atol=1e-5)
    assert not torch.allclose(said.tokens[0], said.tokens[1], atol=1e-3)
    nothing = plain_tokens(weights, torch.zeros(1024, dtype=torch.float64))
    assert torch.allclose(adapter.null_tokens()[0].double(), nothing, atol=1e-5)


def test_only_the_fourth_block_of_the_published_projector_says_something() -> None:
    torch.manual_seed(0)
    projector, pooled = SonicProjector().eval(), F.normalize(torch.randn(2, 1024), dim=-1)
    with torch.no_grad():
        tokens = projector(torch.empty(0), torch.empty(0), pooled, None)
        assert tokens.shape == (2, 77, 768)
        for block, matters in ((0, False), (2, False), (3, True)):
            for part in (projector.cross_attention[block], projector.between_attention[block]):
                for parameter in part.parameters():
                    parameter.mul_(1.5)
            assert torch.equal(projector(torch.empty(0), torch.empty(0), pooled, None), tokens) != matters


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Files of the published form for a U-Net with two narrow blocks, so that they are small."""
    places = (Place("mid_block.attentions.0.transformer_blocks.0", 16, 2),)
    monkeypatch.setattr("studio.adapters.sonic_diffusion.PLACES", places)
    torch.manual_seed(0)
    torch.save(GatedLayers(places, 768).state_dict(), tmp_path / "landscape.pt")
    torch.save(SonicProjector().state_dict(), tmp_path / "audio_projector_landscape.pth")
    return tmp_path / "landscape.pt", tmp_path / "audio_projector_landscape.pth"


def test_published_files_load_and_convert(published: tuple[Path, Path], tmp_path: Path) -> None:
    adapter = load_published(*published)
    state = torch.load(published[0], weights_only=True)
    assert torch.equal(adapter.network.layers.state_dict()[next(iter(state))], state[next(iter(state))])
    adapter.save(tmp_path / "converted", torch.float32)
    again = GatedAdapter.load(tmp_path / "converted", BackboneDims(768, 768, 77, 4, 8))
    assert (again.config.projector, again.encoder) == ("sonic", "clap-2022")
    assert all(torch.equal(value, adapter.state_dict()[name]) for name, value in again.state_dict().items())


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (
            0,
            lambda s: s.pop("mid_block.attentions.0.transformer_blocks.0.gate_adapter"),
            "gate_adapter' [1] is missing",
        ),
        (0, lambda s: s.update(extra=torch.zeros(1)), "'extra' does not belong"),
        (
            1,
            lambda s: s.update({"to_out_adapter.0.bias": torch.zeros(5)}),
            "'to_out_adapter.0.bias' has the shape [5] and must have [768]",
        ),
        (1, lambda s: s.update({"to_out_adapter.0.bias": "text"}), "holds no named weights"),
    ],
)
def test_damaged_published_files(published: tuple[Path, Path], number: int, change: Any, said: str) -> None:
    state = torch.load(published[number], weights_only=True)
    change(state)
    torch.save(state, published[number])
    with pytest.raises(InputError) as caught:
        load_published(*published)
    assert said in str(caught.value) and published[number].name in str(caught.value)


def test_a_published_file_runs_no_code(published: tuple[Path, Path], tmp_path: Path) -> None:
    torch.save({"bad": Path}, published[0])  # a class: needs unpickling of something that is no tensor
    with pytest.raises(InputError, match=r"landscape\.pt"):
        load_published(*published)
    with pytest.raises(InputError, match="There is no file"):
        load_published(tmp_path / "nothing.pt", published[1])
