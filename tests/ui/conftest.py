"""One running app for all tests of a file: starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.ui.service import Service
from tests.ui.running import running, service_for_tests


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of the app, and Gradio's cache below it."""
    folder = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def service(home: Path, tiny_folder: Path) -> Iterator[Service]:
    """What the app works with."""
    with service_for_tests(home, tiny_folder) as made:
        yield made


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    """The address of the running app."""
    with running(service) as address:
        yield address
