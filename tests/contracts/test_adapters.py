"""What every adapter promises."""

from __future__ import annotations

import pytest
import torch

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter
from studio.backbones import load_backbone
from studio.backbones.base import BackboneDims
from studio.backbones.hub import embedded_models
from studio.device import pick_device
from studio.encoders import ENCODERS
from studio.encoders.base import SoundEmbedding
from tests.contracts.conftest import NAMES, load_or_skip
from tests.models import POSITIONS, WIDTH, noise, tone

TINY = BackboneDims(WIDTH, WIDTH, POSITIONS, 4, 8)


@pytest.fixture(params=NAMES["adapter"])
def fitted(request: pytest.FixtureRequest, tiny_plugins: None) -> tuple[Adapter, BackboneDims]:
    """An adapter with its embedded weights, and the sizes of the model they were made for."""
    kind = ADAPTERS.get(request.param)
    assert kind.name == request.param
    dims = TINY
    if not request.param.startswith("tiny") and embedded_models():
        dims = load_backbone(embedded_models()[0], pick_device("cpu")).dims
    return load_or_skip(lambda: kind.load(None, dims)), dims


def _heard(adapter: Adapter) -> SoundEmbedding:
    return load_or_skip(ENCODERS.get(adapter.encoder).load).encode([tone(), noise()])


def test_declared_shapes(fitted: tuple[Adapter, BackboneDims]) -> None:
    adapter, dims = fitted
    word = adapter.condition(_heard(adapter)).word
    assert (len(word), word.shape[2], word.dtype) == (2, dims.text_width, torch.float32)
    assert 1 <= word.shape[1] <= dims.max_positions - 2
    assert torch.isfinite(word).all()


def test_same_sound_same_word_alone_or_not(fitted: tuple[Adapter, BackboneDims]) -> None:
    adapter, _ = fitted
    heard = _heard(adapter)
    torch.manual_seed(1)
    words = adapter.condition(heard).word
    torch.manual_seed(2)
    assert torch.equal(adapter.condition(heard).word, words)
    assert not torch.allclose(words[0], words[1])
    for row in range(2):
        one = SoundEmbedding(
            heard.tokens[row : row + 1],
            heard.mask[row : row + 1],
            heard.pooled[row : row + 1],
            None if heard.logits is None else heard.logits[row : row + 1],
        )
        assert torch.allclose(adapter.condition(one).word[0], words[row], atol=1e-5)
