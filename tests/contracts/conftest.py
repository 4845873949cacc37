"""Everything the registries know, plus the tiny ones, as fixture parameters: a new plug-in is tested on arrival."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.adapters import ADAPTERS
from studio.backbones import BACKBONES
from studio.backbones.hub import embedded_models
from studio.encoders import ENCODERS
from tests.adapter_forms import write_adapters
from tests.ears import write_checkpoints
from tests.real_forms import FORMS

NAMES = {
    "encoder": [*ENCODERS.names(), "tiny-ear"],
    "adapter": [*ADAPTERS.names(), "tiny-word", "tiny-gated"],
    "model": [*embedded_models(), "tiny", *FORMS],
    "model form": [*BACKBONES.names()],
}


@pytest.fixture(scope="session")
def ears_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random weights in the published formats, for every ear and adapter that comes without weights."""
    return write_adapters(write_checkpoints(tmp_path_factory.mktemp("ears")))


@pytest.fixture
def installed_ears(ears_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the user has put the weights of every ear and adapter where Hearsight looks for them."""
    monkeypatch.setenv("HEARSIGHT_MODELS", str(ears_home))
