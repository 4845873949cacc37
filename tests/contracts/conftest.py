"""Everything the registries know, plus the tiny ones, as fixture parameters: a new plug-in is tested on arrival."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from studio.adapters import ADAPTERS
from studio.backbones import BACKBONES
from studio.backbones.hub import embedded_models
from studio.encoders import ENCODERS
from studio.errors import HearsightError
from studio.paths import assets_folder

Loaded = TypeVar("Loaded")

NAMES = {
    "encoder": [*ENCODERS.names(), "tiny-ear"],
    "adapter": [*ADAPTERS.names(), "tiny-word"],
    "model": [*embedded_models(), "tiny"],
    "model form": [*BACKBONES.names()],
}


def load_or_skip(load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives. Skips where the weights are not in the checkout at all, and only there."""
    try:
        return load()
    except HearsightError as error:
        try:
            present = (assets_folder() / "pocket" / "model_index.json").exists()
        except HearsightError:
            present = False
        if present:
            raise
        pytest.skip(f"the embedded weights are not here: {error}")
