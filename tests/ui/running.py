"""The app as the tests run it: on the embedded model when it is there, else on tests/models.py's tiny random one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.paths import assets_folder
from studio.ui import build, launch_options
from studio.ui.service import Service
from tests.models import tiny_plugins


def have_embedded_model() -> bool:
    """Whether all of the embedded set is in the assets: image model, ear, adapter."""
    wanted = ("pocket/model_index.json", "ear/config.json", "adapters/word/config.json")
    return all((assets_folder() / name).is_file() for name in wanted)


@contextmanager
def service_for_tests(home: Path, tiny_folder: Path, *, hosted: bool = False) -> Iterator[Service]:
    """A service with pictures below `home`. Open it once at a time: the tiny parts register themselves."""
    if have_embedded_model():
        yield Service(home=home, hosted=hosted)
    else:
        with tiny_plugins():
            yield Service(str(tiny_folder), "tiny-word", "tiny-ear", home=home, hosted=hosted)


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The page on a free port of this machine; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    demo = build(service)
    demo.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        demo.close(verbose=False)
