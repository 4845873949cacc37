"""Which adapters go with which image model, by the widths that their configs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.adapters._shelf import shelf
from studio.backbones._shelf import models
from studio.device import pick_device
from tests.adapter_forms import write_adapters


def test_adapters_and_the_models_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_MODELS", str(write_adapters(tmp_path)))
    adapters = {one.name: one for one in shelf()}
    known = {one.title: one for one in models(pick_device("cpu"))}
    fitting = {
        title: [name for name in sorted(adapters) if not adapters[name].misfit(model)]
        for title, model in known.items()
    }
    assert fitting["pocket"] == ["concepts", "gated", "word"]
    assert fitting["Stable Diffusion 1.5"] == ["concepts"]
    said = adapters["word"].misfit(known["Stable Diffusion 1.5"])
    assert said == "it was made for a model whose words are 256 wide, and those of Stable Diffusion 1.5 are 768"
    assert "24 wide, and PixArt-alpha 512 has one of 1152" in adapters["context"].misfit(known["PixArt-alpha 512"])
    assert "has no transformer" in adapters["context"].misfit(known["pocket"])
