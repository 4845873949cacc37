"""The registry: a file in the folder is a plug-in, a name is used once, an unknown name names the known ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import InputError
from studio.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package `plugs` with a registry of its own and one plug-in."""
    folder = tmp_path / "plugs"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from studio.registry import Registry\nPLUGS = Registry('plug', 'plugs')\n", encoding="utf-8"
    )
    _plug(folder, "first")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name == "plugs" or name.startswith("plugs.")]:
        del sys.modules[name]


def _plug(folder: Path, name: str, registered: str | None = None) -> None:
    (folder / f"{name}.py").write_text(
        f"from plugs import PLUGS\n@PLUGS.register({registered or name!r})\nclass Plug:\n    pass\n", encoding="utf-8"
    )


def _registry() -> Registry[type]:
    from plugs import PLUGS  # type: ignore[import-not-found]

    return PLUGS


def test_a_new_file_is_picked_up(package: Path) -> None:
    _plug(package, "second")
    (package / "_helper.py").write_text("raise RuntimeError('helpers are not scanned')", encoding="utf-8")
    (package / "base.py").write_text("raise RuntimeError('the base is not scanned')", encoding="utf-8")
    assert _registry().names() == ("first", "second")
    assert _registry().get("second").name == "second"  # type: ignore[attr-defined]
    assert "first" in _registry()
    assert list(_registry()) == ["first", "second"]


def test_nothing_is_imported_before_it_is_needed(package: Path) -> None:
    _registry()
    assert "plugs.first" not in sys.modules


def test_an_unknown_name_names_the_known_ones(package: Path) -> None:
    with pytest.raises(InputError, match=r"There is no plug called 'third'\. Known plugs: first\."):
        _registry().get("third")


def test_two_plugins_of_one_name_are_refused(package: Path) -> None:
    _plug(package, "second", registered="first")
    with pytest.raises(ValueError, match="two plugs are called 'first'"):
        _registry().names()


def test_a_broken_plugin_shows_its_own_error_every_time(package: Path) -> None:
    (package / "zzz.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
            _registry().names()
