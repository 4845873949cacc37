"""The command line on tiny embedded models: the real classes under their real names, with random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from studio.cli import main
from studio.sound.write import write_wav
from tests.models import WIDTH, tone


class Done(NamedTuple):
    """How a command ended. error: what it said on stderr, without the line's end."""

    code: int
    output: str
    error: str


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """An assets folder whose pocket model, ear and word adapter are tiny and random."""
    import torch

    from studio.adapters.word import WordAdapter, WordConfig
    from studio.encoders.pocket import EarConfig, PocketEar

    assets = tmp_path_factory.mktemp("assets")
    shutil.copytree(tiny_folder, assets / "pocket")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        PocketEar(EarConfig(labels=("rain", "dog", "sea_waves"), channels=(4, 4, 8, 8), dim=16)).save(assets / "ear")
        word = WordAdapter(WordConfig(sound_dim=16, text_width=WIDTH, vectors=2, hidden=32))
        word.save(assets / "adapters" / "word")
    return assets


@pytest.fixture(autouse=True)
def tiny_world(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command finds the tiny models, and works in an empty folder with a space and an umlaut in its name."""
    folder = tmp_path / "Töne und Bilder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HEARSIGHT_ASSETS", str(tiny_assets))


@pytest.fixture
def hearsight(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the program in this process."""

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Done(code, said.out, said.err.rstrip("\n"))

    return run


@pytest.fixture
def sound() -> Path:
    """A good sound, by its relative path."""
    path = Path("Glocke im Wald ♪.wav")
    write_wav(tone(), path)
    return path
