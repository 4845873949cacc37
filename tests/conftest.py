"""What every test gets: its own data home, no network, and on request a tiny model with an ear and an adapter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from studio.backbones.base import Backbone
    from studio.engine import Engine


def pytest_configure() -> None:
    """Where several processes test at once they share the cores, and so do the programs they start."""
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if beside > 1:  # before anything has loaded torch
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // beside)))


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test does lands in the user's data, and nothing is fetched from the hub."""
    monkeypatch.setenv("HEARSIGHT_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HEARSIGHT_ALLOW_DOWNLOAD", raising=False)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model folder in Stable Diffusion's format, shared by the whole run: do not write into it."""
    from tests.models import build_tiny_stable_diffusion

    return build_tiny_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def staged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another, whose pictures begin with 32 px and end with 128: in three stages, and natively 64 px."""
    from tests.models import build_tiny_stable_diffusion

    folder = build_tiny_stable_diffusion(tmp_path_factory.mktemp("models") / "staged")
    settings = json.loads((folder / "hearsight.json").read_text())
    (folder / "hearsight.json").write_text(json.dumps(settings | {"begin_size": 32, "picture_size": 128}))
    return folder


@pytest.fixture(scope="session")
def tiny_backbone(tiny_folder: Path) -> Backbone:
    """That folder, loaded for the processor."""
    from studio.backbones import load_backbone
    from studio.device import pick_device

    return load_backbone(str(tiny_folder), pick_device("cpu"))


@pytest.fixture
def tiny_plugins() -> Iterator[None]:
    """The ear "tiny-ear" and the adapter "tiny-word", registered for this test."""
    from tests import models

    with models.tiny_plugins():
        yield


@pytest.fixture
def engine(tiny_plugins: None) -> Engine:
    """An engine on the processor; recipes for it name the tiny folder and "tiny-word"."""
    from studio.engine import Engine

    return Engine("cpu")
