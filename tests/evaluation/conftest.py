"""A small data folder and an assets folder of tiny random models: enough for every metric to run in earnest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.models import TINY_PLACES, WIDTH
from tests.training.data_maker import make_data


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("evaluation-data"), recordings=13)  # every sound has unheard ones


@pytest.fixture(scope="session")
def small_assets(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Image model, ear, both adapters and picture classifier, tiny and random; pictures take two steps."""
    import torch

    from studio.adapters.gated import GatedAdapter, GatedConfig
    from studio.adapters.word import WordAdapter, WordConfig
    from studio.encoders.pocket import EarConfig, PocketEar
    from studio.evaluation.classifier import PictureClassifier

    assets = tmp_path_factory.mktemp("evaluation-assets")
    shutil.copytree(tiny_folder, assets / "pocket")
    defaults = assets / "pocket" / "hearsight.json"
    settings = json.loads(defaults.read_text()) if defaults.is_file() else {}
    defaults.write_text(json.dumps({**settings, "num_inference_steps": 2}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        labels = ("door", "fire", "sea_waves")
        PocketEar(EarConfig(labels=labels, channels=(4, 4, 8, 8), dim=16)).save(assets / "ear")
        WordAdapter(WordConfig(sound_dim=16, text_width=WIDTH, vectors=2, hidden=32)).save(
            assets / "adapters" / "word"
        )
        PictureClassifier(["sea", "fire", "city_street"], [8, 16]).save(assets / "classifier")
        GatedAdapter(GatedConfig(TINY_PLACES, sound_dim=16, count=2, width=WIDTH, hidden=16, text_width=WIDTH)).save(
            assets / "adapters" / "gated"
        )
    return assets
