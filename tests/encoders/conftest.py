"""Folders with the tiny published-format weights, one per ear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ears import write_checkpoint


@pytest.fixture(scope="session")
def ear_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """name -> a folder with that ear's tiny weights, shared by the whole run: do not write into it."""
    home = tmp_path_factory.mktemp("ears")

    def folder(name: str) -> Path:
        return home / name if (home / name).is_dir() else write_checkpoint(name, home / name)

    return folder
