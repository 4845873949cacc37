"""Where assets, presets and the user's data are looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from studio import paths
from studio.errors import HearsightError


def test_the_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_ASSETS", str(tmp_path))
    assert paths.assets_folder() == tmp_path
    monkeypatch.setenv("HEARSIGHT_ASSETS", str(tmp_path / "nowhere"))
    with pytest.raises(HearsightError, match="HEARSIGHT_ASSETS names"):
        paths.assets_folder()


def test_installed_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARSIGHT_ASSETS", raising=False)
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "site-packages" / "studio")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    with pytest.raises(HearsightError, match="The folder assets is missing"):
        paths.assets_folder()
    for place in ("env/share/hearsight/assets", "site-packages/studio/assets", "site-packages/assets"):
        (tmp_path / place).mkdir(parents=True)
        assert paths.assets_folder() == tmp_path / place


def test_data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_HOME", str(tmp_path))
    assert paths.data_home() == tmp_path
    monkeypatch.delenv("HEARSIGHT_HOME")
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert paths.data_home() == tmp_path / "xdg" / "hearsight"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert paths.data_home() == Path.home() / ".local" / "share" / "hearsight"
    monkeypatch.setenv("SPACE_ID", "someone/hearsight")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) == "/data")
    assert paths.data_home() == Path("/data/hearsight")
