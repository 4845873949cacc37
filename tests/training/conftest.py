from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.data_maker import make_data


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder small enough to train on in seconds."""
    return make_data(tmp_path_factory.mktemp("data"))
