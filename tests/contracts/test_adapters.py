"""What every adapter promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter
from studio.backbones import load_backbone
from studio.backbones.base import Backbone, TextStates
from studio.backbones.hub import embedded_models
from studio.device import pick_device
from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.recipe import Recipe
from studio.word import spread_words
from tests.adapter_forms import ADAPTER_FORMS
from tests.contracts.conftest import NAMES
from tests.models import fingerprint, noise, tone
from tests.real_forms import FORMS


@dataclass
class Fitted:
    """An adapter between the image model that its weights were made for and the ear that it reads."""

    adapter: Adapter
    backbone: Backbone
    ear: Encoder

    def heard(self) -> SoundEmbedding:
        return self.ear.encode([tone(), noise()])


@pytest.fixture(params=NAMES["adapter"])
def fitted(
    request: pytest.FixtureRequest,
    tiny_plugins: None,
    installed_ears: None,
    tiny_backbone: Backbone,
    tmp_path: Path,
) -> Fitted:
    name = request.param
    kind = ADAPTERS.get(name)
    assert kind.name == name
    backbone = tiny_backbone
    if name in ADAPTER_FORMS and ADAPTER_FORMS[name].form is not None:
        backbone = load_backbone(str(FORMS[str(ADAPTER_FORMS[name].form)](tmp_path / "model")), pick_device("cpu"))
    elif not name.startswith("tiny") and name not in ADAPTER_FORMS and embedded_models():
        backbone = load_backbone(embedded_models()[0], pick_device("cpu"))
    adapter = kind.load(None, backbone.dims)
    ear = ENCODERS.get(adapter.encoder).load()
    return Fitted(adapter.between(backbone, ear, Recipe()), backbone, ear)


def _said(adapter: Adapter, heard: SoundEmbedding) -> torch.Tensor:
    """Word and tokens of each sound, in one row."""
    said = adapter.condition(heard)
    parts = [said.word.flatten(1)] if said.tokens is None else [said.word.flatten(1), said.tokens.flatten(1)]
    return torch.cat(parts, 1)


def test_declared_shapes(fitted: Fitted) -> None:
    adapter, dims = fitted.adapter, fitted.backbone.dims
    said = adapter.condition(fitted.heard())
    assert (len(said.word), said.word.shape[2], said.word.dtype) == (2, dims.text_width, torch.float32)
    assert (0 if adapter.beside else 1) <= said.word.shape[1] <= dims.max_positions - 2
    assert torch.isfinite(said.word).all()
    assert (said.tokens is not None) == adapter.beside
    if said.tokens is not None:
        assert (len(said.tokens), said.tokens.dtype) == (2, torch.float32)
        assert torch.isfinite(said.tokens).all()
    for concepts in said.concepts:
        assert sum(share for _, share in concepts) == pytest.approx(1, abs=0.01)
    assert len(said.concepts) in (0, 2)


def test_what_is_beside_the_text_has_a_null_and_acts(fitted: Fitted) -> None:
    adapter, backbone = fitted.adapter, fitted.backbone
    if not adapter.beside:
        with pytest.raises(NotImplementedError):
            adapter.null_tokens()
        return
    null, tokens = adapter.null_tokens(), adapter.condition(fitted.heard()).tokens
    assert tokens is not None
    assert null.shape == (1, *tokens.shape[1:])
    assert len(adapter.digest()) == 16
    modules = backbone.modules()
    network = modules["unet"] if "unet" in modules else modules["transformer"]
    before = fingerprint(network)
    latents = torch.randn(3, backbone.dims.latent_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([null, tokens])
    states = TextStates(torch.zeros(3, backbone.dims.max_positions, backbone.dims.context_width))

    def predict(strength: float) -> torch.Tensor:
        if adapter.instead:
            return backbone.predict(latents, torch.tensor(500), TextStates(null + strength * (rows - null)))
        with adapter.hooks(backbone, rows, strength):
            return backbone.predict(latents, torch.tensor(500), states)

    loud = predict(1.0)
    assert not torch.equal(loud, predict(0.5))
    assert not torch.equal(loud[1], loud[2])
    if not adapter.instead:
        assert torch.equal(predict(0.0), backbone.predict(latents, torch.tensor(500), states))
        with pytest.raises(InputError), adapter.hooks(backbone, tokens[:, :, 1:]):
            pass
    assert fingerprint(network) == before


def test_what_draws_along_leaves_nothing(fitted: Fitted) -> None:
    adapter, backbone = fitted.adapter, fitted.backbone
    if not adapter.draws:
        return
    before = fingerprint(backbone.modules()["unet"])
    latents = torch.randn(1, backbone.dims.latent_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    states = TextStates(torch.ones(1, backbone.dims.max_positions, backbone.dims.context_width))
    plain = backbone.predict(latents, torch.tensor(500), states)
    with adapter.along(backbone):
        assert not torch.equal(backbone.predict(latents, torch.tensor(500), states), plain)
    with pytest.raises(ZeroDivisionError), adapter.along(backbone):
        _ = 1 / 0
    assert torch.equal(backbone.predict(latents, torch.tensor(500), states), plain)
    assert fingerprint(backbone.modules()["unet"]) == before
    assert len(adapter.digest()) == 16


def test_same_sound_same_word_alone_or_not(fitted: Fitted) -> None:
    adapter, heard = fitted.adapter, fitted.heard()
    torch.manual_seed(1)
    said = _said(adapter, heard)
    torch.manual_seed(2)
    assert torch.equal(_said(adapter, heard), said)
    assert not torch.allclose(said[0], said[1])
    together = adapter.condition(heard)
    for row in range(2):
        one = SoundEmbedding(
            heard.tokens[row : row + 1],
            heard.mask[row : row + 1],
            heard.pooled[row : row + 1],
            None if heard.logits is None else heard.logits[row : row + 1],
        )
        alone = adapter.condition(one)
        # A word may be shorter alone than beside a longer one, and is then spread over as many places.
        word, _ = spread_words([alone.word[0].numpy(), together.word[row].numpy()])
        assert torch.allclose(torch.from_numpy(word), together.word[row], atol=1e-5)
        assert alone.concepts == together.concepts[row : row + 1]
        if alone.tokens is not None and together.tokens is not None:
            assert torch.allclose(alone.tokens[0], together.tokens[row], atol=1e-5)


def test_another_ear_is_refused_or_understood(fitted: Fitted) -> None:
    other = ENCODERS.get("tiny-ear" if fitted.ear.name != "tiny-ear" else "pocket")
    ear = other.load()
    if fitted.adapter.name == "concepts":
        assert fitted.adapter.between(fitted.backbone, ear, Recipe()).condition(ear.encode([tone()])).concepts
    else:
        with pytest.raises(InputError, match="reads the ear"):
            fitted.adapter.between(fitted.backbone, ear, Recipe())
